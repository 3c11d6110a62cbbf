"""Threads that encode: at once what somebody is sent, and beside it what has yet to be proven.

What is computed because of a claim (see :mod:`.claims`) sends nobody anything.  It has threads of
its own, as many as there are encoders, and they make way: within a piece too, wherever the work
says how far it is (:mod:`diffc_stream.work`), they stand still as long as all encoders are needed
for those who are sent something.  Not for ever: a share of the time is theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Condition
from time import perf_counter
from typing import TypeVar, TypeVarTuple

from diffc_stream import work

SHARE = 0.2
"""Of the time, that claims have beside those who are sent something."""

Result = TypeVar("Result")
Given = TypeVarTuple("Given")


class EncoderThreads:
    """Threads that encode; used on one event loop."""

    def __init__(self, count: int) -> None:
        """Compute ``count`` pieces at once, and of claims as many as leave an encoder over."""
        self._sending = ThreadPoolExecutor(count, thread_name_prefix="encoder")
        self._claiming = ThreadPoolExecutor(count, thread_name_prefix="claim")
        self._way = _Way(count)

    def need(self, stream: object) -> None:
        """Somebody is sent what is computed of a stream from now on, until :meth:`rest`."""
        self._way.need(stream)

    def rest(self, stream: object) -> None:
        """Nobody is sent what is computed of a stream, if anything is."""
        self._way.rest(stream)

    async def compute(
        self, stream: object, function: Callable[[*Given], Result], *arguments: *Given
    ) -> tuple[Result, float]:
        """Return what a function gives, and how many seconds it worked.

        It makes way for others unless ``stream`` is needed, or comes to be meanwhile.
        """
        loop = asyncio.get_running_loop()
        if self._way.needs(stream):
            return await loop.run_in_executor(self._sending, _timed, function, *arguments)
        piece = _Piece(self._way, stream)
        return await loop.run_in_executor(self._claiming, piece.compute, function, *arguments)

    def close(self) -> None:
        """Start nothing more; what has been started is finished, and dropped."""
        self._way.clear()
        for pool in (self._sending, self._claiming):
            pool.shutdown(wait=False, cancel_futures=True)


class _Way:
    """Who needs the encoders, and which claims are worked on meanwhile; safe on all threads."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._changed = Condition()
        self._needed: set[object] = set()
        self._claims = 0
        """Pieces that are being worked on, and do not stand still."""
        self._worked = 0.0
        """Seconds that claims have been worked on since the last time that one stood still."""

    def need(self, stream: object) -> None:
        with self._changed:
            self._needed.add(stream)
            self._changed.notify_all()

    def needs(self, stream: object) -> bool:
        return stream in self._needed

    def rest(self, stream: object) -> None:
        with self._changed:
            self._needed.discard(stream)
            self._changed.notify_all()

    def clear(self) -> None:
        """Nobody has to stand still any more."""
        with self._changed:
            self._count = 2**31
            self._changed.notify_all()

    def enter(self, stream: object) -> None:
        """Begin or go on with a claim, as soon as it is in nobody's way or others had their share.

        Blocks the thread.
        """

        def clear() -> bool:
            busy = len(self._needed) + self._claims >= self._count
            return not busy or stream in self._needed

        with self._changed:
            if not clear():
                self._changed.wait_for(clear, self._worked * (1 / SHARE - 1))
            self._worked = 0.0
            self._claims += 1

    def leave(self, worked: float) -> None:
        """End what :meth:`enter` began, after so many seconds."""
        with self._changed:
            self._claims -= 1
            self._worked += worked
            self._changed.notify_all()


class _Piece:
    """A piece of a claim."""

    def __init__(self, way: _Way, stream: object) -> None:
        self._way = way
        self._stream = stream
        self._worked = 0.0

    def compute(
        self, function: Callable[[*Given], Result], *arguments: *Given
    ) -> tuple[Result, float]:
        """Return what a function gives, and how many seconds it worked; make way meanwhile."""
        self._enter()
        try:
            with work.watched(self._make_way):
                result = function(*arguments)
        finally:
            self._leave()
        return result, self._worked

    def _make_way(self, *_: object) -> None:
        self._leave()
        self._enter()

    def _enter(self) -> None:
        self._way.enter(self._stream)
        self._began = perf_counter()

    def _leave(self) -> None:
        worked = perf_counter() - self._began
        self._worked += worked
        self._way.leave(worked)


def _timed(function: Callable[[*Given], Result], *arguments: *Given) -> tuple[Result, float]:
    """Return a function's result, and how many seconds it took."""
    began = perf_counter()
    result = function(*arguments)
    return result, perf_counter() - began
