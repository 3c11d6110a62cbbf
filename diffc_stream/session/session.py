"""The two ends of a connection, without the connection.

A session takes the messages that arrived, gives back what they mean, and holds the messages to
send until they are fetched.  It knows neither sockets nor threads, and no clock: whoever drives
it says what time it is.  Driving one takes four calls, the same for both ends::

    event = session.receive(data, now)         for every WebSocket message, in order
    for data in session.transmit(now): ...     after anything was received or asked for
    session.handle_timeout(now)                at session.next_timeout(), at the latest

Events are the messages themselves, or None for what the session deals with alone.  Payloads are
bytes: a session never sees pictures.

Flow control is one number: the DATA payload that was sent and not yet acknowledged never exceeds
the window.  So whatever the link buffers, at most a window of it is ours, a STOP is followed by at
most a window of stale bytes, and a peer that is slow is still heard from in time.  The receiver
makes the window smaller than agreed where the link needs no more (:mod:`~.pace`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from diffc_stream.errors import (
    LinkLost,
    LocalProtocolError,
    PeerError,
    RemoteProtocolError,
    Unauthorized,
    UnknownImage,
)
from diffc_stream.session.coding import decode, encode
from diffc_stream.session.messages import (
    MAX_STREAM,
    MAX_WINDOW,
    MIN_WINDOW,
    MOST_CAPABILITIES,
    MOST_MODELS,
    MUST,
    Alive,
    Code,
    Error,
    Hello,
    Message,
    Welcome,
)
from diffc_stream.session.state import ConnectionState, Role, Tracker, Way

SHORTEST_BREATH = 0.3
"""Seconds; nobody is obliged to say more often that he is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one end offers, in HELLO or WELCOME."""

    window: int = 8192
    """Most bytes of payload under way, MIN_WINDOW to MAX_WINDOW; the smaller end's counts."""
    streams: int = 64
    """Streams a sender serves at once on one connection."""
    idle: float = 60.0
    """Seconds of silence after which the link is given up."""
    greeting: float = 60.0
    """Seconds a sender waits for HELLO; at 15 bytes a second, behind what opens the connection, it
    takes half of that."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a stream has come."""

    position: int
    limit: int = MAX_STREAM
    updates: int = 0
    """UPDATEs said, or heard."""


class Session:
    """What both ends have in common: reading, writing, liveness."""

    role: ClassVar[Role]

    def __init__(
        self,
        *,
        now: float,
        terms: Terms | None,
        models: Iterable[str],
        capabilities: Iterable[str],
    ) -> None:
        terms = terms or Terms()
        if not MIN_WINDOW <= terms.window <= MAX_WINDOW:
            raise LocalProtocolError(f"a window of {terms.window} bytes")
        self.terms = terms
        self.models = tuple(models)[:MOST_MODELS]
        self.capabilities = tuple(capabilities)[:MOST_CAPABILITIES]
        self.window = terms.window
        """Most bytes of payload that may be under way; agreed on by HELLO and WELCOME."""
        self._tracker = Tracker(self.role)
        self._progress: dict[int, Progress] = {}
        self._outbox: list[bytes] = []
        self._said = self._taken = 0
        """Messages to and from the peer."""
        self._started = self._heard = self._spoke = now
        self._peer_idle = terms.idle

    @property
    def closed(self) -> bool:
        """The connection has failed: send what transmit() still gives, then close it."""
        return self._tracker.connection is ConnectionState.CLOSED

    @property
    def leaving(self) -> bool:
        """The sender has said GOAWAY."""
        return self._tracker.connection is ConnectionState.LEAVING

    @property
    def streams(self) -> tuple[int, ...]:
        """Ids of the streams that are open, oldest first."""
        return self._tracker.streams

    @property
    def count(self) -> int:
        """How many streams are open."""
        return self._tracker.count

    @property
    def backlog(self) -> int:
        """Messages waiting for transmit()."""
        return len(self._outbox)

    def receive(self, data: bytes | str, now: float) -> Message | None:
        """Take one WebSocket message from the peer and return what the driver has to act on.

        Raises RemoteProtocolError if the peer broke the protocol (an ERROR that says so is then
        waiting in transmit()), and PeerError if the peer gave the connection up.
        """
        try:
            if isinstance(data, str):
                raise RemoteProtocolError("a text message")
            message = decode(data)
            self._tracker.advance(Way.RECEIVES, message)
            self._heard = now
            if isinstance(message, Hello | Welcome):
                self._understand(message.capabilities)
            if isinstance(message, Alive) and message.said not in (None, self._taken):
                raise RemoteProtocolError(f"ALIVE: of {message.said} messages {self._taken} came")
            self._taken += 1
            if isinstance(message, Error) and not message.stream:
                raise peer_error(message)
            return self._handle(message)
        except RemoteProtocolError as error:
            self._give_up(Code.PROTOCOL, str(error))
            raise

    def transmit(self, now: float) -> list[bytes]:
        """Return the messages to send, in order, each once."""
        messages, self._outbox = self._outbox, []
        if messages:
            self._spoke = now
        return messages

    def next_timeout(self) -> float | None:
        """Return when handle_timeout() wants to be called, or None if never."""
        if self.closed:
            return None
        return min(self._deadline(), self._spoke + self._breath)

    def heard(self, when: float) -> None:
        """Take bytes that came at the time ``when``, of whatever message, for a sign of life.

        On a thin link the whole of a long message may take longer than silence is borne.
        """
        self._heard = max(self._heard, when)

    def handle_timeout(self, now: float) -> None:
        """Do what is due: say that this end is alive, or give the link up.

        Raises LinkLost in the latter case.  Calling it too early does nothing.
        """
        if self.closed:
            return
        if now >= self._deadline():
            silence = f"nothing heard from the {self._peer()} for {now - self._heard:.0f} s"
            self._give_up(Code.TIMEOUT, silence)
            raise LinkLost(silence)
        if now >= self._spoke + self._breath:
            self._spoke = now
            if self._tracker.connection is not ConnectionState.START:
                self._say(Alive(said=self._said))

    def _handle(self, message: Message) -> Message | None:
        raise NotImplementedError

    def _understand(self, capabilities: Iterable[str]) -> None:
        for capability in capabilities:
            if capability.startswith(MUST) and capability[len(MUST) :] not in self.capabilities:
                unsupported = f"{capability} is demanded, which is not known here"
                self._give_up(Code.UNSUPPORTED, unsupported)
                raise RemoteProtocolError(unsupported)

    def _say(self, message: Message) -> None:
        data = encode(message)
        self._tracker.advance(Way.SENDS, message)
        self._put(data)

    def _put(self, data: bytes) -> None:
        self._outbox.append(data)
        self._said += 1

    def _give_up(self, code: str, reason: str) -> None:
        if not self.closed:
            retry = code == Code.TIMEOUT
            self._say(Error(stream=0, code=code, message=one_line(reason), retry=retry))

    def _deadline(self) -> float:
        waiting = self.role is Role.SENDER and self._tracker.connection is ConnectionState.START
        return self._started + self.terms.greeting if waiting else self._heard + self.terms.idle

    @property
    def _breath(self) -> float:
        """Seconds without a word after which this end says that it is there."""
        return max(self._peer_idle / 3, SHORTEST_BREATH)

    def _peer(self) -> str:
        return "receiver" if self.role is Role.SENDER else "sender"


def peer_error(error: Error) -> PeerError | Unauthorized:
    """Return the exception that stands for an ERROR from the peer."""
    if error.code == Code.UNAUTHORIZED:
        return Unauthorized(f"the sender says: {error.message}")
    kind = UnknownImage if error.code == Code.UNKNOWN_IMAGE else PeerError
    return kind(error.code, error.message, retry=error.retry, model=error.model, after=error.after)


def one_line(text: str) -> str:
    """Return ``text`` fit for an ERROR: one line, printable, 512 bytes at most."""
    printable = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return printable.encode(errors="replace")[:512].decode(errors="ignore")
