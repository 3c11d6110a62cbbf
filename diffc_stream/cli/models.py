"""``diffc models``: which models are at hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from diffc_stream.cli.arguments import ENGINE, EXIT_CODES, Commands
from diffc_stream.cli.output import print_json
from diffc_stream.diffusion import collection
from diffc_stream.diffusion.collection import Collection

_EXAMPLES = f"""\
examples:
  diffc models
  diffc models add base-1234abcd.safetensors

Added models are kept in the folder $DIFFC_MODELS or, unless that is set, in
$XDG_DATA_HOME/diffc-stream/models, where XDG_DATA_HOME is ~/.local/share unless set.

A model comes with a graph, NAME-FINGERPRINT.onnx beside it, which ONNX Runtime needs and torch
does without.

{ENGINE}
{EXIT_CODES}"""


def add(commands: Commands) -> None:
    """Add the command."""
    listing = commands.add_parser(
        "models",
        help="list the models at hand, or add one",
        description="List the models at hand.  A stream decodes only with the one that it was "
        "made with; diffc inspect tells which.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.add_argument("--json", action="store_true", help="print one JSON object instead")
    actions = listing.add_subparsers(dest="action", metavar="add")
    summary = "copy a model file to where every command finds it, once it has proved sound"
    adding = actions.add_parser(
        "add",
        help=summary,
        description=summary,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    adding.add_argument("file", type=Path, metavar="FILE")
    # Without a default of its own, which would override a --json further left.
    adding.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print one JSON object instead",
    )


def run(arguments: argparse.Namespace) -> None:
    """List the models at hand, or add one to them."""
    if arguments.action == "add":
        _print_models([collection.add(arguments.file)], arguments)
        return
    at_hand = Collection.at_hand()
    for problem in at_hand.problems:
        print(f"diffc: warning: {problem}", file=sys.stderr)
    _print_models(at_hand.files, arguments)


def _print_models(files: Sequence[collection.ModelFile], arguments: argparse.Namespace) -> None:
    facts = [
        {
            "name": file.description.name,
            "fingerprint": file.description.fingerprint,
            "parameters": file.description.parameters,
            "bytes": file.description.bytes,
            "engines": list(file.engines),
            "default": file.path == collection.DEFAULT,
            "path": str(file.path),
        }
        for file in files
    ]
    if arguments.json:
        print_json({"models": facts, "folder": str(collection.added())})
        return
    width = max(len(file.description.name) for file in files)
    engines = max(len(_engines(file)) for file in files)
    for file in files:
        known = file.description
        note = "default" if file.path == collection.DEFAULT else ""
        print(
            f"{known.name:<{width}}  {known.fingerprint}  {known.parameters:>10,} parameters  "
            f"{known.bytes:>10,} bytes  {note:<7}  {_engines(file):<{engines}}  {file.path}"
        )


def _engines(file: collection.ModelFile) -> str:
    return ", ".join(file.engines) or "needs torch"
