"""``diffc receive-packets``: show the picture of a broadcast as it comes in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream.cli import references
from diffc_stream.cli.arguments import ENGINE, Commands, add_reference
from diffc_stream.cli.output import print_json
from diffc_stream.destination import STANDARD, check, spare, writing
from diffc_stream.diffusion.collection import Collection
from diffc_stream.errors import NothingDecodable
from diffc_stream.flags import add_max_pixels, add_quality, add_rendering, identity, number
from diffc_stream.formats import FORMATS, format_of, save_picture
from diffc_stream.metrics import told

if TYPE_CHECKING:
    from diffc_stream.reception import Reception

_SUMMARY = "receive a stream in packets of which some are lost"

_DESCRIPTION = """\
Receive a stream in packets, and write the picture that they give as it sharpens: from UDP, from a
folder of packets, or from standard input, each packet behind its length.  Packets may come in any
order, more than once, and from several receivers.  It ends when all has arrived, when the input
ends, after --seconds, or at Ctrl-C.
"""

_EXAMPLES = f"""\
examples:
  diffc receive-packets udp://0.0.0.0:7000 photo.png
  diffc receive-packets udp://239.1.2.3:7000 photo.png --stream photo.dfc --seconds 600
  diffc receive-packets inbox/ photo.png --json
  diffc receive-packets - photo.png < /dev/ttyUSB0

{ENGINE}
exit codes:
  0  a picture has been written, or was complete
  2  wrong usage, or an address that cannot be had
  3  not a single picture has arrived
  5  the stream cannot be used
  6  its model is missing or unusable, or the picture that it starts from is missing
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "receive-packets",
        help=_SUMMARY,
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "source",
        metavar="FROM",
        help="udp://HOST:PORT to receive at (0.0.0.0 for all addresses, or a group), a folder, or "
        "- for standard input",
    )
    add("output", type=Path, metavar="OUT", help=f"a picture: {', '.join(FORMATS)}")
    add("--stream", type=Path, metavar="FILE", help="write the .dfc here, when it is complete")
    add("--wanted", type=identity, metavar="HEX", help="only this stream, as send-packets said")
    add("--seconds", type=number(10**7), metavar="S", help="stop after so long")
    add(
        "--every",
        type=number(3600.0),
        default=1.0,
        metavar="S",
        help="write no picture sooner after the last (1)",
    )
    add("--model", type=Path, metavar="FILE", help="a model beside those that diffc models lists")
    add_quality(parser)
    add_rendering(parser)
    add_max_pixels(parser)
    add_reference(parser)
    add("--json", action="store_true", help="print one JSON object for each picture")


def run(arguments: argparse.Namespace) -> None:
    """Receive until all is there."""
    from diffc_stream.reception import Reception, sharpening
    from diffc_stream.references import References
    from diffc_stream.transport.carriers import arriving

    format_of(arguments.output, arguments.quality)
    check(arguments.output)
    spare(arguments.output, arguments.reference)
    if arguments.stream is not None:
        check(arguments.stream)
        spare(arguments.stream, (arguments.output, *arguments.reference))
    models = Collection.at_hand(arguments.model)
    reception = Reception(
        models,
        wanted=arguments.wanted,
        most_pixels=arguments.max_pixels,
        references=References(models, references.finder(STANDARD, arguments.reference)),
    )
    shown = False
    with arriving(arguments.source, seconds=arguments.seconds) as packets:
        live = not Path(arguments.source).is_dir()
        for _ in sharpening(reception, packets, every=arguments.every, live=live):
            shown = _write(reception, arguments) or shown
    if not shown:
        raise NothingDecodable(f"no picture has arrived: {reception.progress}")
    if arguments.stream is not None and reception.progress.complete:
        with writing(arguments.stream) as file:
            file.write(reception.stream)


def _write(reception: Reception, arguments: argparse.Namespace) -> bool:
    """Write the picture that there is, and say what it is; return whether there is one."""
    progress = reception.progress
    try:
        rendering = reception.render(arguments.render)
    except NothingDecodable:
        return False
    save_picture(
        arguments.output,
        rendering.image,
        text=rendering.description,
        metadata=rendering.metadata,
        quality=arguments.quality,
    )
    if arguments.json:
        print_json(
            {
                "stream": None if progress.stream is None else f"{progress.stream:04x}",
                "packets": progress.packets,
                "duplicates": progress.duplicates,
                "damaged": progress.damaged,
                "foreign": progress.foreign,
                "pieces": progress.pieces,
                "missing": progress.missing,
                "complete": progress.complete,
                "station": progress.station,
                "bytes": rendering.bytes,
                "predicted_psnr": rendering.predicted_psnr,
                "predicted_psnr_range": rendering.predicted_psnr_range,
            }
        )
    else:
        of = f" of {progress.station}" if progress.station else ""
        psnr = told(rendering.predicted_psnr, rendering.predicted_psnr_range)
        print(f"{arguments.output}{of}: {progress}, {psnr}")
    print(end="", flush=True)  # which does nothing if standard output is closed
    return True
