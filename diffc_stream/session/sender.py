"""The end that has the pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from diffc_stream.errors import LocalProtocolError, RemoteProtocolError
from diffc_stream.session.coding import encode_data
from diffc_stream.session.messages import (
    LONGEST,
    Ack,
    Capability,
    Catalogue,
    Code,
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
)
from diffc_stream.session.pace import Pace
from diffc_stream.session.session import Progress, Session, Terms, one_line
from diffc_stream.session.state import ConnectionState, Role, Way

from .paging import Page, starts

COME_BACK = 5.0
"""Seconds within which receivers come back to a sender that said GOAWAY."""


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
        super().__init__(now=now, terms=terms, models=models, capabilities=capabilities)
        self.hello: Hello | None = None
        """What the receiver said of itself, once it has."""
        self.current = min(Pace.LEAST, self.window)
        """The window in force: what the receiver granted last, and a small one before it did."""
        self._listing = self._following = False
        self._pages: deque[Page] = deque()
        self._sent = 0
        self._acknowledged = 0

    @property
    def sent(self) -> int:
        """Bytes of payload that were sent so far."""
        return self._sent

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

    @property
    def pages(self) -> int:
        """Pages of the catalogue that are still to be sent."""
        return len(self._pages)

    def catalogue(self, images: Iterable[Entry]) -> None:
        """Answer a List event with all pictures."""
        entries = tuple(images)
        begins = starts(entries)
        ends = [*begins[1:], len(entries)]
        self.announce(
            Catalogue(images=entries[start:end], last=end == len(entries))
            for start, end in zip(begins, ends, strict=True)
        )

    def announce(self, pages: Iterable[Catalogue | Page]) -> None:
        """Answer a List event with these pages, or say what has changed if it follows.

        What many are told is encoded once if it is a :class:`~.paging.Page`.

        One page goes with each transmit(), so that streams need not wait for all of them.
        """
        if not self._listing:
            raise LocalProtocolError("a CATALOGUE without a LIST")
        self._pages.extend(Page(page) if isinstance(page, Catalogue) else page for page in pages)

    def transmit(self, now: float) -> list[bytes]:
        """Return the messages to send, in order, each once; again, until there are none."""
        if self._pages and not self.closed:
            page = self._pages.popleft()
            data = page.data
            self._tracker.advance(Way.SENDS, page.message)
            self._put(data)
            self._listing = self._following or not page.message.last
        return super().transmit(now)

    def send(self, stream: int, payload: bytes) -> None:
        """Send the next bytes of a stream, at most ``credit`` of them."""
        size, credit = len(payload), self.credit
        if not 0 < size <= credit:
            raise LocalProtocolError(f"{size} bytes where credit is {credit}")
        self._tracker.send_data(stream)
        progress = self._progress[stream]
        self._put(encode_data(stream, progress.position, payload))
        progress.position += size
        self._sent += size

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
        after: float | None = None,
    ) -> None:
        """End a stream with an error.

        ``retry`` if asking again may help, ``after`` so many seconds, or a day if that is longer;
        ``model`` is the fingerprint of one that is missing.
        """
        self._say(
            Error(
                stream=stream,
                code=code,
                message=one_line(message),
                retry=retry,
                model=model,
                after=None if after is None else min(after, LONGEST),
            )
        )
        del self._progress[stream]

    def go_away(self) -> None:
        """End every stream because this sender is shutting down, and take no more."""
        if self._tracker.connection is ConnectionState.READY:
            self._pages.clear()
            self._say(Goaway(wait=COME_BACK))
            for stream in self.streams:
                self.end(stream, Reason.DRAINING)

    def dismiss(self, code: str, reason: str) -> None:
        """Give the connection up, and say why.  The session is then closed."""
        self._give_up(code, reason)

    def _handle(self, message: Message) -> Message | None:
        match message:
            case Hello():
                self._greet(message)
            case List():
                if self._listing:
                    raise RemoteProtocolError("a second LIST before the first was answered")
                self._listing = True
                self._following = message.follow and Capability.FOLLOW in self.capabilities
            case Open():
                self._progress[message.stream] = Progress(position=message.start)
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
