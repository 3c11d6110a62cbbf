"""``diffc decode``: a stream, or the beginning of one, to a picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream import container
from diffc_stream.cli import clips, references, streams
from diffc_stream.cli.arguments import SYMMETRIES, Commands, add_reference, command, count
from diffc_stream.cli.output import Advance, print_json, progress, reporting
from diffc_stream.clips import showing
from diffc_stream.container.clip import MOST_PICTURES
from diffc_stream.destination import check, spare
from diffc_stream.diffusion.collection import Collection
from diffc_stream.errors import NotAClip, StreamError, TargetError
from diffc_stream.flags import add_max_pixels, add_quality, add_rendering, integer
from diffc_stream.formats import FORMATS, format_of, save_picture
from diffc_stream.metrics import told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diffc_stream.codec import Decoder, Rendering
    from diffc_stream.references import References


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands,
        "decode",
        "decode a stream, or the beginning of one, to a picture, or to those of a clip",
        "diffc decode photo.dfc photo.png --max-bytes 2000 --render flow\n"
        "  diffc decode clip.dfc clip.webp",
    )
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUT",
        help=f"{', '.join(FORMATS)}, or what has no suffix, as a device or a pipe; - is standard "
        f"output, which gets a PNG. A clip becomes {showing.NAMES}, or one --picture of it",
    )
    add_quality(parser)
    add_rendering(parser)
    add_max_pixels(parser)
    add_reference(parser)
    parser.add_argument(
        "--symmetries",
        type=int,
        choices=range(1, 9),
        default=SYMMETRIES,
        metavar="N",
        help="average mmse over N mirror images and turns, 1 to 8: slower and slightly better "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--whole",
        action="store_true",
        help="if IN shows a part of the picture that it starts from, show it in its place there",
    )
    parser.add_argument(
        "--picture",
        type=integer(0, MOST_PICTURES),
        metavar="N",
        help="of a clip: only this, from 0",
    )
    parser.add_argument("--max-bytes", type=count, help="use only the first N bytes")
    parser.add_argument("--max-side", type=count, help="halve until the side fits")
    parser.add_argument(
        "--damaged", action="store_true", help="go on where a check fails instead of stopping"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the picture of a stream, or of its first bytes."""
    if arguments.whole and arguments.max_side is not None:
        raise TargetError("--whole shows the picture in full size: not with --max-side")
    if arguments.picture is None and showing.suits(arguments.output):
        showing.check(arguments.output, arguments.quality)
    else:
        format_of(arguments.output, arguments.quality)
        check(arguments.output)
    spare(arguments.output, (arguments.input, *arguments.reference))
    data = streams.read(arguments.input)[: arguments.max_bytes]
    warning: str | None = None
    if not arguments.damaged:
        data, error = container.verified(data)
        if error is not None:
            warning = f"{error}; decoding the {len(data)} bytes before it (--damaged goes on)"
            print(f"diffc: warning: {arguments.input}: {warning}", file=sys.stderr)
    header = container.Header.at(data)
    if header is not None and header.clip is not None:
        clips.decode(arguments, data, warning)
        return
    if arguments.picture is not None:
        raise NotAClip(f"{arguments.input}: a single picture, which has no --picture")
    format_of(arguments.output, arguments.quality)
    check(arguments.output)
    if header is not None and header.reference is not None:
        beside = references.beside(arguments.input, header.reference.name)
        spare(arguments.output, [] if beside is None else [beside])
    with progress("decoding", len(data)) as advance:
        models = Collection.at_hand(arguments.model)
        known = _references(arguments, models)
        decoder, stopped = _decoded(arguments, data, models, known, advance)
        advance(decoder.bytes_received, "rendering")
        rendering = decoder.render(
            arguments.render, symmetries=arguments.symmetries, max_side=arguments.max_side
        )
        image = rendering.image
        if arguments.whole:
            image = _whole(arguments.input, decoder, known, image)
        advance.working("writing")
        save_picture(
            arguments.output,
            image,
            text=rendering.description,
            metadata=rendering.metadata,
            quality=arguments.quality,
        )
    _report(arguments, decoder, rendering, warning or stopped)


def _report(
    arguments: argparse.Namespace, decoder: Decoder, rendering: Rendering, warning: str | None
) -> None:
    with reporting(arguments.output):
        if arguments.json:
            facts = {
                "bytes": rendering.bytes,
                "bpp": rendering.bpp,
                "predicted_psnr": rendering.predicted_psnr,
                "predicted_psnr_range": rendering.predicted_psnr_range,
                "render": rendering.method,
                "evaluations": decoder.evaluations,
                "failed_checks": decoder.damage,
                "warning": warning,
            }
            print_json(facts)
        else:
            print(
                f"{arguments.output}: {rendering.bytes} bytes, {rendering.bpp:.3f} bpp, "
                f"{told(rendering.predicted_psnr, rendering.predicted_psnr_range)} as mmse, "
                f"rendered: {rendering.description['diffc-render']}"
            )


def _references(arguments: argparse.Namespace, models: Collection) -> References:
    from diffc_stream.references import Pictures, References

    return References(
        models,
        references.finder(arguments.input, arguments.reference),
        pictures=Pictures(),
        most_pixels=arguments.max_pixels,
    )


def _whole(
    path: Path, decoder: Decoder, known: References, part: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    from diffc_stream.references import laid_over

    header = decoder.header
    if header is None or header.reference is None:
        raise StreamError(f"{path}: starts from no picture that --whole could show")
    return laid_over(header.reference, known(header.reference), part)


def _decoded(
    arguments: argparse.Namespace,
    data: bytes,
    models: Collection,
    known: References,
    advance: Advance,
) -> tuple[Decoder, str | None]:
    from diffc_stream import codec

    def make() -> Decoder:
        return codec.Decoder(
            models,
            damaged=arguments.damaged,
            most_pixels=arguments.max_pixels,
            references=known,
        )

    return streams.fed(make, data, arguments.input, advance, damaged=arguments.damaged)
