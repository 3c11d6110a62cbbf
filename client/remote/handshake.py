"""Opens a WebSocket to a sender, and turns failures into the errors of this project."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import unquote

from websockets.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
)

from diffc_stream.errors import AddressError, RemoteProtocolError, SessionError, Unauthorized
from diffc_stream.session import SUBPROTOCOL
from diffc_stream.transport.pacing import PacedClientConnection
from diffc_stream.transport.websocket import OPENING, PATH_FIELD, connect

from .address import Address
from .credentials import NO_ACCESS, Access, connection_error, http_error, no_answer_error

CLOSE_TIMEOUT = 2.0
"""Seconds that the closing handshake may take."""
MOST_WORDS = 300
"""Bytes of a sender's error text that are shown."""


async def open_websocket(
    address: Address, access: Access = NO_ACCESS, *, opening: float = OPENING
) -> PacedClientConnection:
    """Open a WebSocket to a sender, without a session.

    Once the host is reached, the handshakes may take ``opening`` seconds.  Raises LinkLost if the
    sender cannot be reached, RemoteProtocolError if the peer does not speak our version of the
    protocol, AddressError, SafetyError, MissingPackage, or Unauthorized if the sender requires
    another token, or this one would travel unencrypted.
    """
    sender = str(address.sender)
    fields, secure = access.fields(address), access.context(address)
    if not address.base and address.websocket_path != "/":
        fields[PATH_FIELD] = "?"
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        return await connect(
            f"{replace(address.zoneless.sender, base='')}{address.websocket_path}",
            subprotocol=SUBPROTOCOL,
            headers=fields,
            tls=secure,
            host=address.host if "%" in address.host else None,
            open_timeout=opening,
            close_timeout=CLOSE_TIMEOUT,
        )
    except InvalidStatus as error:
        raise _refusal(address.sender, error) from error
    except InvalidMessage as error:
        closed = isinstance(error.__cause__, EOFError)
        raise await no_answer_error(address.sender, clock() - began, closed=closed) from error
    except NegotiationError as error:
        raise RemoteProtocolError(f"{sender} does not speak {SUBPROTOCOL}") from error
    except InvalidHandshake as error:
        raise RemoteProtocolError(f"{sender} does not speak {SUBPROTOCOL}: {error}") from error
    except (InvalidURI, UnicodeError) as error:
        raise AddressError(f"{sender!r} is not an address: {error}") from error
    except OSError as error:
        raise await connection_error(address.sender, error) from error


def base_of(address: Address, websocket: PacedClientConnection) -> str:
    """Return which part of the requested folder is the sender's path behind a reverse proxy."""
    fields = websocket.response.headers if websocket.response is not None else {}
    asked, seen = unquote(address.websocket_path), unquote(fields.get(PATH_FIELD, ""))
    if address.base or not seen.startswith("/") or not asked.endswith(seen):
        return ""
    return asked.removesuffix(seen).removeprefix("/")


def _refusal(sender: Address, error: InvalidStatus) -> SessionError:
    status, fields = error.response.status_code, error.response.headers
    if status == HTTPStatus.MISDIRECTED_REQUEST:
        return RemoteProtocolError(
            f"{sender} does not know this host name: diffc-server --name adds it (HTTP 421)"
        )
    if status == HTTPStatus.FORBIDDEN:
        return Unauthorized(
            f"{sender} refuses this client (HTTP {status}){_words(bytes(error.response.body))}"
        )
    location = next(iter(fields.get_all("Location")), "")
    return http_error(sender, status, location, f"does not speak {SUBPROTOCOL}")


def _words(body: bytes) -> str:
    """Return the text of an answer, if it is one line that can be shown."""
    line = body[:MOST_WORDS].decode(errors="replace").strip()
    return f": {line}" if line and line.isprintable() and "<" not in line else ""
