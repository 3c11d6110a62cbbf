"""The sender's session: the end that has the pictures."""

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
        """Start a session; ``models`` are the fingerprints of the models it can encode with.

        The preferred one comes first; WELCOME has room for the first MOST_MODELS of them.
        """
        super().__init__(now=now, terms=terms, models=models, capabilities=capabilities)
        self.hello: Hello | None = None
        """The receiver's introduction, once it has come."""
        self.current = min(Pace.LEAST, self.window)
        """The window in force: the one the receiver granted last, or a small one before that."""
        self._listing = self._following = False
        self._pages: deque[Page] = deque()
        self._sent = 0
        self._acknowledged = 0

    @property
    def sent(self) -> int:
        """Bytes of payload sent so far."""
        return self._sent

    @property
    def under_way(self) -> int:
        """Bytes of payload sent, but not yet acknowledged."""
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
        """Answer a List event with these pages, or announce changes to a receiver that follows.

        Pass a :class:`~.paging.Page` for what many receivers get: it is encoded only once.

        Each transmit() sends one page, so that streams need not wait for all of them.
        """
        if not self._listing:
            raise LocalProtocolError("a CATALOGUE without a LIST")
        self._pages.extend(Page(page) if isinstance(page, Catalogue) else page for page in pages)

    def transmit(self, now: float) -> list[bytes]:
        """Return the next messages to send, in order, each once.

        Call it again until it returns none: catalogue pages come one at a time.
        """
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
        """End a stream at its current position."""
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

        ``retry`` says that asking again may help, ``after`` how many seconds to wait before that (a
        day at most); ``model`` is the fingerprint of a missing model.
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
        """End every stream because this sender is shutting down, and accept no new ones."""
        if self._tracker.connection is ConnectionState.READY:
            self._pages.clear()
            self._say(Goaway(wait=COME_BACK))
            for stream in self.streams:
                self.end(stream, Reason.DRAINING)

    def dismiss(self, code: str, reason: str) -> None:
        """Tell the receiver why this sender gives the connection up, and close the session."""
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
