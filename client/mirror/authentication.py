"""Who may send to a receiver that listens: whoever shows one of its tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus

from websockets.http11 import Request

from diffc_stream.errors import SafetyError
from diffc_stream.transport.tokens import Tokens

Admit = Callable[[Request], str | HTTPStatus]
"""Returns what to call the sender that makes a request, or the status to refuse it with."""


def by_token(tokens: Tokens) -> Admit:
    """Let in who shows one of ``tokens``, called by the token's name, whatever else it says.

    The file is looked at again with every request; if it cannot be read, the tokens from before
    hold.
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
