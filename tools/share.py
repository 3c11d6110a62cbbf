"""Generates what a system keeps in /usr/share for the commands: manuals, completion, file types.

    python -m tools.share build/share

It writes man/man1/ and the completions of bash and zsh from the parsers of the commands, and copies
the files in deploy/desktop/ to where desktops look for them.  The folder is made anew.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import shtab
from argparse_manpage.manpage import Manpage

import diffc_client.__main__
import diffc_server.cli
import diffc_stream.cli

DESKTOP = Path(__file__).parent.parent / "deploy" / "desktop"
PLACES = {
    "diffc.xml": "mime/packages",
    "diffc.thumbnailer": "thumbnailers",
    "diffc.magic": "misc",
}
"""The folder for each file of ``deploy/desktop``."""
COMMANDS: dict[str, tuple[Callable[[], argparse.ArgumentParser], str]] = {
    "diffc": (diffc_stream.cli.argument_parser, "pictures to progressive streams and back"),
    "diffc-client": (diffc_client.__main__.argument_parser, "receive pictures over slow links"),
    "diffc-server": (diffc_server.cli.argument_parser, "serve pictures over slow links"),
}
"""The parser of each command, and what it does."""
SHELLS = {"bash": "bash-completion/completions/{}", "zsh": "zsh/site-functions/_{}"}
"""Where each shell looks for the completion of a command."""
_FOLDERS = re.compile(r"DIR|FOLDER")


def files() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each file."""
    for name, (parser, what) in COMMANDS.items():
        yield f"man/man1/{name}.1", manual(name, parser(), what)
        for shell, place in SHELLS.items():
            yield place.format(name), completion(parser(), shell)
    for file, folder in PLACES.items():
        yield f"{folder}/{file}", (DESKTOP / file).read_text()


def manual(name: str, parser: argparse.ArgumentParser, what: str) -> str:
    """Return a manual page, in the language of ``man``."""
    examples, parser.epilog = parser.epilog, None
    page = str(
        Manpage(
            parser,
            format="pretty",
            _data={
                "project_name": "diffc-stream",
                "prog": name,
                "version": version("diffc-stream"),
                "description": what,
                "manual_section": "1",
                "manual_title": "diffc-stream",
            },
        )
    )
    # The day on which it was made says nothing, and would differ every day.
    page = re.sub(r'^(\.TH \S+ \S+ )"[^"]*"', r'\1""', page, count=1, flags=re.MULTILINE)
    # Text that begins with a full stop is not a request.
    page = re.sub(r"^\.(?!(?:TH|SH|SS|TP|PP|RS|RE|nf|fi|br)\b)", r"\\&.", page, flags=re.MULTILINE)
    more = "" if not examples else f"\n.SH NOTES\n.nf\n{_plain(examples)}\n.fi\n"
    return f"{page.rstrip()}\n{more}"


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return a shell's script that completes a command."""
    for each in _all(parser):
        for action in each._actions:
            if action.type is Path and not hasattr(action, "complete"):
                folder = _FOLDERS.search(str(action.metavar or action.dest).upper())
                action.complete = shtab.DIRECTORY if folder else shtab.FILE  # type: ignore[attr-defined]
    return str(shtab.complete(parser, shell=shell))


def _all(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _all(below)


def _plain(text: str) -> str:
    """Return text as ``man`` shows it unchanged."""
    escaped = text.strip().replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)


def main() -> None:
    """Write all files below the folder that is the only argument."""
    [folder] = map(Path, sys.argv[1:])
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
