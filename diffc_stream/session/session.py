"""The two ends of a connection, without the connection itself (sans IO).

A session takes the messages that have arrived, returns what they mean, and keeps the messages to
send until its driver fetches them.  It knows no sockets, no threads and no clock: its driver passes
the time.  Driving a session takes four calls, the same for both ends::

    event = session.receive(data, now)         for every WebSocket message, in order
    for data in session.transmit(now): ...     after anything was received or asked for
    session.handle_timeout(now)                at session.next_timeout(), at the latest

Events are the messages themselves, or None if the session has dealt with a message by itself.
Payloads are bytes: a session never sees pictures.

Flow control is one number, the window: the payload of DATA sent, but not yet acknowledged, never
exceeds it.  This has three benefits: whatever the link buffers, at most a window of it is ours; at
most a window of stale bytes follows a STOP; and messages from a peer on a slow link still arrive in
time.  The receiver makes the window smaller than agreed if the link needs less (:mod:`~.pace`).
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
"""Seconds between signs of life, at least: no peer can demand them more often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one end offers, in HELLO or WELCOME."""

    window: int = 8192
    """Most bytes of payload under way, MIN_WINDOW to MAX_WINDOW; the smaller of both ends' values
    holds."""
    streams: int = 64
    """Streams that a sender serves at once on one connection."""
    idle: float = 60.0
    """Seconds of silence after which this end gives the link up."""
    greeting: float = 60.0
    """Seconds that a sender waits for HELLO.  On a link of 15 bytes a second, HELLO takes half of
    that to arrive, because it comes after the bytes that open the connection."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a stream has come."""

    position: int
    limit: int = MAX_STREAM
    updates: int = 0
    """UPDATEs sent (by the receiver) or received (by the sender)."""


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
        """Most bytes of payload that may be under way, as HELLO and WELCOME agree on it."""
        self._tracker = Tracker(self.role)
        self._progress: dict[int, Progress] = {}
        self._outbox: list[bytes] = []
        self._said = self._taken = 0
        """Messages sent to the peer, and received from it."""
        self._started = self._heard = self._spoke = now
        self._peer_idle = terms.idle

    @property
    def closed(self) -> bool:
        """Whether the connection is over: send what transmit() still returns, then close it."""
        return self._tracker.connection is ConnectionState.CLOSED

    @property
    def leaving(self) -> bool:
        """Whether the sender has said GOAWAY."""
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
        """Take one WebSocket message from the peer and return the event to act on, if any.

        Raises RemoteProtocolError if the peer broke the protocol (transmit() then returns an ERROR
        that says so), and PeerError if the peer gave the connection up.
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
        """Return the time at which to call handle_timeout(), or None if never."""
        if self.closed:
            return None
        return min(self._deadline(), self._spoke + self._breath)

    def heard(self, when: float) -> None:
        """Count bytes that came at the time ``when``, of any message, as a sign of life.

        On a thin link a long message may take longer to arrive than ``idle`` allows for silence.
        """
        self._heard = max(self._heard, when)

    def handle_timeout(self, now: float) -> None:
        """Do what is due: send a sign of life, or give the link up.

        Raises LinkLost if it gives the link up.  Calling it too early does nothing.
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
        """Seconds of this end's silence after which it sends a sign of life."""
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
