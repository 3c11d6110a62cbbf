"""Receives visitors: who may come in, and who has too much already."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from diffc_stream.errors import SafetyError
from diffc_stream.transport.bucket import longest_wait
from diffc_stream.transport.exposure import is_loopback, neighbourhood
from diffc_stream.transport.tokens import Token, Tokens

from .credentials import Credentials, Fields, cookie, shown
from .limits import NONE, Limits
from .quotas import Clock, Visit, Visitor, Visits

RETRY_AFTER = 5
"""Seconds after which somebody who has too many connections should come back."""
CHALLENGES = ('Basic realm="diffc-stream, any name, the token as password"', "Bearer")
"""What a browser asks its user for, and what programs say."""

logger = logging.getLogger("diffc_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why somebody is not let in."""

    status: HTTPStatus
    text: str
    """A line for people."""
    after: int | None = None
    """Seconds until it may be another matter."""

    @property
    def fields(self) -> list[tuple[str, str]]:
        """Headers that go with it."""
        fields = [("Cache-Control", "no-store")]
        if self.status is HTTPStatus.UNAUTHORIZED:
            fields += [("WWW-Authenticate", challenge) for challenge in CHALLENGES]
        if self.after is not None:
            fields.append(("Retry-After", str(self.after)))
        return fields


class AccessControl:
    """Lets visitors in by their tokens, if there are any, and within their limits."""

    def __init__(
        self,
        *,
        tokens: Tokens | None = None,
        limits: Limits | None = None,
        secure: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        """Want one of ``tokens``; None: let everybody in.

        ``limits`` are those of tokens that have none of their own, and of addresses where there are
        no tokens; unless they are given, this machine has none, since a proxy on it speaks for
        everybody.  ``secure``: visitors come over TLS.
        """
        self._tokens = tokens
        self._limits = limits or Limits()
        self._here = limits or NONE
        self._secure = secure
        self._clock = clock
        self._visits = Visits(clock)

    @property
    def guarded(self) -> bool:
        """It takes a token to come in."""
        return self._tokens is not None

    @property
    def limits(self) -> Limits:
        """Those of tokens and addresses that have none of their own."""
        return self._limits

    @property
    def remembered(self) -> int:
        """Visitors that are remembered, most of which may have left."""
        return len(self._visits)

    def newcomers(self, address: str) -> int:
        """Return how many may be about to ask from an address; 0: any number.

        As many may be at it as may be connected: who sends a byte a second holds a place too.
        """
        return self._of(address).connections

    def receive(self, address: str, fields: Fields, *, own: bool) -> Visit | Refusal:
        """Let whoever asks in, or say why not.

        ``own``: no page of another site is behind it, so what a browser adds by itself counts.
        """
        showing = shown(fields, secure=self._secure, own=own) if self.guarded else None
        token = self._known(showing)
        limits = self._limits if token is not None else self._of(address)
        visitor = self._visits.visitor(address, token, limits)
        if self.guarded and token is None:
            return self._stranger(visitor, address, showing)
        now = self._clock()
        wait = longest_wait(visitor.requests, now, 1)
        if wait > 0:
            return _too_many("too many requests", wait)
        for bucket in visitor.requests:
            bucket.take(1)
        if 0 < visitor.limits.connections <= visitor.connections:
            who = f"the token {token.name}" if token is not None else address
            logger.warning("%s has %d connections, and wants more", who, visitor.connections)
            return _too_many("too many connections", RETRY_AFTER)
        remembered = ""
        if showing is not None and showing.password:
            remembered = cookie(showing.token, secure=self._secure)
        return Visit(visitor, address, token, remembered)

    def welcome(self, visit: Visit) -> bool:
        """Tell whether somebody who was let in still would be."""
        if self._tokens is None or visit.token is None:
            return True
        return self._tokens.holds(visit.token, datetime.now(UTC))

    def reread(self) -> None:
        """Look whether the tokens have changed; reads a file, so not quick.

        If they cannot be read, that is logged, and those from before hold.
        """
        if self._tokens is None:
            return
        try:
            if self._tokens.reread():
                logger.info("the tokens were read again: %d", len(self._tokens))
        except SafetyError as error:
            logger.error("the tokens stay as they were: %s", error)

    def _of(self, address: str) -> Limits:
        return self._here if is_loopback(neighbourhood(address)) else self._limits

    def _known(self, showing: Credentials | None) -> Token | None:
        if self._tokens is None or showing is None:
            return None
        return self._tokens.find(showing.token, datetime.now(UTC))

    def _stranger(self, visitor: Visitor, address: str, showing: Credentials | None) -> Refusal:
        """Refuse somebody without a token, and whoever tries one after the other for a while."""
        now = self._clock()
        buckets = (*visitor.requests, *((visitor.guesses,) if showing is not None else ()))
        wait = longest_wait(buckets, now, 1)
        if wait > 0:
            return _too_many("too many tries", wait)
        for bucket in buckets:
            bucket.take(1)
        if showing is None:
            return Refusal(status=HTTPStatus.UNAUTHORIZED, text="it takes a token to come in")
        logger.warning("%s has shown a token that is not known, or has expired", address)
        return Refusal(
            status=HTTPStatus.UNAUTHORIZED, text="this token is not known here, or has expired"
        )


def _too_many(text: str, wait: float) -> Refusal:
    after = max(1, math.ceil(wait))
    text = f"{text}: come back later"
    return Refusal(status=HTTPStatus.TOO_MANY_REQUESTS, text=text, after=after)
