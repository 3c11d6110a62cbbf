"""Finds the token in a request.

A program sends ``Authorization: Bearer TOKEN``.  A page in a browser cannot set that header on a
WebSocket: it offers the subprotocol ``bearer.TOKEN`` beside ours, or, if the page is our own,
sends the cookie that the browser got in exchange for a password.  Tokens in URLs are ignored,
because URLs end up in logs and histories.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from diffc_stream.transport.tokens import is_token

OFFER = "bearer."
"""The prefix of a subprotocol that carries a token."""
_LONGEST = 2048
"""How many characters of a header are read."""

Fields = Callable[[str], list[str]]
"""Returns all values of a request's header, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request shows to be admitted."""

    token: str
    """As the client sent it; it need not be a valid token."""
    password: bool = False
    """Whether it came as a password, which a browser asked its user for."""


def credentials_of(fields: Fields, *, secure: bool, own: bool) -> Credentials | None:
    """Return a request's credentials, if it has any.

    Password and cookie, which a browser adds by itself, count only if the page is our ``own``:
    otherwise a page of another site could use them.  ``secure`` says that the request came over
    TLS, where the cookie has another name.
    """
    for value in fields("Authorization")[:1]:
        scheme, _, rest = value[:_LONGEST].partition(" ")
        if scheme.lower() == "bearer":
            return Credentials(token=rest.strip())
        if scheme.lower() == "basic" and own:
            return Credentials(token=_password(rest.strip()), password=True)
    for offer in _items(fields("Sec-WebSocket-Protocol"), ","):
        if offer.startswith(OFFER):
            return Credentials(token=offer.removeprefix(OFFER))
    name = cookie_name(secure)
    for cookie in _items(fields("Cookie"), ";") if own else ():
        key, _, value = cookie.partition("=")
        if key == name:
            return Credentials(token=value)
    return None


def cookie_name(secure: bool) -> str:
    """Return the cookie's name; browsers accept ``__Host-`` only from the host itself, by TLS."""
    return "__Host-diffc" if secure else "diffc"


def cookie(token: str, *, secure: bool) -> str:
    """Return the Set-Cookie of a token: our own page only, no scripts, until the browser ends.

    Raises ValueError if ``token`` is not a token.
    """
    if not is_token(token):
        raise ValueError("no token")
    protected = "; Secure" if secure else ""
    return f"{cookie_name(secure)}={token}; Path=/; HttpOnly; SameSite=Strict{protected}"


def _password(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode().partition(":")[2]
    except ValueError:  # not Base64, or not text
        return ""


def _items(values: list[str], separator: str) -> list[str]:
    return [item.strip() for value in values for item in value[:_LONGEST].split(separator)]
