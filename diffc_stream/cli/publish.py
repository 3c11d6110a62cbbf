"""``diffc publish``: a folder of pictures as files for any web server."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream.cli.arguments import ENGINE, EXIT_CODES, Commands, count
from diffc_stream.cli.output import pictures_progress, print_json
from diffc_stream.diffusion.collection import Collection
from diffc_stream.errors import UnusablePictures
from diffc_stream.flags import add_camera, add_metadata, number

if TYPE_CHECKING:
    from diffc_stream.bulk.encoding import Settings

MOST_BPP, MOST_PSNR = 1000.0, 100.0

_DESCRIPTION = """\
Publish the pictures and streams below SOURCE into the folder DEST, so that any web server, object
store or CDN can serve them: streams, thumbnails, a catalogue, the page that shows them, and the
model that decodes them.  What is there already and whole is not made again; files that this command
did not write are never touched.
"""
_EXAMPLE = "diffc publish photos/ site/ --bpp 1"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "publish",
        help="pictures as files that any web server can serve",
        description=_DESCRIPTION,
        epilog=f"example:\n  {_EXAMPLE}\n\n{ENGINE}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=_folder, metavar="SOURCE", help="a folder")
    parser.add_argument("destination", type=_folder, metavar="DEST", help="a folder")
    add_settings(parser)
    add_camera(parser, "")
    parser.add_argument(
        "--prune",
        action="store_true",
        help="delete what earlier publications wrote and this one does not need; pages that are "
        "open in browsers may still ask for it",
    )
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a model beside those that diffc models lists"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how far pictures are encoded."""
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--bytes", metavar="N", type=count, help="largest size of each stream")
    target.add_argument("--bpp", metavar="X", type=number(MOST_BPP), help="... in bits per pixel")
    target.add_argument(
        "--psnr", metavar="DB", type=number(MOST_PSNR), help="... or until so good, as predicted"
    )
    add_metadata(parser)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return what :func:`add_settings` has asked for."""
    from diffc_stream.bulk.encoding import Settings

    return Settings(
        bytes=arguments.bytes,
        bpp=arguments.bpp,
        psnr=arguments.psnr,
        facts=arguments.metadata,
    )


def run(arguments: argparse.Namespace) -> None:
    """Publish, and print a summary.  Raises UnusablePictures if some were left out."""
    from diffc_stream import codec
    from diffc_stream.bulk.places import Folder
    from diffc_stream.publishing.publication import publish

    models = Collection.at_hand(arguments.model)
    total = sum(1 for _ in Folder(arguments.source).files())
    codec.prepare()
    with pictures_progress("publishing", total) as advance:
        done = publish(
            arguments.source,
            arguments.destination,
            models=models,
            settings=settings_of(arguments),
            key_every=arguments.key_every if arguments.follow_camera else None,
            prune=arguments.prune,
            told=advance,
        )
    if arguments.json:
        print_json(asdict(done))
    else:
        print(
            f"{arguments.destination}: {done.pictures} pictures, {done.bytes:,} bytes of streams; "
            f"{done.encoded} encoded, {done.written} files written, {done.kept} there already"
            + (f", {done.pruned} deleted" if arguments.prune else "")
        )
    if not done.page:
        print("diffc: there is no page: run make viewer, and publish again", file=sys.stderr)
    if done.failed:
        raise UnusablePictures(f"{len(done.failed)} of {total} pictures were left out")


def _folder(text: str) -> Path:
    if "://" in text:  # a Path would make it the name of a folder here
        raise argparse.ArgumentTypeError(
            f"{text} is a URL: publish takes folders, and what it writes may be uploaded"
        )
    return Path(text)
