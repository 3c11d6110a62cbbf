"""Authenticates the senders that connect to a listening receiver, by token."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

from websockets.http11 import Request

from diffc_stream.errors import SafetyError
from diffc_stream.transport.tokens import Tokens

Admit = Callable[[Request], str | HTTPStatus]
"""Returns the name of the sender that makes a request, or the status that refuses it."""


def by_token(tokens: Tokens) -> Admit:
    """Admit senders that show one of ``tokens``, under the token's name.

    Each request checks whether the file has changed; if it cannot be read, the earlier tokens stay
    valid.
    """

    def admit(request: Request) -> str | HTTPStatus:
        with contextlib.suppress(SafetyError):
            tokens.reread()
        scheme, _, shown = next(iter(request.headers.get_all("Authorization")), "").partition(" ")
        found = tokens.find(shown.strip(), datetime.now(UTC)) if shown else None
        if found is None or scheme.lower() != "bearer":
            return HTTPStatus.UNAUTHORIZED
        return found.name

    return admit
