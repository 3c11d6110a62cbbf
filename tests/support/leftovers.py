"""Lets no test end with something open: what it leaves is its own failure, not a later one's.

After every test, when its fixtures are taken down, what the process holds is compared with what it
held before: descriptors, threads, child processes, temporary files, variables of the environment,
and the state that all tests share.  What fixtures of a wider scope opened may stay as long as they
do.  Where a test opened sockets or started programs, or left something, garbage is collected, so
that what was dropped without being closed complains while it is known who dropped it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 5.0
"""Real seconds that threads and programs which were told to end are given to do it."""
IMPORTS = 100
"""Modules loaded since, after which what is there is left out of collections anew."""
SURVIVORS = 20_000
"""The same for objects that outlived a test: what a library caches made collections slow."""
SIGNALS = [s for s in ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGPIPE") if hasattr(signal, s)]
OPENING = ("socket.__new__", "subprocess.Popen", "os.posix_spawn", "os.fork")

SET = frozenset(("PYTEST_CURRENT_TEST",))
"""Variables that pytest sets for good; conftest.py has those that the project does."""
FONTS = (".ttf", ".otf", ".ttc")
"""matplotlib keeps those that it has used open."""

Holding = frozenset[str]


class Leftovers:
    """A pytest plugin that fails whatever test leaves something behind."""

    def __init__(self) -> None:
        self._before: Holding = frozenset()
        self._shared: dict[str, object] = {}
        self._lasting: dict[pytest.FixtureDef[Any], Holding] = {}
        """What fixtures wider than a function opened."""
        self._complaints: list[str] = []
        self._opened = self._failed = False
        self._modules = 0
        self._patch = pytest.MonkeyPatch()

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin to listen, and have temporary files made where nobody else makes any."""
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # not in it
        folder = tempfile.mkdtemp(prefix="diffc-tests-")
        self._patch.setattr(tempfile, "tempdir", folder)
        self._patch.setenv("TMPDIR", folder)
        self._patch.setattr(asyncio.runners, "_cancel_all_tasks", self._watched_cancelling())
        logging.getLogger("asyncio").addHandler(_Errors(self._complaints))
        if sys.platform != "win32":
            resource_tracker.ensure_running()  # which whatever needs it first would leave
        sys.addaudithook(self._hear)

    def pytest_sessionfinish(self) -> None:
        """Have temporary files made where others are."""
        folder = tempfile.gettempdir()
        self._patch.undo()
        shutil.rmtree(folder, ignore_errors=True)

    def pytest_collection_finish(self) -> None:
        """Leave what has been imported out of collections."""
        self._freeze()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Note what there is before a test."""
        self._opened = self._failed = False
        self._complaints.clear()
        self._before, self._shared = held(), shared()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Note what a fixture that stays for several tests opens."""
        before = held() if fixturedef.scope != "function" else None
        result = yield
        if before is not None:
            self._lasting[fixturedef] = held() - before
        return result

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """Hold it to having closed that, unless it is what a process has once and for all."""
        if fixturedef.scope != "session":
            self._lasting.pop(fixturedef, None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note that a test failed: the traceback holds on to what its frames held."""
        report = yield
        self._failed |= report.failed or hasattr(report, "wasxfail")
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        """Fail the test if it left something."""
        result = yield
        left = self._left()
        if left and not self._failed:
            pytest.fail("\n  ".join(["the test left behind:", *left]), pytrace=False)
        return result

    def _left(self) -> list[str]:
        """Return what there is now and was not before the test, a line each."""
        complaints, new = [], self._new()
        crowded = False
        if self._opened or new:
            complaints, new = collected(), self._new()
            crowded = len(gc.get_objects()) > SURVIVORS
        deadline = time.monotonic() + PATIENCE
        while new and time.monotonic() < deadline and not self._failed:
            time.sleep(0.01)
            complaints += collected()
            new = self._new()
        if crowded or len(sys.modules) > self._modules + IMPORTS:
            self._freeze()
        now = shared()
        changed = [
            f"{name}: {now[name]!r}, which was {was!r}"
            for name, was in self._shared.items()
            if now[name] != was
        ]
        return [*sorted(map(described, new)), *changed, *self._complaints, *complaints]

    def _new(self) -> Holding:
        new = held() - self._before.union(*self._lasting.values())
        if any(fixture.argname.endswith("_scoped_runner") for fixture in self._lasting):
            # An event loop that goes on keeps the threads it has.
            new = frozenset(thing for thing in new if " asyncio_" not in thing)
        return frozenset(thing for thing in new if not thing.endswith(FONTS))

    def _freeze(self) -> None:
        """Leave modules, and all else that is there now, out of later collections."""
        gc.collect()
        gc.freeze()
        self._modules = len(sys.modules)

    def _hear(self, event: str, _: tuple[object, ...]) -> None:
        if event in OPENING:
            self._opened = True

    def _watched_cancelling(self) -> Callable[[asyncio.AbstractEventLoop], None]:
        """Return what asyncio ends a loop's last tasks with, but for noting them."""
        cancel_all: Callable[[asyncio.AbstractEventLoop], None]
        cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

        def cancel(loop: asyncio.AbstractEventLoop) -> None:
            self._complaints += [
                f"a task, when its event loop was closed: {task!r}"
                for task in asyncio.all_tasks(loop)
                if not task.cancelling()
            ]
            cancel_all(loop)

        return cancel


class _Errors(logging.Handler):
    """Notes what asyncio has to say against a program: exceptions that nobody looked at."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._complaints = complaints

    def emit(self, record: logging.LogRecord) -> None:
        self._complaints.append(f"an error of asyncio: {self.format(record)}")


def collected() -> list[str]:
    """Collect garbage, and return its complaints."""
    complaints: list[str] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda failed: complaints.append(f"{failed.err_msg}: {failed.exc_value!r}")
    try:
        with warnings.catch_warnings(record=True, action="always") as caught:
            gc.collect()
    finally:
        sys.unraisablehook = hook
    return [f"{warning.category.__name__}: {warning.message}" for warning in caught] + complaints


def held() -> Holding:
    """Return what this process holds, a line each."""
    threads = (f"thread {thread.ident}: {thread.name}" for thread in threading.enumerate())
    temporary = (f"temporary file {name}" for name in _listed(tempfile.gettempdir()))
    variables = (
        f"variable {name}={value}" for name, value in os.environ.items() if name not in SET
    )
    return frozenset((*_descriptors(), *threads, *_children(), *temporary, *variables))


def shared() -> dict[str, object]:
    """Return the state of the process that every test finds as the last one left it."""
    root = logging.getLogger()
    return {
        "working directory": Path.cwd(),
        **{name: signal.getsignal(getattr(signal, name)) for name in SIGNALS},
        "log": (root.level, *root.handlers),
        "hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook),
        # What is started later inherits it: a real-time one would have the machine for itself.
        "scheduling": _scheduling(),
    }


def _scheduling() -> tuple[int, ...]:
    if sys.platform == "win32":
        return ()
    policy = (os.sched_getscheduler(0),) if sys.platform == "linux" else ()
    return (*policy, os.getpriority(os.PRIO_PROCESS, 0))


def described(thing: str) -> str:
    """Return what is held, with the addresses of sockets and the command lines of programs."""
    kind, _, rest = thing.partition(" ")
    number = rest.partition(":")[0]
    try:
        if kind == "descriptor" and "socket" in rest:
            with socket.socket(fileno=os.dup(int(number))) as double:
                return f"{thing} {double!r}"
        if kind == "child":
            line = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            return f"{thing}: {line or 'ended, and nobody looked at how'}"
    except OSError:
        pass  # it has ended meanwhile
    return thing


# These are asked several times a test: paths would take a second a thousand.


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except OSError:
        return []  # not Linux, or a thread that has ended


def _descriptors() -> Iterator[str]:
    for number in _listed("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        except OSError:
            continue  # what the folder itself was read by
        yield f"descriptor {number}: {target}"


def _children() -> Iterator[str]:
    for thread in _listed("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{thread}/children") as listing:  # noqa: PTH123
                numbers = listing.read().split()
        except OSError:
            continue  # it has ended
        yield from (f"child {number}" for number in numbers)
