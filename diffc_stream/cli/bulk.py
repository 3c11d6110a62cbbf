"""``diffc bulk``: encodes all pictures of a folder or a bucket."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path

from diffc_stream import threads
from diffc_stream.budget import moment
from diffc_stream.cli.arguments import ENGINE, EXIT_CODES, Commands, count
from diffc_stream.cli.output import pictures_progress, print_json
from diffc_stream.cli.publish import add_settings, settings_of
from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.diffusion.collection import Collection
from diffc_stream.errors import UnusablePictures
from diffc_stream.flags import add_budget, add_camera, add_order, budget_of, order_of
from diffc_stream.ledger import Ledger

BUDGET = ".diffc-bulk-budget.json"
"""The file in DEST that has what was spent of the budget."""

_DESCRIPTION = """\
Encode all pictures below SOURCE: NAME becomes NAME.dfc below DEST, the same stream that diffc
encode makes.  What is there already and whole is not encoded again, so it may be interrupted at any
time.  DEST/.diffc-bulk/ has the manifest, a line of JSON for each picture.
SOURCE and DEST are folders, or URLs such as s3://BUCKET/PATH (extra remote).
"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bulk",
        help="encode all pictures of a folder or a bucket",
        description=_DESCRIPTION,
        epilog=f"example:\n  diffc bulk photos/ streams/ --bpp 1\n\n{ENGINE}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", metavar="SOURCE", help="a folder, or a URL")
    parser.add_argument("destination", metavar="DEST", help="a folder, or a URL")
    add_settings(parser)
    add_camera(parser, "")
    parser.add_argument(
        "--workers",
        metavar="N",
        type=count,
        help="processes, each on one core (default: as many as there are cores); large pictures "
        "take memory in each",
    )
    group = parser.add_argument_group("budget and order")
    add_budget(group, "bytes of streams to write")
    add_order(group, "name", "the newest pictures first, or all by name")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a model beside those that diffc models lists"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(arguments: argparse.Namespace) -> None:
    """Encode, and print a summary.  Raises UnusablePictures if some were left out.

    Raises ModelError, too, or what the choice of an engine does, before it writes anything.
    """
    from diffc_stream.bulk.places import PlaceNotes, place
    from diffc_stream.bulk.run import run as encode_all
    from diffc_stream.bulk.worker import Job

    job = Job(
        source=arguments.source,
        destination=arguments.destination,
        settings=settings_of(arguments),
        model=arguments.model,
        key_every=arguments.key_every if arguments.follow_camera else None,
    )
    # Before anything is made: of processes that cannot begin, nobody learns why.
    _ = Collection.at_hand(job.model).preferred
    budget, ledger = budget_of(arguments), None
    if not budget.unlimited:
        ledger = Ledger(budget, PlaceNotes(place(job.destination, make=True), BUDGET))
    order = order_of(arguments)
    workers = arguments.workers or threads.count()
    found = place(job.source).files()
    total = sum(1 for one in found if not one.name.endswith(STREAM_SUFFIX))
    with pictures_progress("encoding", total) as advance:
        done = encode_all(job, workers=workers, told=advance, order=order, ledger=ledger)
    if arguments.json:
        print_json(asdict(done))
    else:
        hourly = 3600 * done.encoded / done.seconds
        print(
            f"{job.destination}: {done.encoded} encoded, {done.bytes:,} bytes; "
            f"{done.skipped} there already, {done.failed} left out; "
            f"{done.seconds:.0f} s, {hourly:,.0f} an hour"
        )
        if done.spent and ledger is not None:
            when = moment(time.time() + ledger.wait(job.settings.bytes or 1))
            print(f"the budget ({budget}) is used up: go on at {when}")
    if done.failed:
        raise UnusablePictures(f"{done.failed} of {total} pictures were left out")
