"""What daemons bear: many receivers, slow receivers, broken stores, drains, mirrors.

    python -m benchmarks.load [--json] [--sections idle,frames]

Real daemons in processes of their own, on this machine (Linux: what they cost is read from /proc).
All of it takes a few minutes.

idle       the memory that receivers cost who say nothing, and who ask and then read nothing
downloads  a thousand receivers at once, every byte compared
frames     DATA frames a second from one process, beside a server that does nothing but send them
slow       what fast receivers notice of a slow one and of one that has stopped reading
faults     a store that is killed, full, damaged or gone
drain      receivers of a sender that is told to stop, with another one beside it
mirror     a folder of pictures over a slow link that is cut

A section is a module ``load_NAME`` with ``async def measure(report) -> dict[str, object]``: it says
what it is about to do by ``report``, and returns figures by name.  A figure that something was
asked of is a dictionary with ``asked`` and ``got``.  Times are printed and never
asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.table import Table

from .command import exit_code

SECTIONS = ("idle", "downloads", "frames", "slow", "faults", "drain", "mirror")

Facts = dict[str, object]
"""What is printed as JSON."""


def sections(text: str) -> list[str]:
    """Return the names in a comma-separated list.  Raises ArgumentTypeError for others."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in SECTIONS:
            known = ", ".join(SECTIONS)
            raise argparse.ArgumentTypeError(f"there is no section {name!r}, only {known}")
    return names


async def measure(names: list[str], report: Callable[[str], None]) -> Facts:
    """Return the figures of the sections of these names."""
    facts: Facts = {}
    for name in names:
        # Late, because each brings what only it needs.
        section = importlib.import_module(f".load_{name}", __package__)
        facts[name] = await section.measure(lambda what, name=name: report(f"{name}: {what}"))
    return facts


def table(facts: Mapping[str, object]) -> Table:
    """Return the facts for people: what was asked, and what was got."""
    shown = Table("section", "figure", "asked", "got")
    for section, figures in facts.items():
        assert isinstance(figures, Mapping)
        for name, figure in figures.items():
            asked, got = ("", figure)
            if isinstance(figure, Mapping) and figure.keys() >= {"asked", "got"}:
                asked, got = _cell(figure["asked"]), figure["got"]
            shown.add_row(section, name, asked, _cell(got))
    return shown


def _cell(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
        case Mapping():
            return ", ".join(f"{name} {_cell(inner)}" for name, inner in value.items())
        case list() | tuple():
            return ", ".join(_cell(inner) for inner in value)
    return str(value)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--sections",
        metavar="NAME[,NAME...]",
        type=sections,
        default=list(SECTIONS),
        help=f"of {', '.join(SECTIONS)} (all)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    errors = Console(stderr=True)
    facts = asyncio.run(measure(options.sections, errors.print))
    if options.json:
        print(json.dumps(facts))
    else:
        Console().print(table(facts))


if __name__ == "__main__":
    sys.exit(exit_code("benchmarks.load", main))
