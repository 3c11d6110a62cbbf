"""``diffc encode``: a picture to a stream."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream.cli import clips, references, streams
from diffc_stream.cli.arguments import Commands, add_reference, command, count
from diffc_stream.cli.output import Advance, print_json, progress, reporting
from diffc_stream.container import Prefix, Simulator
from diffc_stream.destination import STANDARD, check, opened, spare
from diffc_stream.diffusion.collection import Collection
from diffc_stream.errors import NothingDecodable, PictureError, TargetError, UnknownModel
from diffc_stream.flags import Rectangle, add_metadata, rectangle
from diffc_stream.metrics import told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diffc_stream.codec import EncodeReport, Held
    from diffc_stream.container import Reference
    from diffc_stream.diffusion.model import Model


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands,
        "encode",
        "encode a picture, or a clip of some seconds, as a stream",
        "diffc encode photo.jpg photo.dfc --bpp 0.2\n"
        "  diffc encode clip.mp4 clip.dfc --seconds 2 --bytes 16000",
    )
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUT",
        help="a file, or what is none, as a device or a pipe; - is standard output",
    )
    clips.add_footage(parser)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--bytes", type=count, help="largest size of the stream")
    target.add_argument("--bpp", type=_rate, help="the same, in bits per pixel")
    parser.add_argument(
        "--simulator",
        choices=[simulator.name.lower() for simulator in Simulator],
        default=Simulator.TRELLIS.name.lower(),
        help="how samples are coded (default trellis; the exact ones, pfr and dither, are for "
        "study: slow, or many bytes)",
    )
    add_metadata(parser)
    parser.add_argument("--seed", type=_seed, help="of the shared randomness (default 0)")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="start from this picture, or stream, that the receiver has: a thumbnail, or the "
        "picture before of the same camera. Only what differs takes bytes. What this stream starts "
        "from in turn is looked for in its folder",
    )
    add_reference(
        parser,
        "what the stream of --start starts from, if that is elsewhere; may be given several times",
    )
    parser.add_argument(
        "--region",
        type=rectangle,
        metavar="LEFT,TOP,WIDTH,HEIGHT",
        help="encode this part of the picture only, in pixels; with --start it starts from that "
        "part of FILE, which shows the whole picture, and decode --whole shows both",
    )
    parser.add_argument(
        "--extend",
        type=Path,
        metavar="PREFIX",
        help="go on from this stream, or beginning of one, of the same picture, with its model and "
        "seed; sizes are of the whole stream, and OUT may be PREFIX",
    )


def run(arguments: argparse.Namespace) -> None:
    """Write the stream of a picture, or of a clip."""
    check(arguments.output)
    if arguments.reference and arguments.start is None:
        raise TargetError("--reference is what the stream of --start starts from: give that, too")
    needed = (arguments.input, arguments.start, *arguments.reference)
    spare(arguments.output, (path for path in needed if path is not None))
    if clips.wanted(arguments):
        clips.encode(arguments)
        return
    with progress("encoding") as advance:
        report = _encode(arguments, advance)
    with reporting(arguments.output):
        if arguments.json:
            print_json(asdict(report))
        else:
            if arguments.start is not None and not report.reference:
                print(f"{arguments.start} is of no use for this picture: not started from")
            print(
                f"{arguments.output}: {report.bytes} bytes, {report.bpp:.3f} bpp, "
                f"{report.psnr:.2f} dB, {report.steps} steps, "
                f"{report.evaluations:.1f} evaluations, {report.seconds:.1f} s"
            )


def _encode(arguments: argparse.Namespace, advance: Advance) -> EncodeReport:
    advance.working("reading")
    from diffc_stream import codec

    whole, metadata = streams.photograph(arguments.input)
    picture = _part(whole, arguments.region)
    height, width = picture.shape[:2]
    target = arguments.bytes
    if arguments.bpp is not None:
        target = int(arguments.bpp * width * height / 8)
    advance.towards(target)
    models = Collection.at_hand(arguments.model)
    prefix = b""
    named: Reference | None = None
    model: Model | None
    if arguments.extend is None:
        model = models.preferred
    else:
        prefix = streams.read(arguments.extend)
        header = Prefix(prefix).header
        if header is None:
            raise NothingDecodable(f"{arguments.extend}: ends within its header")
        named = header.reference
        model = models.get(header.model)
        if model is None:
            raise UnknownModel(header.model)
    codec.prepare()
    encoder = codec.Encoder(
        picture,
        model,
        target_bytes=target,
        seed=arguments.seed,
        prefix=prefix,
        simulator=Simulator[arguments.simulator.upper()],
        metadata=metadata.only(arguments.metadata),
        reference=_start(arguments, models, whole, named),
    )
    with opened(arguments.output) as out:
        out.write(prefix)
        for piece in encoder:
            out.write(piece)
            out.flush()  # The reader of a pipe can show a picture already.
            expected = encoder.chain.now().expected
            advance(encoder.written, told(expected.psnr, expected.psnr_range))
        return encoder.report()


def _part(whole: NDArray[np.uint8], region: Rectangle | None) -> NDArray[np.uint8]:
    if region is None:
        return whole
    left, top, width, height = region
    if left + width > whole.shape[1] or top + height > whole.shape[0]:
        raise TargetError(
            f"--region {left},{top},{width},{height} reaches beyond the picture, which has "
            f"{whole.shape[1]}x{whole.shape[0]} pixels"
        )
    return whole[top : top + height, left : left + width].copy()


def _start(
    arguments: argparse.Namespace,
    models: Collection,
    whole: NDArray[np.uint8],
    named: Reference | None,
) -> Held | None:
    """Return the picture to start from; ``named`` is what the stream to extend starts from."""
    path: Path | None = arguments.start
    if path is None:
        return None
    from diffc_stream.references import held

    find = references.finder(path, arguments.reference)
    data = streams.read(path)
    if named is not None and named.matches(data):
        data = data[: named.size]  # a stream may have grown since
    try:
        start = held(data, models, name="" if path == STANDARD else path.name, find=find)
    except PictureError as error:
        raise type(error)(f"{path}: {error}") from error
    if arguments.region is None:
        return start
    left, top, width, height = arguments.region
    if start.picture.shape != whole.shape:
        raise TargetError(
            f"{path}: with --region it has to be as large as the picture, "
            f"{whole.shape[1]}x{whole.shape[0]} pixels"
        )
    return replace(start, view=(top, left, height, width))


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value < 1000:
        raise argparse.ArgumentTypeError(f"{text} is not a number of bits per pixel")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 2^32 - 1")
    return value
