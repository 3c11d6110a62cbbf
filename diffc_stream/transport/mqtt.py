"""Connections to an MQTT broker, for both daemons: address, login, and limits on what it sends.

aiomqtt, the library underneath, takes packets of up to 256 MB.  Here a packet has at most
:data:`MOST_PACKET` bytes, and few of them wait: a broker that sends more loses the connection, or
the messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from diffc_stream.errors import AddressError, LinkLost, MissingPackage, SafetyError, Unauthorized
from diffc_stream.transport.exposure import in_the_clear
from diffc_stream.transport.url import without_login

if TYPE_CHECKING:
    from aiomqtt import Client as Client  # noqa: PLC0414  (for both daemons)

PORTS = {"mqtt": 1883, "mqtts": 8883}
MOST_MESSAGE = 2**17
"""Bytes of the largest message that is published or taken."""
MOST_PACKET = MOST_MESSAGE + 2**16
"""Bytes of the largest packet: a message and its topic."""
MOST_QUEUED = 64
"""Messages that may wait to be taken; a broker's further ones are dropped, and asked for again."""
KEEPALIVE = 120
"""Seconds of silence after which either end makes sure that the other is there."""
ANSWER = 120.0
"""Seconds that the broker gets to confirm a message, which a thin link may carry for long."""
INSISTING = 0.1
"""Seconds after which a task is cancelled again."""
MOST_PREFIX = 255
MOST_LOGIN = 4096
"""Bytes of a file with a login that are read."""
ENVIRONMENT = "DIFFC_MQTT_LOGIN"
_REFUSED = (4, 5, 134, 135)
"""MQTT's codes, of both versions, for a login that is missing or wrong."""

Result = TypeVar("Result")

# The library warns of every message that is dropped, which a broker could make it do without end.
_SILENT = logging.getLogger("diffc_stream.mqtt")
_SILENT.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A broker, and the topic below which a sender's streams are: ``mqtt://HOST:PORT/PREFIX``."""

    host: str
    port: int
    tls: bool
    prefix: str

    @classmethod
    def parse(cls, url: str) -> Broker:
        """Parse an address.  Raises AddressError."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise AddressError(f"{without_login(url)!r} is not an address: {reason}") from error
        if parts.scheme not in PORTS or not parts.hostname or port == 0:
            raise AddressError(f"{without_login(url)!r} is not mqtt://HOST:PORT/PREFIX")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise AddressError(
                "an address mqtt://HOST:PORT/PREFIX has no login and no '?' or '#': "
                f"--mqtt-login FILE, or {ENVIRONMENT}, has the login"
            )
        return cls(
            host=parts.hostname,
            port=port or PORTS[parts.scheme],
            tls=parts.scheme == "mqtts",
            prefix=check_prefix(unquote(parts.path).strip("/")),
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}/{self.prefix}"


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` if topics may begin with it.  Raises AddressError."""
    levels = prefix.split("/")
    wild = any(char in prefix for char in "+#") or not prefix.isprintable()
    if not all(levels) or wild or prefix.startswith("$") or len(prefix) > MOST_PREFIX:
        raise AddressError(
            f"{prefix!r} is no topic: an MQTT address names one after the host, like "
            "/cameras/gate, without '+', '#' and empty levels"
        )
    return prefix


@dataclass(frozen=True, slots=True)
class Login:
    """A user and a password."""

    user: str
    password: str = field(repr=False)


def read_login(path: Path | None) -> Login | None:
    """Return the login in a file, else that in ``DIFFC_MQTT_LOGIN``, ``USER:PASSWORD``, if any.

    Raises SafetyError.
    """
    if path is None:
        text, where = os.environ.get(ENVIRONMENT, ""), ENVIRONMENT
        if not text:
            return None
    else:
        where = str(path)
        try:
            with path.open("rb") as file:
                text = file.read(MOST_LOGIN).decode()
        except OSError as error:
            raise SafetyError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SafetyError(f"{path} is no text") from error
    user, colon, password = text.removesuffix("\n").removesuffix("\r").partition(":")
    if not user or not colon or not f"{user}{password}".isprintable():
        # The message quotes nothing of it, because it holds a password.
        raise SafetyError(f"{where} does not hold USER:PASSWORD")
    return Login(user, password)


def check_login(broker: Broker, login: Login | None, *, exposed: bool) -> None:
    """Raise SafetyError if a password would cross a network unencrypted."""
    if login is None:
        return
    objection = in_the_clear(
        str(broker), broker.host, tls=broker.tls, insecure=exposed, better="mqtts://"
    )
    if objection is not None:
        raise SafetyError(objection.replace("the token", "the password"))


@contextlib.asynccontextmanager
async def connected(
    broker: Broker,
    login: Login | None = None,
    *,
    tls: ssl.SSLContext | None = None,
    will: str | None = None,
) -> AsyncIterator[Client]:
    """Connect to a broker inside the block.

    ``tls`` says whom to trust, if the broker's address asks for TLS.  The broker publishes
    ``offline``, retained, to the topic ``will`` when the connection is lost.

    Raises LinkLost if the broker cannot be reached or the connection is lost, Unauthorized if it
    refuses the login, and MissingPackage without aiomqtt.
    """
    aiomqtt = library()
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=login.user if login else None,
        password=login.password if login else None,
        tls_context=tls,
        will=aiomqtt.Will(will, b"offline", 1, True) if will else None,
        timeout=ANSWER,
        keepalive=KEEPALIVE,
        max_queued_incoming_messages=MOST_QUEUED,
        max_queued_outgoing_messages=MOST_QUEUED,
        max_inflight_messages=MOST_QUEUED,
        logger=_SILENT,
    )
    client.pending_calls_threshold = MOST_QUEUED
    _limit(client)
    disconnected = client._disconnected
    try:
        async with client:
            if not client._client.is_connected():
                # The library forgets a loss that comes right after the broker's greeting.
                raise LinkLost(f"{broker}: it has hung up")
            yield client
    except aiomqtt.MqttError as error:
        code = getattr(error, "rc", None)
        if getattr(code, "value", code) in _REFUSED:
            raise Unauthorized(
                f"{broker} wants a login, or another one: --mqtt-login FILE, or {ENVIRONMENT}"
            ) from error
        reason = " ".join(str(error).split())[:200]
        raise LinkLost(f"{broker}: {reason if reason.isprintable() else 'lost'}") from error
    finally:
        if disconnected.done() and not disconnected.cancelled():
            disconnected.exception()  # marks it as seen: the library may have forgotten it


async def completed(call: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of a call of the library; if this is cancelled, so is the call.

    The library waits with ``asyncio.wait_for``, which under Python 3.11 loses a cancellation that
    comes together with the broker's answer.
    """
    task = asyncio.create_task(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        task.add_done_callback(_seen)
        raise


async def ended(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks, again and again until they have ended: see :func:`completed`."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=INSISTING)
    for task in tasks:
        _seen(task)


def _seen(task: asyncio.Task[Any]) -> None:
    """Mark a task's error as seen."""
    if not task.cancelled():
        task.exception()


def library() -> Any:
    """Return aiomqtt.  Raises MissingPackage."""
    try:
        import aiomqtt
    except ImportError as error:
        raise MissingPackage("MQTT needs aiomqtt: pip install 'diffc-stream[mqtt]'") from error
    return aiomqtt


def _limit(client: Any) -> None:
    """Make the library give up a connection over which a larger packet comes.

    It has no such setting: it asks the socket for the rest of the packet, however long that is.
    """
    paho = client._client
    receive = paho._sock_recv

    def limited(size: int) -> bytes:
        if size > MOST_PACKET:
            raise ConnectionAbortedError(f"a packet of {size} bytes")
        return bytes(receive(size))

    paho._sock_recv = limited
