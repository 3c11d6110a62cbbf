"""The token that a request shows, wherever it carries it.

A program says ``Authorization: Bearer TOKEN``.  A page in a browser cannot: it offers the
subprotocol ``bearer.TOKEN`` beside ours, or, if it is our own, comes with the cookie that its
browser got for a password.  In addresses, which land in logs and histories, none is looked for.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from diffc_stream.transport.tokens import is_token

OFFER = "bearer."
"""What a subprotocol begins with that is a token."""
_LONGEST = 2048
"""Characters of a header that is read."""

Fields = Callable[[str], list[str]]
"""All values of a header of a request, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request shows."""

    token: str
    """It need not be one."""
    password: bool = False
    """As a password, which a browser asked for."""


def shown(fields: Fields, *, secure: bool, own: bool) -> Credentials | None:
    """Return what a request shows, if anything.

    What a browser adds by itself, password and cookie, counts only if the page is our ``own``, or
    another one could make use of it.  ``secure``: over TLS, where the cookie has another name.
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
    """Return the name of the cookie; browsers see to it that ``__Host-`` is what it says."""
    return "__Host-diffc" if secure else "diffc"


def cookie(token: str, *, secure: bool) -> str:
    """Return the Set-Cookie for a token: for our own page, no script, and until the browser ends.

    Raises ValueError if it is no token.
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
