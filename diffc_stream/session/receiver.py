"""The receiver's session: the end that asks for pictures."""

from __future__ import annotations

from collections.abc import Iterable

from diffc_stream.errors import LinkLost, LocalProtocolError, RemoteProtocolError
from diffc_stream.session.messages import (
    MAX_STREAM,
    Ack,
    Capability,
    Catalogue,
    Data,
    End,
    Error,
    Goaway,
    Hello,
    List,
    Message,
    Open,
    Stop,
    Update,
    Welcome,
)
from diffc_stream.session.pace import Pace
from diffc_stream.session.region import Region
from diffc_stream.session.session import Progress, Session, Terms
from diffc_stream.session.state import Role, StreamState
from diffc_stream.session.target import WHOLE, Target


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
        """Start a session; ``models`` are the fingerprints of the models it can decode with.

        HELLO has room for the first MOST_MODELS of them.
        """
        super().__init__(now=now, terms=terms, models=models, capabilities=capabilities)
        self.welcome: Welcome | None = None
        """The sender's introduction, once it has come."""
        self._listing = self._following = False
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
        """The window in force: the one granted last."""
        return min(self._pace.window, self.window)

    @property
    def following(self) -> bool:
        """Whether the sender keeps announcing changes of its catalogue; False before WELCOME."""
        welcome = self.welcome
        can = welcome is not None and Capability.FOLLOW in welcome.capabilities
        return self._following and can

    @property
    def regions(self) -> bool:
        """Whether the sender has streams of parts of pictures; False before WELCOME."""
        return self.welcome is not None and Capability.REGION in self.welcome.capabilities

    def list(self, *, follow: bool = False, mark: str | None = None) -> None:
        """Ask for the catalogue, which comes as one or more Catalogue events.

        With ``follow``, more of them come whenever something changes, if the sender can do that;
        list() must not be called again then.  ``mark`` is the mark of the last page received.
        """
        self._stay()
        if self._listing:
            raise LocalProtocolError("the last LIST has not been answered yet")
        self._say(List(follow=follow, mark=mark))
        self._listing, self._following = True, follow

    def open(
        self,
        image: str,
        *,
        start: int = 0,
        prefix: str | None = None,
        target: Target = WHOLE,
        weight: float = 1.0,
        model: str | None = None,
        region: Region | None = None,
    ) -> int:
        """Ask for a picture's stream and return the id that its events will carry.

        ``start`` is how many bytes of it the receiver has already, ``prefix`` their
        :class:`PrefixHash`, and ``model`` the fingerprint of the model that they name (None if
        they do not reach that far).  Data events come until ``target`` is reached, and then End or
        Error.  A gain in quality counts ``weight`` times, above 0, compared with other streams.
        With a ``region``, which only senders that have :attr:`regions` may be asked for, it is the
        stream of that part.  Raises LinkLost if the sender is leaving.
        """
        self._stay()
        if region is not None and not self.regions:
            raise LocalProtocolError("a region of a sender that has not said that it knows them")
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
                region=region,
            )
        )
        limit = max(start, target.bytes or MAX_STREAM)
        self._progress[stream] = Progress(position=start, limit=limit)
        return stream

    def update(self, stream: int, *, target: Target = WHOLE, weight: float = 1.0) -> bool:
        """Change how far an open stream goes, and its weight; return False if it has ended.

        The sender may end the stream before it receives this, which ``updates`` in END shows.  To
        get more then, open the stream again.
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
        # Bytes already under way were sent for the earlier target.
        progress.limit = max(progress.limit, target.bytes or MAX_STREAM)
        return True

    def stop(self, stream: int) -> None:
        """Tell the sender to end a stream.  End follows; a stream that has ended is no error."""
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
        self._listing = self.following or not catalogue.last

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
        # Three ACKs per window: few enough to cost little, and enough to keep a sender going whose
        # frames are half a window.
        if 3 * unacknowledged >= self.current:
            self._pace.renew(self._heard)
            self._say(Ack(received=self._received, window=self.current))
            self._acknowledged = self._received

    def _stay(self) -> None:
        if self.leaving:
            raise LinkLost("the sender is shutting down")
