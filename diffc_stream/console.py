"""What commands print, on consoles of any character set."""

from __future__ import annotations

import contextlib
import io
import sys


def escape_what_cannot_be_shown() -> None:
    r"""Have what standard output has no characters for written as Python would, ``\u0424``.

    What it is redirected to may be of another set than the names in it, whatever the locale.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):  # closed: nobody sees it
                stream.reconfigure(errors="backslashreplace")
