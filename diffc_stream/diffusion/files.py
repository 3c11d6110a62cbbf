"""Files of models, which lie in folders where anything may lie: regular, of bounded size.

A pipe of that name would keep whoever opens it waiting for ever.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

# Without them a pipe is waited for, and a terminal becomes this process's.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def opened(path: Path) -> BinaryIO:
    """Open a regular file, or a link to one, for reading.  Raises OSError."""
    file = open(path, "rb", opener=lambda path, flags: os.open(path, flags | _AT_ONCE))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def contents(path: Path, most: int) -> bytes:
    """Return what is in a file.  Raises OSError, also beyond ``most`` bytes."""
    with opened(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes, too large", str(path))
    return data


def line(error: BaseException) -> str:
    """Return what an error says, in one line that holds nothing but characters to be shown."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return shown(text.split("\n", maxsplit=1)[0][:200])


def shown(text: object) -> str:
    """Return a text, a path for instance, without what a terminal would do something at."""
    return "".join(c if c.isprintable() else "?" for c in str(text))
