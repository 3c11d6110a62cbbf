"""The encoder's work on one stream, on a worker thread and at the expense of its subscribers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from ..ops.metrics import SenderMetrics
from ..threads.pools import WorkerPools
from .subscribers import Subscribers

Result = TypeVar("Result")
Given = TypeVarTuple("Given")


class ChargedWork:
    """Runs what one stream has computed, and charges the time."""

    def __init__(
        self, stream: object, subscribers: Subscribers, workers: WorkerPools, metrics: SenderMetrics
    ) -> None:
        """Work for ``stream`` on the encoder threads of ``workers``."""
        self.running = False
        """Whether an encoder works now."""
        self.spent = 0.0
        """Seconds of an encoder since the first of the present subscribers."""
        self._stream = stream
        self._subscribers = subscribers
        self._encoders = workers.encoders
        self._metrics = metrics

    def need(self) -> None:
        """Note that a subscriber waits for the bytes: checking claims makes way for them."""
        self._encoders.need(self._stream)

    def rest(self) -> None:
        """Note that none does."""
        self._encoders.rest(self._stream)

    async def run(self, function: Callable[[*Given], Result], *arguments: *Given) -> Result:
        """Run a function on a thread; who subscribes at the beginning has a share in its time."""
        payers = self._subscribers.payers()
        self.running = True
        try:
            result, seconds = await self._encoders.compute(self._stream, function, *arguments)
        finally:
            self.running = False
        self.spent += seconds
        self._metrics.encoder_seconds += seconds
        for account in payers:
            if account is not None:
                account.charge(seconds / len(payers))
        return result
