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
    UnknownImage,
)
from diffc_stream.session.messages import (
    ENTRIES_PER_PAGE,
    MAX_STREAM,
    MAX_WINDOW,
    MIN_WINDOW,
    MOST_CAPABILITIES,
    MOST_MODELS,
    MUST,
    Ack,
    Alive,
    Catalogue,
    Code,
    Data,
    End,
    Entry,
    Error,
    Goaway,
    Hello,
    List,
    Message,
    Open,
    Reason,
    Stop,
    Update,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session.pace import Pace
from diffc_stream.session.state import ConnectionState, Role, StreamState, Tracker, Way
from diffc_stream.session.target import WHOLE, Target

SHORTEST_BREATH = 0.3
"""Seconds; nobody is obliged to say more often that he is there."""
COME_BACK = 5.0
"""Seconds within which receivers come back to a sender that said GOAWAY."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one end offers, in HELLO or WELCOME."""

    window: int = 8192
    """Most bytes of payload under way, MIN_WINDOW to MAX_WINDOW; the smaller end's counts."""
    streams: int = 64
    """Streams a sender serves at once on one connection."""
    idle: float = 60.0
    """Seconds of silence after which the link is given up."""
    greeting: float = 10.0
    """Seconds a sender waits for HELLO."""


@dataclass(slots=True, kw_only=True)
class _Progress:
    """How far a stream has come."""

    position: int
    limit: int = MAX_STREAM
    updates: int = 0
    """UPDATEs said, or heard."""


class Session:
    """What both ends have in common: reading, writing, liveness."""

    role: ClassVar[Role]

    def __init__(
        self, *, now: float, terms: Terms, models: Iterable[str], capabilities: Iterable[str]
    ) -> None:
        if not MIN_WINDOW <= terms.window <= MAX_WINDOW:
            raise LocalProtocolError(f"a window of {terms.window} bytes")
        self.terms = terms
        self.models = tuple(models)[:MOST_MODELS]
        self.capabilities = tuple(capabilities)[:MOST_CAPABILITIES]
        self.window = terms.window
        """Most bytes of payload that may be under way; agreed on by HELLO and WELCOME."""
        self._tracker = Tracker(self.role)
        self._progress: dict[int, _Progress] = {}
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


class ReceiverSession(Session):
    """The end that asks for pictures.  HELLO is its first message, waiting from the start."""

    role = Role.RECEIVER

    def __init__(
        self,
        *,
        now: float,
        terms: Terms | None = None,
        models: Iterable[str] = (),
        capabilities: Iterable[str] = (),
    ) -> None:
        """Start a session; ``models`` are the fingerprints of those it can decode with.

        Only so many fit a message: the first MOST_MODELS are named.
        """
        terms = terms or Terms()
        super().__init__(now=now, terms=terms, models=models, capabilities=capabilities)
        self.welcome: Welcome | None = None
        """What the sender said of itself, once it has."""
        self._listing = False
        self._received = 0
        self._acknowledged = 0
        self._pace = Pace(now)
        self._say(
            Hello(
                window=self.window,
                idle=self.terms.idle,
                models=self.models,
                capabilities=self.capabilities,
            )
        )

    @property
    def current(self) -> int:
        """The window in force: what was granted last."""
        return min(self._pace.window, self.window)

    def list(self) -> None:
        """Ask for the catalogue, which comes as one or more Catalogue events."""
        self._stay()
        if self._listing:
            raise LocalProtocolError("the last LIST has not been answered yet")
        self._say(List())
        self._listing = True

    def open(
        self,
        image: str,
        *,
        start: int = 0,
        prefix: str | None = None,
        target: Target = WHOLE,
        weight: float = 1.0,
        model: str | None = None,
    ) -> int:
        """Ask for a picture's stream and return the id that its events will carry.

        ``start`` bytes of it are held already, whose :class:`PrefixHash` is ``prefix`` and which
        name the model of the fingerprint ``model`` (None if they do not reach so far).  Data events
        come until ``target`` is reached, and at last End or Error.  A gain in quality counts
        ``weight`` times, above 0, beside other streams.  Raises LinkLost if the sender is leaving.
        """
        self._stay()
        stream = self._tracker.last_opened + 1
        self._say(
            Open(
                stream=stream,
                image=image,
                start=start,
                prefix=prefix,
                bytes=target.bytes,
                bpp=target.bpp,
                side=target.side,
                psnr=target.psnr,
                weight=weight,
                model=model,
            )
        )
        limit = max(start, target.bytes or MAX_STREAM)
        self._progress[stream] = _Progress(position=start, limit=limit)
        return stream

    def update(self, stream: int, *, target: Target = WHOLE, weight: float = 1.0) -> bool:
        """Change how far an open stream goes, and its weight; return False if it has ended.

        The sender may end it before it hears of this, as END's ``updates`` tells: who then wants
        more opens it again.
        """
        if self.closed or self._tracker.stream(stream) is not StreamState.OPEN:
            return False
        self._say(
            Update(
                stream=stream,
                bytes=target.bytes,
                bpp=target.bpp,
                side=target.side,
                psnr=target.psnr,
                weight=weight,
            )
        )
        progress = self._progress[stream]
        progress.updates += 1
        # What is under way was sent for the target before.
        progress.limit = max(progress.limit, target.bytes or MAX_STREAM)
        return True

    def stop(self, stream: int) -> None:
        """Say that no more is wanted of a stream; End follows.  Too late is not an error."""
        if not self.closed and self._tracker.stream(stream) is StreamState.OPEN:
            self._say(Stop(stream=stream))

    def _handle(self, message: Message) -> Message | None:
        match message:
            case Welcome():
                self._agree(message)
            case Catalogue():
                self._take_names(message)
            case Data():
                self._take_payload(message)
            case End():
                progress = self._progress.pop(message.stream)
                held = progress.position
                if message.length != held:
                    raise RemoteProtocolError(f"END: at byte {message.length}, but {held} came")
                if message.updates > progress.updates:
                    raise RemoteProtocolError("END: more UPDATEs than were said")
            case Error():
                self._progress.pop(message.stream)
            case Goaway():
                pass
            case _:
                return None
        return message

    def _agree(self, welcome: Welcome) -> None:
        if welcome.window > self.window:
            raise RemoteProtocolError("WELCOME: a window larger than HELLO's")
        self.welcome = welcome
        self.window = welcome.window
        self._peer_idle = welcome.idle
        self._pace.welcomed(self._heard)

    def _take_names(self, catalogue: Catalogue) -> None:
        if not self._listing:
            raise RemoteProtocolError("a CATALOGUE without a LIST")
        self._listing = not catalogue.last

    def _take_payload(self, data: Data) -> None:
        progress = self._progress[data.stream]
        if data.offset != progress.position:
            raise RemoteProtocolError(f"DATA: byte {data.offset}, not {progress.position}")
        progress.position += len(data.payload)
        self._received += len(data.payload)
        if progress.position > progress.limit:
            raise RemoteProtocolError("DATA: more than was asked for")
        unacknowledged = self._received - self._acknowledged
        if unacknowledged > self.window:
            raise RemoteProtocolError("DATA: more than the window allows")
        self._pace.arrived(len(data.payload), self._heard)
        # Three to a window: seldom enough to cost little, often enough that a sender whose frames
        # are half a window never stops.
        if 3 * unacknowledged >= self.current:
            self._pace.renew(self._heard)
            self._say(Ack(received=self._received, window=self.current))
            self._acknowledged = self._received

    def _stay(self) -> None:
        if self.leaving:
            raise LinkLost("the sender is shutting down")


class SenderSession(Session):
    """The end that has the pictures.  It answers HELLO by itself."""

    role = Role.SENDER

    def __init__(
        self,
        *,
        now: float,
        terms: Terms | None = None,
        models: Iterable[str] = (),
        capabilities: Iterable[str] = (),
    ) -> None:
        """Start a session; ``models`` are the fingerprints of those it can encode with.

        The preferred one comes first; the first MOST_MODELS are named.
        """
        terms = terms or Terms()
        super().__init__(now=now, terms=terms, models=models, capabilities=capabilities)
        self.hello: Hello | None = None
        """What the receiver said of itself, once it has."""
        self.current = min(Pace.FIRST, self.window)
        """The window in force: what the receiver granted last, and a small one before it did."""
        self._listing = False
        self._sent = 0
        self._acknowledged = 0

    @property
    def under_way(self) -> int:
        """Bytes of payload that were sent and not acknowledged yet."""
        return self._sent - self._acknowledged

    @property
    def credit(self) -> int:
        """Bytes of payload that may be sent now."""
        return max(0, self.current - self.under_way)

    def position(self, stream: int) -> int:
        """Return the offset of the next byte of an open stream."""
        return self._progress[stream].position

    def catalogue(self, images: Iterable[Entry]) -> None:
        """Answer a List event with all pictures."""
        entries = tuple(images)
        pages = [
            entries[i : i + ENTRIES_PER_PAGE] for i in range(0, len(entries), ENTRIES_PER_PAGE)
        ]
        for page in pages[:-1]:
            self._say(Catalogue(images=page, last=False))
        self._say(Catalogue(images=pages[-1] if pages else (), last=True))
        self._listing = False

    def send(self, stream: int, payload: bytes) -> None:
        """Send the next bytes of a stream, at most ``credit`` of them."""
        if not 0 < len(payload) <= self.credit:
            raise LocalProtocolError(f"{len(payload)} bytes where credit is {self.credit}")
        progress = self._progress.get(stream, _Progress(position=0))
        self._say(Data(stream=stream, offset=progress.position, payload=payload))
        progress.position += len(payload)
        self._sent += len(payload)

    def end(self, stream: int, reason: Reason) -> None:
        """End a stream where it is."""
        progress = self._progress[stream]
        self._say(
            End(
                stream=stream,
                reason=reason,
                length=progress.position,
                updates=progress.updates,
            )
        )
        del self._progress[stream]

    def refuse(
        self,
        stream: int,
        code: str,
        message: str,
        *,
        retry: bool = False,
        model: str | None = None,
    ) -> None:
        """End a stream with an error.

        ``retry`` if asking again later may help; ``model`` is the fingerprint of one that is
        missing.
        """
        text = one_line(message)
        self._say(Error(stream=stream, code=code, message=text, retry=retry, model=model))
        del self._progress[stream]

    def go_away(self) -> None:
        """End every stream because this sender is shutting down, and take no more."""
        if self._tracker.connection is ConnectionState.READY:
            self._say(Goaway(wait=COME_BACK))
            for stream in self.streams:
                self.end(stream, Reason.DRAINING)

    def _handle(self, message: Message) -> Message | None:
        match message:
            case Hello():
                self._greet(message)
            case List():
                if self._listing:
                    raise RemoteProtocolError("a second LIST before the first was answered")
                self._listing = True
            case Open():
                self._progress[message.stream] = _Progress(position=message.start)
                if self.leaving:  # it crossed GOAWAY on its way
                    self.end(message.stream, Reason.DRAINING)
                    return None
                if len(self.streams) > self.terms.streams:
                    most = f"no more than {self.terms.streams} streams at once"
                    self.refuse(message.stream, Code.BUSY, most, retry=True)
                    return None
            case Ack():
                if not self._acknowledged <= message.received <= self._sent:
                    raise RemoteProtocolError(
                        f"ACK of {message.received} bytes where {self._acknowledged} to "
                        f"{self._sent} are possible"
                    )
                if message.window is not None and message.window > self.window:
                    raise RemoteProtocolError("ACK: a window larger than WELCOME's")
                self._acknowledged = message.received
                self.current = message.window or self.window
                return None
            case Update():
                if message.stream not in self._progress:
                    return None  # it crossed END on its way
                self._progress[message.stream].updates += 1
            case Stop():
                if message.stream not in self._progress:
                    return None  # it crossed END on its way
                self.end(message.stream, Reason.STOPPED)
            case _:
                return None
        return message

    def _greet(self, hello: Hello) -> None:
        self.hello = hello
        self.window = min(self.window, hello.window)
        self.current = min(self.current, self.window)
        self._peer_idle = hello.idle
        self._say(
            Welcome(
                window=self.window,
                idle=self.terms.idle,
                streams=self.terms.streams,
                models=self.models,
                capabilities=self.capabilities,
            )
        )


def peer_error(error: Error) -> PeerError:
    """Return the exception that stands for an ERROR from the peer."""
    kind = UnknownImage if error.code == Code.UNKNOWN_IMAGE else PeerError
    return kind(error.code, error.message, retry=error.retry, model=error.model)


def one_line(text: str) -> str:
    """Return ``text`` fit for an ERROR: one line, printable, 512 bytes at most."""
    printable = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return printable.encode(errors="replace")[:512].decode(errors="ignore")
