"""Credentials: the token to show to a sender, and the authorities that certify the sender."""

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
from diffc_stream.transport.mqtt import Login, read_login
from diffc_stream.transport.tls import believing, speaks_http, speaks_tls
from diffc_stream.transport.tokens import is_token

from .address import Address
from .unreachable import unreachable

logger = logging.getLogger("diffc_client")

MOST_FILE = 65_536
"""Bytes of a token file that are read."""
WANTS_TOKEN = "wants a token, or another one: --token-file FILE, or DIFFC_TOKEN (HTTP 401)"
"""The message for an answer 401."""
LATER = (
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""Statuses, beside 500 to 599, after which to try again."""
MOST_LOCATION = 200
"""Characters of a redirection's Location that are shown."""
EVERYWHERE = ""
"""In place of a host: any host."""
PROMPT = 3.0
"""If the server hangs up within so many seconds, the reason may be that it expects TLS."""
NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE")
"""OpenSSL's reasons for an answer that is not TLS."""
KINDS = {False: "WebSocket", True: "HTTP"}
"""Kinds of servers in messages, by :attr:`Address.plain`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Tokens to show, and authorities to trust."""

    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Tokens by HOST:PORT or HOST in lower case, or :data:`EVERYWHERE`."""
    ca: Path | None = None
    """A PEM file of authorities to trust instead of those of the system."""
    exposed: bool = False
    """Whether to show tokens on unencrypted connections too."""
    login: Login | None = None
    """The user and password to show to MQTT brokers."""

    @classmethod
    def of(cls, token: str | None, ca: Path | None) -> Access:
        """Return the access with one token, if given.  Raises SafetyError if it is malformed."""
        if token is not None and not is_token(token):
            raise SafetyError("not a token: it has to be one word of letters, digits, '-' and '_'")
        return cls(tokens={} if token is None else {EVERYWHERE: token}, ca=ca)

    def fields(self, address: Address) -> dict[str, str]:
        """Return the headers of authentication for a request to ``address``.

        Raises Unauthorized where the token would cross a network unencrypted.
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
        """Return the access to use now, which is always this one; see :class:`TokenFile`."""
        return self

    def context(self, address: Address) -> ssl.SSLContext | None:
        """Return the TLS context for a connection to ``address``; None without TLS.

        Raises SafetyError if the authorities cannot be read.
        """
        return believing(self.ca) if address.secure else None


NO_ACCESS = Access()
"""No token, and the system's authorities."""


def read_tokens(path: Path) -> dict[str, str]:
    """Read a file with one token, or with lines ``HOST TOKEN`` or ``HOST:PORT TOKEN``.

    Empty lines and lines that begin with # are ignored.  Raises SafetyError.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_FILE).decode("ascii")
    except OSError as error:
        raise SafetyError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SafetyError(f"{path} is not a token file") from error
    tokens: dict[str, str] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place, token = (EVERYWHERE, words[0]) if len(words) == 1 else (words[0].lower(), words[-1])
        if len(words) > 2 or not is_token(token) or place in tokens:
            # The message quotes nothing of it, because it may be a mistyped token.
            raise SafetyError(f"{path} holds neither a token nor lines of HOST TOKEN")
        tokens[place] = token
    if not tokens or (EVERYWHERE in tokens and len(tokens) > 1):
        raise SafetyError(f"{path} holds neither a token nor lines of HOST TOKEN")
    return tokens


class TokenFile:
    """An access whose token file is read again when it changes."""

    def __init__(self, access: Access, path: Path) -> None:
        """Begin with ``access``, whose tokens were read from ``path``."""
        self._access = access
        self._path = path
        self._seen = stamp(path)

    async def current(self) -> Access:
        """Return the access with the tokens that are in the file now.

        If it cannot be read or holds no token, that is logged, and the earlier tokens are used.
        """
        return await asyncio.to_thread(self._reread)

    def _reread(self) -> Access:
        now = stamp(self._path)
        if now != self._seen:
            self._seen = now
            try:
                self._access = replace(self._access, tokens=read_tokens(self._path))
            except SafetyError as error:
                logger.warning("the token stays unchanged: %s", error)
        return self._access


def access_from(
    token_file: Path | None, ca: Path | None, *, exposed: bool, mqtt_login: Path | None = None
) -> Access:
    """Return a command's access: from its options, else from DIFFC_TOKEN, DIFFC_CA and so on.

    Raises SafetyError.
    """
    token, authorities = os.environ.get("DIFFC_TOKEN"), os.environ.get("DIFFC_CA")
    if token_file is not None:
        tokens = read_tokens(token_file)
    else:
        tokens = dict(Access.of(token or None, None).tokens)
    if ca is None and authorities:
        ca = Path(authorities)
    return Access(tokens=tokens, ca=ca, exposed=exposed, login=read_login(mqtt_login))


def check_one_host(access: Access, addresses: list[Address]) -> None:
    """Raise SafetyError if a single token would be shown to several hosts."""
    if EVERYWHERE in access.tokens and len({address.host for address in addresses}) > 1:
        raise SafetyError(
            "one token would be shown to several hosts: in the --token-file, write lines of "
            "HOST TOKEN"
        )


def http_error(sender: Address, status: int, location: str, otherwise: str) -> SessionError:
    """Return the error for an HTTP answer that refuses.

    ``location`` is that of a redirection, or empty, and ``otherwise`` the message for a status
    without a meaning of its own.
    """
    if status >= 500 or status in LATER:
        return LinkLost(f"{sender} cannot serve at the moment (HTTP {status})")
    if status == HTTPStatus.UNAUTHORIZED:
        return Unauthorized(f"{sender} {WANTS_TOKEN}")
    location = location[:MOST_LOCATION]
    if 300 <= status < 400 and location.isprintable():
        return RemoteProtocolError(f"{sender} redirects to {location}")
    return RemoteProtocolError(f"{sender} {otherwise} (HTTP {status})")


async def connection_error(sender: Address, error: OSError) -> SessionError:
    """Return the error for a failed attempt to connect to ``sender``, with or without TLS.

    If the error does not show whether the server speaks TLS, this tries it out.
    """
    without = f"{sender} does not speak TLS: say {sender.scheme[:-1]}://"
    if isinstance(error, ssl.SSLCertVerificationError):
        return RemoteProtocolError(
            f"the certificate of {sender} is not trusted: {error.verify_message} (--ca FILE trusts "
            "it)"
        )
    # OpenSSL reports a connection that is lost during the handshake in several ways.
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


async def no_answer_error(sender: Address, seconds: float, *, closed: bool) -> SessionError:
    """Return the error for a peer that hangs up, or answers with something other than HTTP.

    ``seconds`` is how long that took; ``closed`` says that the peer sent nothing.  If the peer may
    have expected TLS, this tries out whether it speaks TLS.
    """
    prompt = not sender.secure and seconds < PROMPT
    if prompt and await speaks_tls(sender.host, sender.port, patience=PROMPT):
        return RemoteProtocolError(f"{sender} speaks TLS: say {sender.scheme}s://")
    if not closed:
        return LinkLost(f"{sender} does not answer like a {KINDS[sender.plain]} server")
    after = f" after {seconds:.0f} s" if seconds >= 1 else ""
    return LinkLost(f"{sender} has hung up{after} without an answer")
