"""A sender that connects to a receiver: for senders behind a NAT or firewall."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from ssl import SSLContext
from typing import Self
from urllib.parse import urlsplit

from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

from diffc_stream.errors import DiffcError, LinkLost, SafetyError
from diffc_stream.opening import is_passing
from diffc_stream.session import PUSH_SUBPROTOCOL, Terms
from diffc_stream.transport.backoff import Backoff
from diffc_stream.transport.exposure import in_the_clear
from diffc_stream.transport.tokens import is_token
from diffc_stream.transport.websocket import connect

from ..auth.quotas import unlimited_quota
from ..auth.sending_budget import SendingBudget
from ..catalogue.catalogue import Catalogue
from ..encoding.pipeline import Pipeline
from ..ops.metrics import SenderMetrics
from .connection import ReceiverConnection

FIRST, LONGEST = 1.0, 30.0
"""Bounds of the back-off between attempts, in seconds."""
STEADY = 10.0
"""Seconds that a connection has to last to reset the back-off."""
DRAIN_GRACE = 10.0
"""Default for how many seconds the receiver gets to close after it is told of a shutdown."""
MOST_FILE = 65_536
"""Bytes of a token file that are read."""
CLOSING = 5.0
"""Seconds that the closing handshake may take."""

logger = logging.getLogger("diffc_server")


def bearer_headers(url: str, token: Path, *, exposed: bool) -> dict[str, str]:
    """Return the headers that authenticate to the receiver at ``url`` by the token in a file.

    Raises SafetyError if the file holds no token, or if the token would travel unencrypted and
    ``exposed`` does not allow that.
    """
    parts = urlsplit(url)
    objection = in_the_clear(
        url, parts.hostname or "", tls=parts.scheme == "wss", insecure=exposed, better="wss://"
    )
    if objection is not None:
        raise SafetyError(objection)
    try:
        with token.open("rb") as file:
            text = file.read(MOST_FILE).decode("ascii", errors="replace").strip()
    except OSError as error:
        raise SafetyError(f"{token} cannot be read: {error.strerror}") from error
    if not is_token(text):
        # The message quotes nothing of it, because it may be a mistyped token.
        raise SafetyError(f"{token} holds no token, or more than one")
    return {"Authorization": f"Bearer {text}"}


class Dialler:
    """Serves the pictures of a catalogue to one receiver that listens, inside its block.

    >>> async with Dialler("ws://hub:8766/camera", catalogue, pipeline):
    ...     await stopped.wait()

    While the receiver cannot be reached, it tries again and again.  Leaving the block tells the
    receiver to come back later.
    """

    def __init__(
        self,
        url: str,
        catalogue: Catalogue,
        pipeline: Pipeline,
        *,
        terms: Terms | None = None,
        headers: Mapping[str, str] | None = None,
        tls: SSLContext | None = None,
        metrics: SenderMetrics | None = None,
        grace: float = DRAIN_GRACE,
        budget: SendingBudget | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Prepare to connect to ``url``, ``ws://HOST:PORT/NAME`` or ``wss://``.

        NAME is the name by which the receiver knows this sender.  ``headers`` go with the request,
        and ``tls`` says which authorities to trust with wss.  The receiver gets ``grace`` seconds
        to close after it is told of a shutdown.  ``draw`` returns random numbers from 0 to 1.
        ``budget`` limits what is sent, to others too.
        """
        self._url = url
        self._catalogue = catalogue
        self._pipeline = pipeline
        self._terms = terms or Terms()
        self._headers = headers
        self._tls = tls
        self._metrics = metrics or SenderMetrics()
        self._grace = grace
        self._budget = budget
        self._draw = draw
        self._receiver: ReceiverConnection | None = None
        self._leaving = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()

    async def drain(self) -> None:
        """Stop connecting, tell the receiver if one is connected, and close."""
        self._leaving = self._metrics.draining = True
        if self._receiver is not None:
            self._receiver.drain()
            await asyncio.wait([self._task], timeout=self._grace)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._pipeline.save()

    @property
    def connected(self) -> bool:
        """Whether the receiver is connected."""
        return self._receiver is not None

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        backoff = Backoff(first=FIRST, longest=LONGEST, patience=None, draw=self._draw)
        told = ""
        while True:
            began = clock()
            try:
                reason = await self._serve_receiver()
            except Exception as error:
                if not is_passing(error):
                    # A bug, which must not stop the dialler.
                    logger.exception("connecting failed")
                reason = (
                    f"cannot be connected to at the moment: {str(error) or type(error).__name__}"
                )
            if clock() - began >= STEADY:
                backoff.progress()
            if self._leaving:
                return
            # Warn once, however long the same reason lasts.
            level = logging.DEBUG if reason == told else logging.WARNING
            logger.log(level, "%s: %s; trying again", self._url, reason)
            told = reason
            await backoff.pause(LinkLost(reason))

    async def _serve_receiver(self) -> str:
        """Connect and serve the receiver until it leaves; return the reason to reconnect."""
        try:
            websocket = await connect(
                self._url,
                subprotocol=PUSH_SUBPROTOCOL,
                headers=self._headers,
                tls=self._tls,
                close_timeout=CLOSING,
            )
        except InvalidStatus as error:
            return f"refused (HTTP {error.response.status_code})"
        except (InvalidHandshake, InvalidURI, ValueError) as error:
            return f"does not answer like a receiver: {error}"
        except DiffcError as error:  # from a proxy
            return str(error)
        except TimeoutError:
            return "does not answer"
        except OSError as error:
            return f"cannot be reached: {error.strerror or error}"
        self._receiver = ReceiverConnection(
            websocket,
            self._catalogue,
            self._pipeline,
            self._terms,
            self._metrics,
            unlimited_quota(self._budget),
        )
        if self._leaving:
            self._receiver.drain()
        self._metrics.sockets += 1
        self._metrics.opened["websocket"] += 1
        try:
            await self._receiver.run()
        except Exception:
            # A bug, which must not stop the dialler.
            logger.exception("a connection failed")
        finally:
            self._receiver = None
            self._metrics.sockets -= 1
            websocket.transport.abort()
        return "the connection has ended"
