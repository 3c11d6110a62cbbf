"""A sender on a thread of its own, for programs without an event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import CancelledError
from contextlib import aclosing

from diffc_stream.session import Entry, Target, Terms

from ..decoding.decoders import Decoders, Method
from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access
from ..storage.partial_stream import Kept
from .connection import Sender, connect
from .demand import Demand, Wish
from .latest import Latest

CLOSED = "the link has been closed"


class Background:
    """A link to a sender, on an event loop in a thread; any thread may call its methods."""

    def __init__(
        self,
        address: Address,
        decoders: Decoders | None,
        patience: float | None,
        terms: Terms | None,
        access: Access = NO_ACCESS,
    ) -> None:
        """Begin to connect, as connect() does, and return at once.

        If connecting fails, every method and picture that needs the link raises the error.
        """
        self._access = access
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._sender: asyncio.Future[Sender] = self._loop.create_future()
        self._closing = asyncio.Event()
        self._following: set[asyncio.Task[None]] = set()
        self._guard = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(
            target=self._run, args=(decoders, patience, terms), name="diffc-client", daemon=True
        )
        self._thread.start()

    def catalogue(self) -> list[Entry]:
        """Return the sender's catalogue.

        Raises as connect() and Sender.catalogue() do, or RuntimeError once it is closed.
        """

        async def catalogue() -> list[Entry]:
            return await (await asyncio.shield(self._sender)).catalogue()

        with self._guard:
            self._check()
            asked = asyncio.run_coroutine_threadsafe(catalogue(), self._loop)
        try:
            return asked.result()
        except CancelledError as error:
            raise RuntimeError(CLOSED) from error

    def follow(
        self,
        image: str,
        wanted: Demand,
        newest: Latest,
        *,
        render: Method,
        previews: Method | None,
        kept: Kept | None,
    ) -> BackgroundDelivery:
        """Put each refinement of a picture into ``newest``, until the last.

        A ``kept`` prefix of a picture that is being stopped may be given at once: this waits until
        the other has let go of it.

        Raises RuntimeError once the link is closed.
        """
        following = BackgroundDelivery(self._loop, wanted)

        async def follow(stopping: set[asyncio.Task[None]]) -> None:
            try:
                if stopping:
                    await asyncio.wait(stopping)
                sender = await asyncio.shield(self._sender)
                async with aclosing(
                    sender.deliver(image, wanted, render=render, previews=previews, kept=kept)
                ) as refinements:
                    async for refinement in refinements:
                        newest.put(refinement)
            except Exception as error:
                newest.finish(error)
            finally:
                newest.finish()

        def start() -> None:
            stopping = {task for task in self._following if task.cancelling()}
            task = self._loop.create_task(follow(stopping))
            self._following.add(task)
            task.add_done_callback(self._following.discard)
            following.begin(task)

        with self._guard:
            self._check()
            self._loop.call_soon_threadsafe(start)
        return following

    def close(self) -> None:
        """Stop all pictures and close the link; further calls do nothing."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _check(self) -> None:
        if self._closed:
            raise RuntimeError(CLOSED)

    def _run(self, decoders: Decoders | None, patience: float | None, terms: Terms | None) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(decoders, patience, terms))

    async def _serve(
        self, decoders: Decoders | None, patience: float | None, terms: Terms | None
    ) -> None:
        async with contextlib.AsyncExitStack() as stack:
            connecting = asyncio.create_task(
                stack.enter_async_context(
                    connect(
                        self._address,
                        decoders=decoders,
                        patience=patience,
                        terms=terms,
                        access=self._access,
                    )
                )
            )
            connecting.add_done_callback(self._connected)
            await self._closing.wait()
            connecting.cancel()
            for task in self._following:
                task.cancel()
            await asyncio.gather(connecting, *self._following, return_exceptions=True)

    def _connected(self, connecting: asyncio.Task[Sender]) -> None:
        if connecting.cancelled():
            self._sender.cancel()
        elif (error := connecting.exception()) is not None:
            self._sender.set_exception(error)
            self._sender.exception()  # marks it as seen: users of the link get it
        else:
            self._sender.set_result(connecting.result())


class BackgroundDelivery:
    """A picture that is being received; any thread may call its methods, at any time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wanted: Demand) -> None:
        self._loop = loop
        self._wanted = wanted
        self._task: asyncio.Task[None] | None = None
        self._over = threading.Event()

    def begin(self, task: asyncio.Task[None]) -> None:
        """Set the task that receives it; call this on the event loop."""
        self._task = task
        task.add_done_callback(lambda _: self._over.set())

    def update(self, target: Target, weight: float) -> None:
        """Change target and weight from now on."""
        # RuntimeError: the link has been closed, and there is nothing to change.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wanted.change, target, weight)

    def sharpen(self, wish: Wish | None) -> None:
        """Set the region that is wanted first."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wanted.sharpen, wish)

    def stop(self) -> None:
        """Stop receiving it."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._cancel)

    def join(self) -> None:
        """Wait until its task has ended; not on the event loop."""
        self._over.wait()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
