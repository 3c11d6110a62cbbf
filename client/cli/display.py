"""Shows a picture in a terminal as it improves, above a line of text about it."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable
from typing import Self, TextIO

from ..api.latest import Latest
from ..decoding.refiner import Refinement
from . import terminal

BAR = 24
"""Characters of the progress bar."""
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
"""Begin and end of a synchronised update; terminals that do not know it ignore it."""
CLEAR_LINE = "\x1b[2K"
WAITING = "waiting for the first bytes"

Describe = Callable[[Refinement], tuple[str, float | None]]
"""Returns the text for a refinement, and its share of the target, 0 to 1; None if unknown."""


class Display:
    """Paints the newest refinement on a thread of its own, as fast as the terminal takes them.

    Every write leaves the cursor visible, at the beginning of the line below the picture, so that
    the terminal is usable however the program ends.
    """

    def __init__(
        self,
        stream: TextIO,
        how: terminal.Capability | None,
        describe: Describe,
        size: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        """Paint to ``stream``, a terminal; ``size`` returns its (columns, rows).

        Without ``how``, show only the line of text.
        """
        self._stream = stream
        self._how = how
        self._describe = describe
        self._size = size or self._asked
        # Random, so that a picture of an earlier run above is not replaced.
        self._number = 1 + secrets.randbelow(2**32 - 1)
        self._newest = Latest()
        self._room: tuple[int, int] | None = None
        self._cells = (0, 0)
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)

    def __enter__(self) -> Self:
        self._write(f"{WAITING}\r")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Paint the last refinement; leave the picture on the screen and the cursor below it."""
        self._newest.finish()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._write(f"\r{CLEAR_LINE}")

    def show(self, refinement: Refinement) -> None:
        """Paint a refinement soon, unless a newer one replaces it."""
        self._newest.put(refinement)

    def _run(self) -> None:
        try:
            while (refinement := self._newest.take()) is not None:
                self._paint(refinement)
        except OSError:
            pass  # the terminal is gone; receiving goes on

    def _paint(self, refinement: Refinement) -> None:
        room = self._size()
        line = self._line(refinement, room[0] - 1)
        if self._how is None:
            self._write(f"\r{CLEAR_LINE}{line}\r")
            return
        lead = f"\r\x1b[{self._cells[1]}A"
        if room != self._room:
            # After a resize only the terminal knows where the last picture is: begin below it.
            lead = f"\r{CLEAR_LINE}" + ("" if self._room is None else "\n")
            self._room = room
            self._cells = terminal.cells(
                refinement.image.shape, max(1, room[0] - 1), max(1, room[1] - 2)
            )
            # Scroll first, so that there is room for all of it.
            lead += "\n" * self._cells[1] + f"\r\x1b[{self._cells[1]}A"
        columns, rows = self._cells
        drawn = terminal.drawn(refinement.image, columns, rows, self._how, self._number)
        picture = "".join(f"{row}\r\n" for row in drawn)
        self._write(f"{BEGIN}{HIDE}{lead}{picture}{CLEAR_LINE}{line}\r{SHOW}{END}")

    def _line(self, refinement: Refinement, width: int) -> str:
        text, share = self._describe(refinement)
        if share is not None and BAR + 1 + len(text) <= width:
            full = round(min(max(share, 0.0), 1.0) * BAR)
            text = f"{'━' * full}{'╌' * (BAR - full)} {text}"
        encoding = self._stream.encoding
        return text[:width].encode(encoding, "replace").decode(encoding)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _asked(self) -> tuple[int, int]:
        size = os.get_terminal_size(self._stream.fileno())
        # A terminal that does not know its size says 0.
        return size.columns or 80, size.lines or 24
