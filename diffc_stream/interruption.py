"""Ctrl-C ends a command: within a second, with one line, and with nothing left half-written.

So does whoever asks it to end otherwise, as kill does, or a terminal that is closed.

Python hands an interruption to the main thread, between two of its instructions.  While that
imports, what it meets there has a traceback to show; while it is in native code, an evaluation of
a large picture for instance, nothing happens for half a minute; and when it has ended, the
interpreter waits for all other threads.  So commands run in here, and their modules are imported in
here too.  A library must not do this to its host, and none of it happens on import.
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
"""The exit code: 128 and the number of the signal, as shells have it."""
GRACE = 0.5
"""Seconds that a command has to close what it has open; then it is ended as it stands."""

_ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a process which does not mind them; daemons do."""
_BY_SIGNAL = 128
"""With its number, the exit code of who was ended by one."""
_ERRORS = 2
"""Standard error: what Python has around it, others may be writing to."""
_SHOW_CURSOR = "\x1b[?25h"


def run(program: str, load: Callable[[], Callable[[], int]]) -> int:
    """Run the function that ``load`` imports, and return its exit code, or that of Ctrl-C.

    ``program`` is what the one line on standard error is told by.  Where Ctrl-C is ignored, as
    in what a shell started in the background, it stays so.
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
    # Whoever imports has nothing to put away, and is in no state to be told.
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
        # Whatever it has become on its way through other people's code.
        if not (isinstance(error, KeyboardInterrupt) or watch.interrupted()):
            raise
        signal.signal(signal.SIGINT, watch.end)
        watch.tell()
    if code == CODE:
        watch.told = True
        signal.signal(signal.SIGINT, watch.end)  # the interpreter would show where it was
    return code


def leave(code: int) -> NoReturn:
    """End the process as it stands: files half-written are deleted, and no thread is waited for."""
    if replacement := sys.modules.get("diffc_stream.replacement"):
        replacement.abandon()
    if processes := sys.modules.get("multiprocessing"):
        for child in processes.active_children():
            child.kill()
    os._exit(code)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    """End the process, as the signal would have; a signal handler."""
    leave(_BY_SIGNAL + number)


class _Watch:
    """Sees to it that the process ends."""

    def __init__(self, program: str) -> None:
        self.told = False
        """The one line has been written."""
        self._program = program
        self._interrupted = threading.Event()
        self._writing: int | None = None
        self._hook = sys.unraisablehook

    def begin(self) -> None:
        """Watch from now on; for as long as nobody else has signals wake him up."""
        sys.unraisablehook = _unraisable
        if os.name != "posix":
            return  # there, signals wake up sockets alone
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        self._writing = writing
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        threading.Thread(
            target=self._run, args=(reading,), name="interruption", daemon=True
        ).start()

    def close(self) -> None:
        """Watch no longer."""
        sys.unraisablehook = self._hook
        if self._writing is not None:
            signal.set_wakeup_fd(-1)
            os.close(self._writing)
            self._writing = None

    def interrupted(self) -> bool:
        """Tell whether there has been a Ctrl-C just now."""
        return self._interrupted.wait(0.1)  # who tells of it is a thread

    def tell(self) -> None:
        """Say so, once, unless that would take waiting."""
        if self.told:
            return
        self.told = True
        with contextlib.suppress(OSError, ValueError):
            if not select.select([], [_ERRORS], [], 0)[1]:
                return
            # A bar that moved had hidden it.
            cursor = _SHOW_CURSOR if os.isatty(_ERRORS) else ""
            os.write(_ERRORS, f"{cursor}{self._program}: interrupted\n".encode())

    def end(self, _number: int, _frame: FrameType | None) -> NoReturn:
        """End the process at once; a signal handler."""
        self.tell()
        leave(CODE)

    def _run(self, reading: int) -> None:
        while signal.SIGINT not in (numbers := os.read(reading, 64)):
            for number in _ENDINGS:
                # Native code may keep the main thread from it for long.
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
    # Python swallows what is raised in a finaliser or a callback: the clock ends that.
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
