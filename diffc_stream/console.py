"""Print on consoles of any character set."""

from __future__ import annotations

import contextlib
import io
import sys


def escape_what_cannot_be_shown() -> None:
    r"""Print characters that standard output cannot show as escapes, such as ``\u0424``.

    Otherwise printing the name of a picture could fail, because names may contain characters that
    are missing from the character set of the terminal or of a redirected file.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):  # The stream is closed.
                stream.reconfigure(errors="backslashreplace")
