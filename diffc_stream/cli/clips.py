"""Clips in ``diffc encode`` and ``diffc decode``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from diffc_stream.cli import streams
from diffc_stream.cli.arguments import SYMMETRIES
from diffc_stream.cli.output import print_json, progress, reporting
from diffc_stream.container import Facts, Simulator
from diffc_stream.container.metadata import DISCREET
from diffc_stream.destination import STANDARD, opened
from diffc_stream.diffusion.collection import Collection
from diffc_stream.errors import StreamError, TargetError
from diffc_stream.flags import integer, number
from diffc_stream.formats import save_picture

FOOTAGE = ("fps", "seconds", "side")
"""Options of ``encode`` that only clips have."""
NO_CLIP: Mapping[str, tuple[object, ...]] = {
    "start": (None,),
    "reference": ([],),
    "region": (None,),
    "extend": (None,),
    "bpp": (None,),
    "simulator": (Simulator.TRELLIS.name.lower(),),
    "metadata": (DISCREET, Facts()),
}
"""Options of ``encode`` that clips do not have, and the values with which they ask for nothing."""
NO_CLIP_SHOWN: Mapping[str, object] = {
    "render": "mmse",
    "whole": False,
    "max_side": None,
    "symmetries": SYMMETRIES,
    "reference": [],
}
"""Options of ``decode`` that clips do not have, and their defaults."""


def add_footage(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what of a video goes into a stream."""
    group = parser.add_argument_group(
        "clips",
        "IN is a video, a folder of pictures or, with one of these options, an animation; videos "
        "need PyAV: pip install 'diffc-stream[video]'",
    )
    group.add_argument("--fps", type=number(1000), help="pictures a second (default 12)")
    group.add_argument("--seconds", type=number(1000), help="from the beginning (default: all)")
    group.add_argument(
        "--side", type=integer(16, 65_535), help="pixels of the longest side (default 320)"
    )


def wanted(arguments: argparse.Namespace) -> bool:
    """Return whether a clip is to be encoded."""
    from diffc_stream.clips.footage import is_footage

    if any(getattr(arguments, option) is not None for option in FOOTAGE):
        return True
    return arguments.input != STANDARD and is_footage(arguments.input)


def encode(arguments: argparse.Namespace) -> None:
    """Write the stream of a clip.  Raises PictureError, TargetError or OSError."""
    if arguments.input == STANDARD:
        raise TargetError("a clip is read from a file or a folder, not from standard input")
    for option, nothing in NO_CLIP.items():
        if getattr(arguments, option) not in nothing:
            raise TargetError(f"--{option} is for single pictures, and this is a clip")
    with progress("encoding") as advance:
        advance.working("reading")
        from diffc_stream import codec
        from diffc_stream.clips.encoder import ClipEncoder
        from diffc_stream.clips.footage import RATE, SIDE, load_footage

        footage = load_footage(
            arguments.input,
            rate=arguments.fps or RATE,
            seconds=arguments.seconds,
            side=arguments.side or SIDE,
        )
        advance.towards(arguments.bytes)
        advance.working("comparing")
        codec.prepare()
        encoder = ClipEncoder(
            footage.pictures,
            Collection.at_hand(arguments.model).preferred,
            milliseconds=footage.milliseconds,
            target_bytes=arguments.bytes,
            seed=arguments.seed or 0,
        )
        with opened(arguments.output) as out:
            for piece in encoder:
                out.write(piece)
                out.flush()  # The reader of a pipe can show pictures already.
                advance(encoder.written, f"{encoder.steps} steps")
        facts = {
            "bytes": encoder.written,
            "pictures": len(footage.pictures),
            "width": encoder.header.width,
            "height": encoder.header.height,
            "milliseconds": footage.milliseconds,
            "psnr": encoder.psnr(),
            "steps": encoder.steps,
        }
    with reporting(arguments.output):
        if arguments.json:
            print_json(facts)
        else:
            print(
                f"{arguments.output}: {facts['bytes']} bytes, {facts['pictures']} pictures of "
                f"{facts['width']}x{facts['height']}, {footage.milliseconds} ms each, "
                f"{facts['psnr']:.2f} dB, {facts['steps']} steps"
            )


def decode(arguments: argparse.Namespace, data: bytes, warning: str | None) -> None:
    """Write the pictures of a clip, or one of them.  Raises StreamError, DestinationError."""
    from diffc_stream.clips import ClipDecoder, showing
    from diffc_stream.clips.group import MOST_PIXELS

    if arguments.picture is None:
        showing.check(arguments.output, arguments.quality)
    for option, usual in NO_CLIP_SHOWN.items():
        if getattr(arguments, option) != usual:
            name = option.replace("_", "-")
            raise StreamError(f"{arguments.input}: a clip, for which there is no --{name}")
    models = Collection.at_hand(arguments.model)

    def make() -> ClipDecoder:
        return ClipDecoder(
            models,
            damaged=arguments.damaged,
            most_pixels=min(arguments.max_pixels, MOST_PIXELS),
        )

    with progress("decoding", len(data)) as advance:
        decoder, stopped = streams.fed(
            make, data, arguments.input, advance, damaged=arguments.damaged
        )
        predicted = decoder.predicted_psnr()
        if arguments.picture is not None:
            if arguments.picture >= len(decoder):
                raise StreamError(f"{arguments.input}: has {len(decoder)} pictures, from 0")
            image = decoder.render(arguments.picture)
            save_picture(
                arguments.output, image, metadata=decoder.metadata, quality=arguments.quality
            )
        else:
            pictures = []
            for number in range(len(decoder)):
                advance.working("rendering", number / len(decoder))
                pictures.append(decoder.render(number))
            advance.working("writing")
            showing.save(
                arguments.output, pictures, decoder.milliseconds, quality=arguments.quality
            )
    facts = {
        "bytes": decoder.bytes_received,
        "pictures": len(decoder),
        "milliseconds": decoder.milliseconds,
        "predicted_psnr": predicted,
        "failed_checks": decoder.damage,
        "warning": warning or stopped,
    }
    with reporting(arguments.output):
        if arguments.json:
            print_json(facts)
        else:
            print(
                f"{arguments.output}: {facts['bytes']} bytes, {facts['pictures']} pictures, "
                f"about {predicted:.1f} dB"
            )
