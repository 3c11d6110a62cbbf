"""Threads that encode; checking what receivers claim to hold never delays what is being sent.

A receiver that resumes claims to hold the beginning of a stream (see
:mod:`server.encoding.resume_claims`), and the sender may have to encode that beginning only to
check the claim, which sends no bytes to any receiver.  That work has threads of its own, as many
as there are encoders, and they yield: while all encoders are needed for streams that are being
sent, the claim threads pause, even within a piece, wherever the work reports its progress
(:mod:`diffc_stream.work`).  So that claims are settled at last, they keep a share of the time.
Where cores are scarce the claim threads let all others go first, the event loop above all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Condition
from time import perf_counter
from typing import TypeVar, TypeVarTuple

from diffc_stream import threads, work

SHARE = 0.2
"""The share of the time that claims get while all encoders are needed for sending."""

Result = TypeVar("Result")
Given = TypeVarTuple("Given")


class EncoderThreads:
    """Threads that encode; used on one event loop."""

    def __init__(self, count: int) -> None:
        """Compute ``count`` pieces at once; claims get the encoders that are left."""
        self._sending = ThreadPoolExecutor(count, thread_name_prefix="encoder")
        self._claiming = ThreadPoolExecutor(
            count, thread_name_prefix="claim", initializer=threads.go_last
        )
        self._demand = _EncoderDemand(count)

    def need(self, stream: object) -> None:
        """Note that a stream's bytes are to be sent to a receiver, until :meth:`rest`."""
        self._demand.need(stream)

    def rest(self, stream: object) -> None:
        """Note that no receiver waits for a stream's bytes, even if some are being computed."""
        self._demand.rest(stream)

    async def compute(
        self, stream: object, function: Callable[[*Given], Result], *arguments: *Given
    ) -> tuple[Result, float]:
        """Run a function; return its result, and how many seconds it worked.

        It yields to other streams unless ``stream`` is needed, or becomes needed meanwhile.
        """
        loop = asyncio.get_running_loop()
        if self._demand.needs(stream):
            return await loop.run_in_executor(self._sending, _timed, function, *arguments)
        piece = _ClaimPiece(self._demand, stream)
        return await loop.run_in_executor(self._claiming, piece.compute, function, *arguments)

    def close(self) -> None:
        """Start nothing more; what has been started is finished, and its results are dropped."""
        self._demand.release_all()
        for pool in (self._sending, self._claiming):
            pool.shutdown(wait=False, cancel_futures=True)


class _EncoderDemand:
    """Which streams need the encoders, and how many claims run beside them.  Thread-safe."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._changed = Condition()
        self._needed: set[object] = set()
        self._claims = 0
        """Pieces of claims that are being computed, and are not paused."""
        self._worked = 0.0
        """Seconds spent on claims since the last time that one was paused."""

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

    def release_all(self) -> None:
        """Let all paused claims go on, so that their threads can end."""
        with self._changed:
            self._count = 2**31
            self._changed.notify_all()

    def enter(self, stream: object) -> None:
        """Start or resume work on a claim once an encoder is free or its share of time has come.

        Blocks the thread.
        """

        def may_run() -> bool:
            busy = len(self._needed) + self._claims >= self._count
            return not busy or stream in self._needed

        with self._changed:
            if not may_run():
                self._changed.wait_for(may_run, self._worked * (1 / SHARE - 1))
            self._worked = 0.0
            self._claims += 1

    def leave(self, worked: float) -> None:
        """Stop or pause the work that :meth:`enter` began, ``worked`` seconds ago."""
        with self._changed:
            self._claims -= 1
            self._worked += worked
            self._changed.notify_all()


class _ClaimPiece:
    """The computing of one piece for a claim."""

    def __init__(self, demand: _EncoderDemand, stream: object) -> None:
        self._demand = demand
        self._stream = stream
        self._worked = 0.0

    def compute(
        self, function: Callable[[*Given], Result], *arguments: *Given
    ) -> tuple[Result, float]:
        """Run a function, pausing when encoders are needed; return its result and seconds."""
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
        self._demand.enter(self._stream)
        self._began = perf_counter()

    def _leave(self) -> None:
        worked = perf_counter() - self._began
        self._worked += worked
        self._demand.leave(worked)


def _timed(function: Callable[[*Given], Result], *arguments: *Given) -> tuple[Result, float]:
    """Return a function's result, and how many seconds it took."""
    began = perf_counter()
    result = function(*arguments)
    return result, perf_counter() - began
