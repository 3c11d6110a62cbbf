"""The command ``diffc``: pictures to .dfc files and back.

What brings torch is imported where it is used: explaining itself should take no second.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from diffc_stream import container
from diffc_stream.allocation import keep_freed_memory
from diffc_stream.container import grammar
from diffc_stream.diffusion import collection
from diffc_stream.diffusion.collection import Collection
from diffc_stream.errors import DiffcError, NothingDecodable, StreamError, TargetError
from diffc_stream.metrics import bits_per_pixel, psnr
from diffc_stream.picture import load_picture, save_png
from diffc_stream.replacement import replacing

MOST_BYTES = 2**30
"""A stream file larger than this is refused."""

_EXIT_CODES = """\
exit codes:
  0  done
  2  wrong usage, or a target that no stream can meet
  3  nothing decodable yet: the stream is too short to hold a picture
  4  the picture cannot be used
  5  the stream cannot be used
  6  the model is missing or unusable
"""

_MODELS_EXAMPLES = f"""\
examples:
  diffc models
  diffc models add base-1234abcd.safetensors

Added models are kept in the folder $DIFFC_MODELS or, unless that is set, in
$XDG_DATA_HOME/diffc-stream/models, where XDG_DATA_HOME is ~/.local/share unless set.

{_EXIT_CODES}"""


_BENCH = "measure what the codec gives, beside the codecs people use (needs the extra bench)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``diffc`` and return its exit code; errors are one line on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["bench"]:
        return bench(given[1:])
    parsed = _parser().parse_args(given)
    keep_freed_memory()
    try:
        command = {"encode": encode, "decode": decode, "inspect": inspect, "models": models}
        command[parsed.command](parsed)
    except DiffcError as error:
        print(f"diffc: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"diffc: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("diffc: interrupted", file=sys.stderr)
        return 130
    return 0


def encode(arguments: argparse.Namespace) -> None:
    """``diffc encode``: write the stream of a picture."""
    from diffc_stream import codec

    picture = load_picture(arguments.input)
    height, width = picture.shape[:2]
    target = arguments.bytes
    if arguments.bpp is not None:
        target = int(arguments.bpp * width * height / 8)
    model = Collection.at_hand(arguments.model).preferred
    encoder = codec.Encoder(picture, model, target_bytes=target, seed=arguments.seed)
    with replacing(arguments.output) as out, _progress("encoding", target) as advance:
        for piece in encoder:
            out.write(piece)
            advance(encoder.written, f"about {encoder.chain.now().psnr:.1f} dB")
        report = encoder.report()
    if arguments.json:
        _print_json(asdict(report))
    else:
        print(
            f"{arguments.output}: {report.bytes} bytes, {report.bpp:.3f} bpp, "
            f"{report.psnr:.2f} dB, {report.steps} steps, "
            f"{report.evaluations:.1f} evaluations, {report.seconds:.1f} s"
        )


def decode(arguments: argparse.Namespace) -> None:
    """``diffc decode``: write the picture of a stream, or of its first bytes."""
    from diffc_stream import codec

    data = _read(arguments.input)[: arguments.max_bytes]
    warning: str | None = None
    if not arguments.damaged:
        data, error = container.verified(data)
        if error is not None:
            warning = f"{error}; decoding the {len(data)} bytes before it (--damaged goes on)"
            print(f"diffc: warning: {arguments.input}: {warning}", file=sys.stderr)
    decoder = codec.Decoder(Collection.at_hand(arguments.model), damaged=arguments.damaged)
    with _progress("decoding", len(data)) as advance:
        try:
            for start in range(0, len(data), 1024):
                decoder.feed(data[start : start + 1024])
                advance(decoder.bytes_received, f"{decoder.steps} steps")
        except StreamError as error:
            if not (arguments.damaged and decoder.ready):
                raise
            print(f"diffc: warning: {arguments.input}: {error}; stopped there", file=sys.stderr)
        rendering = decoder.render(
            arguments.render, symmetries=arguments.symmetries, max_side=arguments.max_side
        )
    save_png(arguments.output, rendering.image, text=rendering.description)
    if arguments.json:
        facts = {
            "bytes": rendering.bytes,
            "bpp": rendering.bpp,
            "predicted_psnr": rendering.predicted_psnr,
            "render": rendering.method,
            "evaluations": decoder.evaluations,
            "failed_checks": decoder.damage,
            "warning": warning,
        }
        _print_json(facts)
    else:
        print(
            f"{arguments.output}: {rendering.bytes} bytes, {rendering.bpp:.3f} bpp, "
            f"about {rendering.predicted_psnr:.1f} dB as mmse, "
            f"rendered: {rendering.description['diffc-render']}"
        )


def inspect(arguments: argparse.Namespace) -> None:
    """``diffc inspect``: list the records of a stream; with the original, true quality too."""
    data = _read(arguments.input)
    reader = container.StreamReader(damaged=True)
    listed: list[_Listed] = []
    problem: str | None = None
    try:
        for event in reader.feed(data):
            if isinstance(event, container.Step):
                listed.append(_Listed(step=event, begin=reader.offset - len(event.encode())))
            elif isinstance(event, container.Payload):
                listed[-1].received += len(event.data)
            elif isinstance(event, container.Check) and not event.good:
                problem = problem or f"a check failed (at byte {event.offset})"
    except StreamError as error:
        if reader.header is None:
            raise
        problem = str(error)
    header = reader.header
    if header is None:
        raise NothingDecodable("the stream ends within its header")
    facts: dict[str, object] = {
        "version": grammar.VERSION,
        **asdict(header),
        "bytes": len(data),
        "bpp": bits_per_pixel(len(data), header.width, header.height),
        "verified_bytes": reader.verified,
        "problem": problem,
        "steps": [entry.facts() for entry in listed],
    }
    if arguments.original is not None:
        usable = data[: reader.verified] if problem else data
        # A step ends, its checks included, where the next begins.
        ends = [entry.begin for entry in listed[1:] if entry.begin < len(usable)]
        facts["quality"] = _quality(arguments, usable, [*ends, len(usable)])
    if arguments.json:
        _print_json(facts)
    else:
        _print_facts(facts)


def models(arguments: argparse.Namespace) -> None:
    """``diffc models``: list the models at hand; ``diffc models add``: add one to them."""
    if arguments.action == "add":
        _print_models([collection.add(arguments.file)], arguments)
        return
    at_hand = Collection.at_hand()
    for problem in at_hand.problems:
        print(f"diffc: warning: {problem}", file=sys.stderr)
    _print_models(at_hand.files, arguments)


def bench(arguments: Sequence[str]) -> int:
    """``diffc bench``: hand over to the benchmarks, which need more than pictures do."""
    parser = argparse.ArgumentParser(prog="diffc bench", description=_BENCH)
    parser.add_argument("benchmark", choices=["rd"], help="rate and distortion beside other codecs")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see diffc bench rd --help")
    parsed = parser.parse_args(arguments)
    try:
        module = import_module("diffc_benchmarks.rate_distortion")
    except ModuleNotFoundError as error:
        print(
            f"diffc: {error.name} is not installed: pip install 'diffc-stream[bench]'",
            file=sys.stderr,
        )
        return 1
    keep_freed_memory()
    code: int = module.main(parsed.arguments, prog="diffc bench rd")
    return code


def _print_models(files: Sequence[collection.ModelFile], arguments: argparse.Namespace) -> None:
    facts = [
        {
            "name": file.description.name,
            "fingerprint": file.description.fingerprint,
            "parameters": file.description.parameters,
            "bytes": file.description.bytes,
            "default": file.path == collection.DEFAULT,
            "path": str(file.path),
        }
        for file in files
    ]
    if arguments.json:
        _print_json({"models": facts, "folder": str(collection.added())})
        return
    width = max(len(file.description.name) for file in files)
    for file in files:
        known = file.description
        note = "default" if file.path == collection.DEFAULT else ""
        print(
            f"{known.name:<{width}}  {known.fingerprint}  {known.parameters:>10,} parameters  "
            f"{known.bytes:>10,} bytes  {note:<7}  {file.path}"
        )


@dataclass(slots=True, kw_only=True)
class _Listed:
    """A step as ``inspect`` lists it."""

    step: container.Step
    begin: int
    """Where it stands in the stream."""
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


def _quality(arguments: argparse.Namespace, data: bytes, ends: list[int]) -> list[dict[str, float]]:
    """Return predicted and true PSNR of the pictures that the first bytes up to each end give."""
    from diffc_stream import codec

    original = load_picture(arguments.original)
    decoder = codec.Decoder(Collection.at_hand(arguments.model))
    points: list[dict[str, float]] = []
    with _progress("decoding", len(data)) as advance:
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
                    "psnr": psnr(rendering.image, original),
                }
            )
            advance(end, f"{points[-1]['psnr']:.2f} dB")
    return points


def _print_json(facts: object) -> None:
    print(json.dumps(_finite(facts), allow_nan=False))


def _finite(value: object) -> object:
    """Return ``value`` with null for what JSON has no number for: the PSNR of an exact copy."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(entry) for key, entry in value.items()}
        case list():
            return [_finite(entry) for entry in value]
    return value


def _print_facts(facts: dict[str, object]) -> None:
    console = Console(highlight=False)
    console.print(
        f"{facts['width']}x{facts['height']} pixels, {facts['bytes']} bytes, "
        f"{facts['bpp']:.4f} bpp, model {facts['model']}, seed {facts['seed']}, "
        f"checked up to byte {facts['verified_bytes']}",
        soft_wrap=True,
    )
    if facts["problem"]:
        console.print(f"problem: {facts['problem']}", soft_wrap=True)
    steps = facts["steps"]
    assert isinstance(steps, list)
    for number, step in enumerate(steps):
        delta = f"  delta {step['delta']:<10.5g}" if step["delta"] is not None else ""
        part = "" if step["received"] == step["bytes"] else f"  ({step['received']} arrived)"
        console.print(f"{number:4d}  {step['kind']:6s} {step['bytes']:7d} bytes{delta}{part}")
    quality = facts.get("quality")
    if isinstance(quality, list):
        console.print("  bytes      bpp  predicted     true")
        for point in quality:
            console.print(
                f"{point['bytes']:7d}  {point['bpp']:7.4f}  {point['predicted_psnr']:6.2f} dB  "
                f"{point['psnr']:6.2f} dB"
            )


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise StreamError(f"{path}: larger than {MOST_BYTES} bytes, not a stream")
    return data


class _Advance:
    """Moves a progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def __call__(self, completed: int, note: str) -> None:
        self._progress.update(self._task, completed=completed, note=note)


@contextmanager
def _progress(title: str, total: int | None) -> Iterator[_Advance]:
    columns = (
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.completed} bytes  {task.fields[note]}"),
        TimeElapsedColumn(),
    )
    # Only for people: nothing moves in a log file.
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield _Advance(bar, bar.add_task(title, total=total, note=""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="diffc",
        description="Pictures to progressive .dfc streams and back. "
        "A stream may be cut anywhere: what is left of it decodes.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, summary: str, example: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=f"example:\n  {example}\n\n{_EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("input", type=Path, metavar="IN")
        command.add_argument(
            "--model",
            type=Path,
            metavar="FILE",
            help="a model beside those that diffc models lists; encode uses it",
        )
        command.add_argument("--json", action="store_true", help="print one JSON object instead")
        return command

    encoding = add(
        "encode",
        "encode a picture as a stream",
        "diffc encode photo.jpg photo.dfc --bpp 0.2",
    )
    encoding.add_argument("output", type=Path, metavar="OUT")
    target = encoding.add_mutually_exclusive_group()
    target.add_argument("--bytes", type=_count, help="largest size of the stream")
    target.add_argument("--bpp", type=_rate, help="the same, in bits per pixel")
    encoding.add_argument(
        "--seed", type=_seed, default=0, help="of the shared randomness (default 0)"
    )

    decoding = add(
        "decode",
        "decode a stream, or the beginning of one, to a PNG",
        "diffc decode photo.dfc photo.png --max-bytes 2000 --render flow",
    )
    decoding.add_argument("output", type=Path, metavar="OUT")
    rendering = decoding.add_mutually_exclusive_group()
    rendering.add_argument(
        "--render",
        choices=["mmse", "flow", "ancestral"],
        default="mmse",
        help="mmse is closest to the original; flow and ancestral look real, and synthesise "
        "detail (default mmse)",
    )
    rendering.add_argument(
        "--realism",
        dest="render",
        metavar="R",
        type=_realism,
        default=argparse.SUPPRESS,
        help="anything between: from 0, which is mmse, to 1, which is flow",
    )
    decoding.add_argument(
        "--symmetries",
        type=int,
        choices=range(1, 9),
        default=2,
        metavar="N",
        help="average mmse over N mirror images and turns, 1 to 8: slower and slightly better "
        "(default 2)",
    )
    decoding.add_argument("--max-bytes", type=_count, help="use only the first N bytes")
    decoding.add_argument("--max-side", type=_count, help="halve until the side fits")
    decoding.add_argument(
        "--damaged", action="store_true", help="go on where a check fails instead of stopping"
    )

    inspecting = add(
        "inspect",
        "list what a stream holds",
        "diffc inspect photo.dfc --original photo.jpg",
    )
    inspecting.add_argument(
        "--original", type=Path, metavar="IMAGE", help="also compare predicted and true PSNR"
    )
    listing = commands.add_parser(
        "models",
        help="list the models at hand, or add one",
        description="List the models at hand.  A stream decodes only with the one that it was "
        "made with; diffc inspect tells which.",
        epilog=_MODELS_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _complete_models(listing)
    commands.add_parser("bench", help=_BENCH, description=_BENCH)
    return parser


def _complete_models(listing: argparse.ArgumentParser) -> None:
    listing.add_argument("--json", action="store_true", help="print one JSON object instead")
    actions = listing.add_subparsers(dest="action", metavar="add")
    summary = "copy a model file to where every command finds it, once it has proved sound"
    adding = actions.add_parser(
        "add",
        help=summary,
        description=summary,
        epilog=_MODELS_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    adding.add_argument("file", type=Path, metavar="FILE")
    # Without a default of its own, which would undo a --json further left.
    adding.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print one JSON object instead",
    )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a number of bits per pixel")
    return value


def _realism(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 1")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2^32 - 1")
    return value
