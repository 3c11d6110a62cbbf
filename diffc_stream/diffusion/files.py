"""Open model files safely: only regular files, and only up to a size.

They lie in folders that may contain anything.  A named pipe, for instance, would keep the process
that opens it waiting for ever.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

# Without these flags, opening a pipe waits, and opening a terminal may make it this process's own.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def opened(path: Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading.  Raises OSError."""
    file = open(path, "rb", opener=lambda path, flags: os.open(path, flags | _AT_ONCE))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def contents(path: Path, most: int) -> bytes:
    """Return the contents of a file.  Raises OSError, also beyond ``most`` bytes."""
    with opened(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes, too large", str(path))
    return data


def line(error: BaseException) -> str:
    """Return an error's message as one line of printable characters."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shown(text.split("\n", maxsplit=1)[0][:200])


def shown(text: object) -> str:
    """Return a text, such as a path, without characters that would control a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text))
