"""Ctrl-C ends a command within a second, with one line, and with nothing left half-written.

The same goes for ``kill`` and for a terminal that is closed.

Python alone does not do that.  It raises KeyboardInterrupt in the main thread, between two
instructions.  While the main thread imports modules, that ends in a traceback.  While it is in
native code, such as the evaluation of a large picture, nothing happens for half a minute.  And when
it has ended, the interpreter waits for all other threads.  Therefore this module imports and runs
the commands.  A library must not do this to the program that uses it, so nothing happens on import.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

CODE = 130
"""The exit code after Ctrl-C: 128 plus the number of the signal, as in shells."""
GRACE = 0.5
"""Seconds that a command has to close what it has open; after that the process is ended."""

_ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a process unless it handles them, as daemons do."""
_BY_SIGNAL = 128
"""Added to a signal's number, the exit code of a process that the signal ended."""
_ERRORS = 2
"""Descriptor of standard error.  Python's object for it may be in use by another thread."""
_SHOW_CURSOR = "\x1b[?25h"


def run(program: str, load: Callable[[], Callable[[], int]]) -> int:
    """Run the function that ``load`` imports, and return its exit code, or that of Ctrl-C.

    ``program`` is the name at the start of the line on standard error.  If Ctrl-C is ignored, as in
    processes that a shell started in the background, it stays ignored.
    """
    watch = _Watch(program)
    endings = [number for number in _ENDINGS if signal.getsignal(number) is signal.SIG_DFL]
    for number in endings:
        signal.signal(number, _end)
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        watch.begin()
        try:
            return load()()
        finally:
            watch.close()
            for number in endings:
                signal.signal(number, signal.SIG_DFL)
    # During imports there is nothing to close, so end at once.
    signal.signal(signal.SIGINT, watch.end)
    main = load()
    watch.begin()
    code = CODE
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = main()
    except SystemExit:
        raise
    except BaseException as error:
        # KeyboardInterrupt may have become another error on its way through other libraries.
        if not (isinstance(error, KeyboardInterrupt) or watch.interrupted()):
            raise
        signal.signal(signal.SIGINT, watch.end)
        watch.tell()
    if code == CODE:
        watch.told = True
        signal.signal(signal.SIGINT, watch.end)  # The interpreter would print a traceback.
    return code


def leave(code: int) -> NoReturn:
    """End the process at once: delete files that are half-written, and wait for no thread."""
    if replacement := sys.modules.get("diffc_stream.replacement"):
        replacement.abandon()
    if processes := sys.modules.get("multiprocessing"):
        for child in processes.active_children():
            child.kill()
    os._exit(code)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End the process as the signal would have done.  A signal handler."""
    leave(_BY_SIGNAL + number)


class _Watch:
    """Makes sure that the process ends soon after Ctrl-C."""

    def __init__(self, program: str) -> None:
        self.told = False
        """Whether the line has been written."""
        self._program = program
        self._interrupted = threading.Event()
        self._writing: int | None = None
        self._hook = sys.unraisablehook

    def begin(self) -> None:
        """Start watching.  This ends if other code calls signal.set_wakeup_fd."""
        sys.unraisablehook = _unraisable
        if os.name != "posix":
            return  # Elsewhere, signals can wake up sockets only.
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        self._writing = writing
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        threading.Thread(
            target=self._run, args=(reading,), name="interruption", daemon=True
        ).start()

    def close(self) -> None:
        """Stop watching."""
        sys.unraisablehook = self._hook
        if self._writing is not None:
            signal.set_wakeup_fd(-1)
            os.close(self._writing)
            self._writing = None

    def interrupted(self) -> bool:
        """Return whether Ctrl-C has just been pressed."""
        return self._interrupted.wait(0.1)  # The watching thread may need a moment to notice.

    def tell(self) -> None:
        """Write the line on standard error, once, unless writing would have to wait."""
        if self.told:
            return
        self.told = True
        with contextlib.suppress(OSError, ValueError):
            if not select.select([], [_ERRORS], [], 0)[1]:
                return
            # A progress bar may have hidden the cursor.
            cursor = _SHOW_CURSOR if os.isatty(_ERRORS) else ""
            os.write(_ERRORS, f"{cursor}{self._program}: interrupted\n".encode())

    def end(self, _number: int, _frame: FrameType | None) -> NoReturn:
        """End the process at once.  A signal handler."""
        self.tell()
        leave(CODE)

    def _run(self, reading: int) -> None:
        while signal.SIGINT not in (numbers := os.read(reading, 64)):
            for number in _ENDINGS:
                # The main thread may be in native code for long, and not handle the signal.
                if number in numbers and signal.getsignal(number) is _end:
                    leave(_BY_SIGNAL + number)
            if not numbers:
                os.close(reading)
                return
        self._interrupted.set()
        time.sleep(GRACE)
        self.tell()
        leave(CODE)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    # Python swallows a KeyboardInterrupt that is raised in a finaliser or a callback.  There is no
    # need to report it: the process ends after GRACE.
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
