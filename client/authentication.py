"""Who may send to a receiver that listens: whoever shows one of its tokens."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

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


def listening_context(chain: Path, key: Path | None = None) -> ssl.SSLContext:
    """Return what a receiver that listens speaks TLS by, 1.2 or later.

    Without a ``key`` it is in the same file as the certificates.  Raises SafetyError.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(chain, key or chain, password=_no_password)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise SafetyError(f"{chain} is no certificate with its key: {reason}") from error
    except OSError as error:
        raise SafetyError(f"{chain} or its key cannot be read: {error.strerror}") from error
    return context


def _no_password() -> str:
    # OpenSSL would ask on the terminal, and a daemon has none.
    raise SafetyError("the key is encrypted: store it without a password, for this user alone")
