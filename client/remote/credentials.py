"""How to get in at a sender: the token to show, and whom to believe that it is the sender."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path

from diffc_stream.errors import (
    LinkLost,
    RemoteProtocolError,
    SafetyError,
    SessionError,
    Unauthorized,
)
from diffc_stream.replacement import stamp
from diffc_stream.transport.exposure import in_the_clear
from diffc_stream.transport.tls import believing, speaks_http, speaks_tls
from diffc_stream.transport.tokens import is_token

from .address import Address
from .unreachable import unreachable

logger = logging.getLogger("diffc_client")

MOST_FILE = 65_536
"""Bytes of a file of tokens."""
WANTS_TOKEN = "wants a token, or another one: --token-file FILE, or DIFFC_TOKEN (HTTP 401)"
"""What a sender means that says so."""
LATER = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""Statuses beside 500 to 599 that say to try again."""
MOST_LOCATION = 200
"""Characters of where an answer says to look."""
EVERYWHERE = ""
"""In place of a host: whoever is asked."""
PROMPT = 3.0
"""Seconds within which who expects TLS hangs up, and can be asked whether that was why."""
NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE")
"""What OpenSSL calls an answer that is none of TLS."""
KINDS = {False: "WebSocket", True: "HTTP"}
"""Of servers; True: plain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What to show, and what to believe."""

    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By HOST:PORT or HOST in lower case, or :data:`EVERYWHERE`."""
    ca: Path | None = None
    """Certificates of authorities to believe, PEM, instead of those that the system believes."""
    exposed: bool = False
    """Show tokens where others can read them on the way too."""

    @classmethod
    def of(cls, token: str | None, ca: Path | None) -> Access:
        """Return the access by one token, if any.  Raises SafetyError if it cannot be one."""
        if token is not None and not is_token(token):
            raise SafetyError("this is no token: it is one word of letters, digits, '-' and '_'")
        return cls(tokens={} if token is None else {EVERYWHERE: token}, ca=ca)

    def fields(self, address: Address) -> dict[str, str]:
        """Return the headers that go with a request to ``address``, and to no other.

        Raises Unauthorized where the token would cross a network that others can listen to.
        """
        named = f"{address.host}:{address.port}"
        token = (
            self.tokens.get(named) or self.tokens.get(address.host) or self.tokens.get(EVERYWHERE)
        )
        if token is None:
            return {}
        tls, insecure = address.secure, self.exposed
        objection = in_the_clear(
            str(address.sender),
            address.host,
            tls=tls,
            insecure=insecure,
            better="wss:// or https://",
        )
        if objection is not None:
            raise Unauthorized(objection)
        return {"Authorization": f"Bearer {token}"}

    async def current(self) -> Access:
        """Return it as it is now: this one stays the same."""
        return self

    def context(self, address: Address) -> ssl.SSLContext | None:
        """Return what a connection to ``address`` is secured by; None: nothing.

        Raises SafetyError if the authorities cannot be read.
        """
        return believing(self.ca) if address.secure else None


NO_ACCESS = Access()
"""No token, and the authorities of the system."""


def read_tokens(path: Path) -> dict[str, str]:
    """Read a file of one token, or of lines ``HOST TOKEN`` or ``HOST:PORT TOKEN``.

    Lines that are empty or begin with # do not count.  Raises SafetyError.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_FILE).decode("ascii")
    except OSError as error:
        raise SafetyError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SafetyError(f"{path} is no file of tokens") from error
    tokens: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place, token = (EVERYWHERE, words[0]) if len(words) == 1 else (words[0].lower(), words[-1])
        if len(words) > 2 or not is_token(token) or place in tokens:
            # Nothing of it is quoted: it may be a token all the same.
            raise SafetyError(f"{path} is no token, and no lines of HOST TOKEN")
        tokens[place] = token
    if not tokens or (EVERYWHERE in tokens and len(tokens) > 1):
        raise SafetyError(f"{path} is no token, and no lines of HOST TOKEN")
    return tokens


class TokenFile:
    """An access whose file of tokens is read again when it has changed."""

    def __init__(self, access: Access, path: Path) -> None:
        """Begin with ``access``, whose tokens were read from ``path``."""
        self._access = access
        self._path = path
        self._seen = stamp(path)

    async def current(self) -> Access:
        """Return the access with the tokens that are in the file now.

        If it cannot be read, or holds none, that is logged, and those from before are shown.
        """
        return await asyncio.to_thread(self._reread)

    def _reread(self) -> Access:
        now = stamp(self._path)
        if now != self._seen:
            self._seen = now
            try:
                self._access = replace(self._access, tokens=read_tokens(self._path))
            except SafetyError as error:
                logger.warning("the token stays as it was: %s", error)
        return self._access


def access_from(token_file: Path | None, ca: Path | None, *, exposed: bool) -> Access:
    """Return the access of a command: by its options, else by DIFFC_TOKEN and DIFFC_CA.

    Raises SafetyError.
    """
    token, authorities = os.environ.get("DIFFC_TOKEN"), os.environ.get("DIFFC_CA")
    if token_file is not None:
        tokens = read_tokens(token_file)
    else:
        tokens = dict(Access.of(token or None, None).tokens)
    if ca is None and authorities:
        ca = Path(authorities)
    return Access(tokens=tokens, ca=ca, exposed=exposed)


def check_one_host(access: Access, addresses: list[Address]) -> None:
    """Raise SafetyError if one token would be shown to different hosts."""
    if EVERYWHERE in access.tokens and len({address.host for address in addresses}) > 1:
        raise SafetyError(
            "one token would be shown to several hosts: in the --token-file, write lines of "
            "HOST TOKEN"
        )


def refused(sender: Address, status: int, location: str, otherwise: str) -> SessionError:
    """Return the error for an answer of HTTP that gives nothing.

    ``location`` is where it says to look, if it does, and ``otherwise`` what a status means that
    means nothing in particular.
    """
    if status >= 500 or status in LATER:
        return LinkLost(f"{sender} cannot serve at the moment (HTTP {status})")
    if status == HTTPStatus.UNAUTHORIZED:
        return Unauthorized(f"{sender} {WANTS_TOKEN}")
    location = location[:MOST_LOCATION]
    if 300 <= status < 400 and location.isprintable():
        return RemoteProtocolError(f"{sender} says to ask elsewhere: {location}")
    return RemoteProtocolError(f"{sender} {otherwise} (HTTP {status})")


async def unsecured(sender: Address, error: OSError) -> SessionError:
    """Return the error for a connection to ``sender`` that could not be made, TLS or not.

    Whether TLS is spoken there is looked at, where nothing else tells.
    """
    without = f"{sender} does not speak TLS: say {sender.scheme[:-1]}://"
    if isinstance(error, ssl.SSLCertVerificationError):
        return RemoteProtocolError(
            f"{sender} cannot prove who it is: {error.verify_message} (if the certificate is its "
            "own: --ca FILE)"
        )
    # Of a connection that is lost in the middle of it, OpenSSL says several things.
    if isinstance(error, ConnectionError | ssl.SSLEOFError | ssl.SSLZeroReturnError) and not (
        isinstance(error, ConnectionRefusedError)
    ):
        if sender.secure and await speaks_http(sender.host, sender.port, patience=PROMPT):
            return RemoteProtocolError(without)
        return LinkLost(f"{sender} has hung up while the connection was being opened")
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if error.reason in NO_TLS:
            return RemoteProtocolError(f"{without} ({reason})")
        return RemoteProtocolError(f"TLS with {sender} fails: {reason}")
    return unreachable(sender, error)


async def unanswered(sender: Address, seconds: float, *, closed: bool) -> SessionError:
    """Return the error for somebody who hangs up, or says something else than HTTP.

    ``seconds`` is how long that took; ``closed``: nothing was said at all.  Whether TLS is spoken
    there is looked at, where it may be the reason and can be told soon.
    """
    prompt = not sender.secure and seconds < PROMPT
    if prompt and await speaks_tls(sender.host, sender.port, patience=PROMPT):
        return RemoteProtocolError(f"{sender} speaks TLS: say {sender.scheme}s://")
    if not closed:
        return LinkLost(f"{sender} does not answer like a {KINDS[sender.plain]} server")
    after = f" after {seconds:.0f} s" if seconds >= 1 else ""
    return LinkLost(f"{sender} has hung up{after} without an answer")
