"""``diffc-client get``: fetches one picture."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from diffc_stream.destination import is_standard
from diffc_stream.flags import add_quality, number, rectangle
from diffc_stream.formats import FORMATS
from diffc_stream.session import Terms

from ..api.demand import COARSE
from ..remote.address import Address
from .options import EXIT_CODES, LONGEST, access, add_command, add_receiving, add_target, target
from .progress import Picture, progress, summary

DESCRIPTION = """\
Fetch one picture and write it when it is complete, in the format of OUT's suffix.  The link may
break meanwhile: bytes that have arrived are not asked for again, not even by later calls.
"""

EXAMPLES = (
    """\
examples:
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png
      all that the sender has
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --bytes 4000
      the picture that 4,000 bytes give
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --psnr 30
      as good as that, as far as the sender can predict; asked again with 33, only the rest is sent
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --bpp 0.2 --keep-stream coffee.dfc
      keep the stream too; the same command again, with --bpp 0.4, continues it
  diffc-client get https://example.org/coffee.jpg.dfc -o coffee.png --bpp 0.2
      a stream that lies on any web server or object store
  diffc-client get mqtt://hub/cameras/gate//coffee.jpg -o coffee.png
      a picture that a sender publishes to an MQTT broker, below the topic cameras/gate
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --region 300,120,200,160 --psnr 34
      that part as good as that, and the rest coarsely
  diffc-client get ws://station:8765/coffee.jpg -o coffee.png --render flow
      looks real rather than smooth: its detail is synthesised

"""
    + EXIT_CODES
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    get = add_command(
        commands,
        "get",
        _get,
        help="fetch one picture",
        description=DESCRIPTION,
        examples=EXAMPLES,
    )
    get.add_argument(
        "url",
        metavar="URL",
        help="ws://HOST:PORT/IMAGE, http://HOST/IMAGE.dfc or mqtt://HOST/PREFIX//IMAGE",
    )
    get.add_argument(
        "-o",
        "--out",
        metavar="OUT",
        type=Path,
        required=True,
        help=f"picture to write: {', '.join(FORMATS)}, or a PNG where there is no suffix, as to a "
        "device or a pipe; - is standard output",
    )
    add_quality(get)
    add_target(get, "stop after so many bytes", side=True)
    _add_streams(get)
    get.add_argument(
        "--patience",
        metavar="SECONDS",
        type=number(LONGEST),
        default=60.0,
        help="give up a broken link after so long without a byte (%(default)g)",
    )
    get.add_argument("--json", action="store_true", help="print one JSON object when done")
    get.add_argument(
        "--picture",
        choices=get_args(Picture),
        default="auto",
        help="how the terminal shows it as it improves: by its own graphics, as half blocks in "
        "colours, or not at all (%(default)s: as the environment says; NO_COLOR is off)",
    )
    add_receiving(get)


def _add_streams(get: argparse.ArgumentParser) -> None:
    """Add the options about which stream is asked for, and which are kept."""
    get.add_argument(
        "--region",
        metavar="LEFT,TOP,WIDTH,HEIGHT",
        type=rectangle,
        help="this part of the picture, in pixels, and the rest of it coarsely: a quarter of "
        f"--bytes is for the whole, at most {COARSE.bpp:g} bits per pixel, and the target is the "
        "part's",
    )
    get.add_argument(
        "--keep-stream", metavar="FILE.dfc", type=Path, help="keep the stream; continue one"
    )
    get.add_argument(
        "--plain",
        action="store_true",
        help="ask for a stream that starts from no other picture: for a single picture of a camera "
        "it may be less than all that come before it",
    )
    get.add_argument(
        "--no-cache",
        action="store_true",
        help="neither use nor extend the cache of streams received before "
        "(in $DIFFC_CACHE, else in ~/.cache/diffc-stream)",
    )


def _get(options: argparse.Namespace) -> int:
    # Imported late, because they bring the codec, which --help does not need.
    from ..decoding.decoders import ModelDecoders
    from ..storage.cache import usual_folder
    from .fetch import Request, fetch

    # Parsed before the model is loaded, so that a mistyped address is reported at once.
    address = Address.parse(options.url)
    request = Request(
        address=address,
        out=options.out,
        target=target(options),
        region=options.region,
        quality=options.quality,
        render=options.render,
        keep_stream=options.keep_stream,
        plain=options.plain,
        store=None if options.no_cache else usual_folder(),
        patience=options.patience,
        terms=Terms(window=options.window),
        access=access(options),
    )
    decoders = ModelDecoders.load(options.model, max_pixels=options.max_pixels)
    with progress(request.target, options.picture) as show:
        fetched = asyncio.run(fetch(request, decoders, show))
    line = f"{fetched.out}: {summary(fetched, fetched.render)}"
    print(
        json.dumps(asdict(fetched)) if options.json else line,
        file=sys.stderr if is_standard(options.out) else sys.stdout,
    )
    return 0
