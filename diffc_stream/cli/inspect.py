"""``diffc inspect``: list the contents of a stream."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from diffc_stream import container
from diffc_stream.cli import plot, references, streams
from diffc_stream.cli.arguments import Commands, add_reference, command
from diffc_stream.cli.output import print_json, progress
from diffc_stream.container import grammar
from diffc_stream.container.metadata import NOTHING
from diffc_stream.destination import check, spare
from diffc_stream.diffusion.collection import Collection
from diffc_stream.errors import NothingDecodable, StreamError, TargetError
from diffc_stream.flags import add_max_pixels
from diffc_stream.metrics import psnr


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands,
        "inspect",
        "list what a stream holds",
        "diffc inspect photo.dfc --original photo.jpg",
    )
    parser.add_argument(
        "--original", type=Path, metavar="IMAGE", help="also compare predicted and true PSNR"
    )
    add_max_pixels(parser)
    add_reference(parser)
    parser.add_argument(
        "--plot",
        type=plot.out,
        metavar="OUT.svg",
        help="also draw where the bytes go and what they give (.svg, .png or .pdf)",
    )


def run(arguments: argparse.Namespace) -> None:
    """List the records of a stream; with the original, true quality too."""
    if arguments.plot is not None:
        spare(arguments.plot, filter(None, (arguments.input, arguments.original)))
        plot.require()  # before anything takes long
        check(arguments.plot)
    data = streams.read(arguments.input)
    found = _found(data)
    facts = found.facts(data)
    if found.header.clip is not None and (arguments.original or arguments.plot):
        raise StreamError(f"{arguments.input}: a clip; --original and --plot are for pictures")
    true: list[plot.Point] = []
    if arguments.original is not None:
        usable = data[: found.verified] if found.problem else data
        # A step, including its checks, ends where the next one begins.
        ends = [entry.begin for entry in found.steps[1:] if entry.begin < len(usable)]
        points = _quality(arguments, usable, [*ends, len(usable)])
        facts["quality"] = points
        true = [(int(point["bytes"]), point["psnr"]) for point in points]
    if arguments.plot is not None:
        steps = [(entry.step.kind, entry.begin) for entry in found.steps]
        plot.draw(arguments.plot, arguments.input.name, found.header, steps, data, true)
    if arguments.json:
        print_json(facts)
    else:
        _print_facts(facts)


@dataclass(slots=True, kw_only=True)
class _Found:
    """What a stream holds."""

    header: container.Header
    steps: list[_Listed]
    seconds: int
    """Second estimates of the pictures of a clip."""
    metadata: container.Metadata
    verified: int
    """Bytes that checks have found intact."""
    problem: str | None

    def facts(self, data: bytes) -> dict[str, Any]:
        header = self.header
        facts: dict[str, Any] = {
            "version": header.version,
            **_header(header),
            "bytes": len(data),
            "bpp": 8 * len(data) / header.pixels,
            "verified_bytes": self.verified,
            "problem": self.problem,
            "metadata": self.metadata.facts(),
            "steps": [entry.facts() for entry in self.steps],
        }
        if header.clip is not None:
            facts["second_estimates"] = self.seconds
            for entry, step in zip(self.steps, facts["steps"], strict=True):
                step["picture"] = entry.picture
        return facts


def _found(data: bytes) -> _Found:
    """List what is in a stream.  Raises StreamError if even the header is unusable."""
    reader = container.StreamReader(damaged=True)
    listed: list[_Listed] = []
    metadata = NOTHING
    problem: str | None = None
    picture = seconds = 0
    try:
        for event in reader.feed(data):
            match event:
                case container.Turn():
                    picture = event.picture
                case container.Second():
                    seconds += 1
                case container.Step():
                    listed.append(_Listed(step=event, begin=reader.began, picture=picture))
                case container.Payload():
                    listed[-1].received += len(event.data)
                case container.About():
                    metadata = container.Metadata.parse(event.facts)
                case container.Check(good=False):
                    problem = problem or f"a check failed (at byte {event.offset})"
    except StreamError as error:
        if reader.header is None:
            raise
        problem = str(error)
    if reader.header is None:
        raise NothingDecodable("the stream ends within its header")
    return _Found(
        header=reader.header,
        steps=listed,
        seconds=seconds,
        metadata=metadata,
        verified=reader.verified,
        problem=problem,
    )


def _header(header: container.Header) -> dict[str, object]:
    facts = asdict(header)
    if (reference := header.reference) is not None:
        facts["reference"] = {
            "name": reference.name,
            "bytes": reference.size,
            "sha256_begins": reference.digest.hex(),
            "shift": list(reference.shift),
            "cut": list(reference.cut),
        }
    return facts


@dataclass(slots=True, kw_only=True)
class _Listed:
    """A step as ``inspect`` lists it."""

    step: container.Step
    begin: int
    """Its offset in the stream."""
    picture: int = 0
    """Of a clip: which picture it is of."""
    received: int = 0
    """Bytes of its payload that are there."""

    def facts(self) -> dict[str, object]:
        step = self.step
        refine = step.kind is container.Kind.REFINE
        return {
            "kind": step.kind.name.lower(),
            "simulator": step.simulator.name.lower(),
            "bytes": step.length,
            "delta": grammar.delta(step.delta_code) if refine else None,
            "received": self.received,
        }


def _quality(arguments: argparse.Namespace, data: bytes, ends: list[int]) -> list[dict[str, Any]]:
    """Return the predicted and true PSNR of the pictures at each of ``ends``."""
    from diffc_stream import codec
    from diffc_stream.references import References

    original = streams.picture(arguments.original)
    models = Collection.at_hand(arguments.model)
    decoder = codec.Decoder(
        models,
        most_pixels=arguments.max_pixels,
        references=References(models, references.finder(arguments.input, arguments.reference)),
    )
    points: list[dict[str, Any]] = []
    with progress("decoding", len(data)) as advance:
        for end in ends:
            decoder.feed(data[decoder.bytes_received : end])
            if not decoder.ready:
                continue
            rendering = decoder.render()
            if rendering.image.shape != original.shape:
                raise TargetError(
                    f"{arguments.original}: not the picture of this stream: "
                    f"{original.shape[1]}x{original.shape[0]} pixels, "
                    f"not {rendering.image.shape[1]}x{rendering.image.shape[0]}"
                )
            points.append(
                {
                    "bytes": end,
                    "bpp": rendering.bpp,
                    "predicted_psnr": rendering.predicted_psnr,
                    "predicted_psnr_range": rendering.predicted_psnr_range,
                    "psnr": psnr(rendering.image, original),
                }
            )
            advance(end, f"{points[-1]['psnr']:.2f} dB")
    return points


def _print_facts(facts: dict[str, Any]) -> None:
    console = Console(highlight=False)
    console.print(
        f"{facts['width']}x{facts['height']} pixels, {facts['bytes']} bytes, "
        f"{facts['bpp']:.4f} bpp, model {facts['model']}, seed {facts['seed']}, "
        f"checked up to byte {facts['verified_bytes']}",
        soft_wrap=True,
    )
    reference = facts["reference"]
    if isinstance(reference, dict):
        console.print(
            f"starts from {reference['name'] or 'a picture'}, {reference['bytes']:,} bytes, "
            f"SHA-256 {reference['sha256_begins']}...",
            markup=False,
            soft_wrap=True,
        )
    if (clip := facts["clip"]) is not None:
        console.print(
            f"a clip of {clip['pictures']} pictures, {clip['milliseconds']} ms each, "
            f"{facts['second_estimates']} second estimates"
        )
    if facts["problem"]:
        console.print(f"problem: {facts['problem']}", soft_wrap=True)
    metadata = facts["metadata"]
    assert isinstance(metadata, dict)
    for name, value in metadata.items():
        # The value comes from the stream, so brackets in it are not markup.
        console.print(f"{name}: {value}", markup=False, soft_wrap=True)
    steps = facts["steps"]
    assert isinstance(steps, list)
    for number, step in enumerate(steps):
        delta = f"  delta {step['delta']:<10.5g}" if step["delta"] is not None else ""
        part = "" if step["received"] == step["bytes"] else f"  ({step['received']} arrived)"
        of = f"  picture {step['picture']:<4d}" if "picture" in step else ""
        console.print(f"{number:4d}{of}  {step['kind']:6s} {step['bytes']:7d} bytes{delta}{part}")
    quality = facts.get("quality")
    if isinstance(quality, list):
        console.print("  bytes      bpp  predicted  nine of ten are        true")
        for point in quality:
            low, high = point["predicted_psnr_range"]
            console.print(
                f"{point['bytes']:7d}  {point['bpp']:7.4f}  {point['predicted_psnr']:6.2f} dB  "
                f"{low:6.2f} to {high:5.2f} dB  "
                f"{point['psnr']:6.2f} dB"
            )
