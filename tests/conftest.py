"""What holds for all tests, and what many need."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import settings
from leftovers import Leftovers
from serving import Impaired
from virtual_time import VirtualLoop

from diffc_server import SenderDaemon
from diffc_stream import threads
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import PERFECT, Impairment

if TYPE_CHECKING:
    from playwright.async_api import Browser

# The same examples in every run: what is looked for at length, fuzzing looks for.  How long one
# takes says how busy the machine is.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    # A shell that runs the suite in the background has it, and all that it starts, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):  # not on Windows
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Before anything reads them: pictures here are too small to gain by threads, which wait for
    # each other, or spin, wherever something else has a core.
    for name, value in ((threads.NUMBER, "1"), (threads.POLICY, "PASSIVE")):
        os.environ.setdefault(name, value)
    config.addinivalue_line("markers", "virtual_time: sleeping takes no time; see virtual_time.py")
    if config.getoption("dist", "no") == "no":  # else its workers look
        config.pluginmanager.register(Leftovers())


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture(autouse=True, scope="session")
def _nothing_of_the_developer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither use the models and streams that whoever runs the tests has, nor add to them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFC_MODELS", str(tmp_path_factory.mktemp("models")))
        patch.setenv("DIFFC_CACHE", str(tmp_path_factory.mktemp("streams")))
        # What the process has for good once a network or an optimiser was tested.
        patch.setenv("ORT_DISABLE_TELEMETRY", "1")
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("torchinductor")))
        yield


@pytest_asyncio.fixture
async def impaired() -> AsyncIterator[Impaired]:
    """Bad links in front of sender daemons, taken down when the test ends."""
    async with AsyncExitStack() as stack:

        async def put(
            daemon: SenderDaemon,
            *,
            down: Impairment | Sequence[Impairment] = PERFECT,
            up: Impairment | Sequence[Impairment] = PERFECT,
            seed: int = 0,
        ) -> Link:
            link = Link("127.0.0.1", daemon.port, down=down, up=up, seed=seed)
            return await stack.enter_async_context(link)

        yield put


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A browser, which takes a second to start: pages of different tests share nothing in it."""
    from browser import browsing

    async with browsing() as browser:
        yield browser
