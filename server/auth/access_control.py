"""Admits clients by token, and refuses those that are over their limits."""

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

from .credentials import Credentials, Fields, cookie, credentials_of
from .limits import NONE, Limits
from .quotas import ClientQuota, ClientQuotas, Clock, ConnectionQuota
from .sending_budget import SendingBudget

RETRY_AFTER = 5
"""Retry-After, in seconds, for a client with too many connections."""
CHALLENGES = ('Basic realm="diffc-stream, any name, the token as password"', "Bearer")
"""The schemes of WWW-Authenticate: a browser's password prompt, and a program's header."""

logger = logging.getLogger("diffc_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a client is refused."""

    status: HTTPStatus
    text: str
    """One line to show to a person."""
    after: int | None = None
    """Seconds after which to try again."""

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The response headers of the refusal."""
        fields = [("Cache-Control", "no-store")]
        if self.status is HTTPStatus.UNAUTHORIZED:
            fields += [("WWW-Authenticate", challenge) for challenge in CHALLENGES]
        if self.after is not None:
            fields.append(("Retry-After", str(self.after)))
        return fields


class AccessControl:
    """Admits clients that show a valid token, if tokens are in use, and are within limits."""

    def __init__(
        self,
        *,
        tokens: Tokens | None = None,
        limits: Limits | None = None,
        secure: bool = False,
        budget: SendingBudget | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        """Require one of ``tokens``; None admits every client.

        ``limits`` hold for each token that has none of its own, or, without tokens, for each
        address.  Unless they are given, connections from this machine have no limits, because a
        proxy on it speaks for many clients.  ``secure`` says that clients come over TLS.
        ``budget`` is what may be sent to all clients together; None is no limit.
        """
        self._tokens = tokens
        self._limits = limits or Limits()
        self._here = limits or NONE
        self._secure = secure
        self._clock = clock
        self._clients = ClientQuotas(clock)
        self._budget = budget

    @property
    def guarded(self) -> bool:
        """Whether clients have to show a token."""
        return self._tokens is not None

    @property
    def limits(self) -> Limits:
        """The limits of tokens and addresses that have none of their own."""
        return self._limits

    @property
    def remembered(self) -> int:
        """How many clients are remembered, connected or not."""
        return len(self._clients)

    def newcomers(self, address: str) -> int:
        """Return how many connections of an address may be about to ask; 0 is no limit.

        The limit is that of connections, because a client that sends its request a byte a second
        holds a place too.
        """
        return self._of(address).connections

    def admit(self, address: str, fields: Fields, *, own: bool) -> ConnectionQuota | Refusal:
        """Admit a client, or return why it is refused.

        ``own`` says that no page of another site sent the request, so that credentials which a
        browser adds by itself (password, cookie) may count.
        """
        credentials = credentials_of(fields, secure=self._secure, own=own) if self.guarded else None
        token = self._find_token(credentials)
        limits = self._limits if token is not None else self._of(address)
        client = self._clients.client(address, token, limits)
        if self.guarded and token is None:
            return self._stranger(client, address, credentials)
        now = self._clock()
        wait = longest_wait(client.requests, now, 1)
        if wait > 0:
            return _too_many("too many requests", wait)
        for bucket in client.requests:
            bucket.take(1)
        if 0 < client.limits.connections <= client.connections:
            who = f"the token {token.name}" if token is not None else address
            logger.warning("%s has %d connections and asks for another", who, client.connections)
            return _too_many("too many connections", RETRY_AFTER)
        remembered = ""
        if credentials is not None and credentials.password:
            remembered = cookie(credentials.token, secure=self._secure)
        return ConnectionQuota(client, address, token, remembered, self._budget)

    def still_admits(self, quota: ConnectionQuota) -> bool:
        """Tell whether a client that was admitted still would be.

        If so, its limits are from now on those that the file has now.
        """
        if self._tokens is None or quota.token is None:
            return True
        token = self._tokens.current(quota.token, datetime.now(UTC))
        if token is None:
            return False
        if token is not quota.token:  # the file was read again
            quota.token = token
            quota.change(self._limits.but(token.limits))
        return True

    def reread(self) -> None:
        """Read the tokens again if their file has changed; blocks.

        If they cannot be read, that is logged, and the earlier ones stay valid.
        """
        if self._tokens is None:
            return
        try:
            if self._tokens.reread():
                logger.info("the tokens were read again: %d", len(self._tokens))
        except SafetyError as error:
            logger.error("the tokens stay unchanged: %s", error)

    def _of(self, address: str) -> Limits:
        return self._here if is_loopback(neighbourhood(address)) else self._limits

    def _find_token(self, credentials: Credentials | None) -> Token | None:
        if self._tokens is None or credentials is None:
            return None
        return self._tokens.find(credentials.token, datetime.now(UTC))

    def _stranger(
        self, client: ClientQuota, address: str, credentials: Credentials | None
    ) -> Refusal:
        """Refuse a client without a valid token; one that guesses has to wait."""
        now = self._clock()
        buckets = (*client.requests, *((client.guesses,) if credentials is not None else ()))
        wait = longest_wait(buckets, now, 1)
        if wait > 0:
            return _too_many("too many tries", wait)
        for bucket in buckets:
            bucket.take(1)
        if credentials is None:
            return Refusal(status=HTTPStatus.UNAUTHORIZED, text="a token is required")
        logger.warning("%s has shown a token that is unknown or has expired", address)
        return Refusal(status=HTTPStatus.UNAUTHORIZED, text="the token is unknown or has expired")


def _too_many(text: str, wait: float) -> Refusal:
    after = max(1, math.ceil(wait))
    text = f"{text}: come back later"
    return Refusal(status=HTTPStatus.TOO_MANY_REQUESTS, text=text, after=after)
