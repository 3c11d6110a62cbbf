"""Everything that reads what comes over a network, as the fuzzer sees it: one row for each.

A row says how an input is made, how it is read, and which exceptions are documented for it; any
other, and any message of more than one line, is a bug.  A new parser is a function that reads
bytes, one that makes some, and a row in :func:`parsers`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffc_client.mirror.paths import Places, Unplaceable
from diffc_client.remote.address import Address
from diffc_client.remote.http_client import MOST_LINE, Wire
from diffc_client.storage.partial_stream import MemoryStream
from diffc_server.auth.credentials import cookie, shown
from diffc_server.catalogue.catalogue import SUFFIXES, Catalogue
from diffc_server.http.comparison import Wanted
from diffc_server.http.ranges import Range, names
from diffc_stream.codec import Decoder
from diffc_stream.codec.curve import Curve
from diffc_stream.container import (
    StreamReader,
    verified,
)
from diffc_stream.container.prefix import Prefix
from diffc_stream.errors import (
    AddressError,
    LinkLost,
    NothingDecodable,
    PeerError,
    PictureTooLarge,
    RemoteProtocolError,
    RequestRefused,
    StreamError,
    UnknownModel,
)
from diffc_stream.session import (
    Error,
    List,
    Open,
    PrefixHash,
    ReceiverSession,
    SenderSession,
    Session,
    decode,
)
from diffc_stream.session.fields import Name
from diffc_stream.session.interleaving import Outlook, turn
from diffc_stream.session.messages import MAX_NAME
from diffc_stream.transport.tokens import is_token
from diffc_viewer import Assets, Door, Question, Site

from .mutation import Mutator
from .nonsense import (
    ADDRESSES,
    ANSWERS,
    ENTRY,
    FROM_RECEIVER,
    FROM_SENDER,
    MODEL,
    NAMES,
    RANGES,
    SHOWINGS,
    VISITS,
    any_conversation,
    any_message,
    any_stream,
    any_text,
    split,
    tiny_model,
)

MOST_PIXELS = 4096
"""Of a picture that is decoded here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """Something that reads bytes from strangers."""

    name: str
    reads: str
    errors: tuple[type[Exception], ...]
    """Documented: with one line to each."""
    source: Callable[[Mutator], bytes]
    parse: Callable[[bytes], object]
    share: int = 1
    """It gets one input where others get so many, because it takes longer."""
    memory: int = 2 * 2**20
    """Bytes that one input may have it allocate at once."""
    seconds: float = 0.1
    """That one input may take."""


PARSERS = (
    *("message", "sender", "receiver", "stream", "verified", "curve", "kept", "decoder"),
    *("prefix", "address", "name", "catalogue", "place", "range"),
    *("visit", "showing", "answer"),
)
"""Their names."""


def parsers(folder: Path) -> tuple[Parser, ...]:
    """Return all parsers; ``folder`` is empty, and filled with pictures that are asked for."""
    catalogue = _catalogue(folder)
    site = Site(Assets(home=_viewer(folder / "viewer")))
    places = Places(folder / "served")
    return (
        Parser(
            name="message",
            reads="session.decode: one message of the protocol",
            errors=(RemoteProtocolError,),
            source=any_message,
            parse=decode,
        ),
        Parser(
            name="sender",
            reads="SenderSession.receive: up to nine messages of a receiver",
            errors=(RemoteProtocolError, PeerError),
            source=lambda mutator: any_conversation(mutator, FROM_RECEIVER),
            parse=_to_sender,
        ),
        Parser(
            name="receiver",
            reads="ReceiverSession.receive: up to a dozen messages of a sender",
            errors=(RemoteProtocolError, PeerError),
            source=lambda mutator: any_conversation(mutator, FROM_SENDER),
            parse=_to_receiver,
        ),
        Parser(
            name="stream",
            reads="StreamReader.feed: a stream in pieces of 1 to 256 bytes",
            errors=(StreamError,),
            source=any_stream,
            parse=_read_stream,
        ),
        Parser(
            name="verified",
            reads="container.verified: a stream at once",
            errors=(StreamError,),
            source=any_stream,
            parse=lambda data: verified(data[1:]),
        ),
        Parser(
            name="curve",
            reads="Curve.feed, psnr, opening, and what is sent next; never raises",
            errors=(),
            source=any_stream,
            parse=_read_curve,
            share=4,
        ),
        Parser(
            name="kept",
            reads="MemoryStream: the header of what is kept; never raises",
            errors=(),
            source=any_stream,
            parse=_read_kept,
        ),
        Parser(
            name="decoder",
            reads=f"Decoder.feed and render: pictures of up to {MOST_PIXELS} pixels",
            errors=(StreamError, UnknownModel, PictureTooLarge, NothingDecodable),
            source=any_stream,
            parse=_decode,
            share=50,
            memory=32 * 2**20,
            seconds=0.5,
        ),
        Parser(
            name="prefix",
            reads="container.Prefix: a stream that somebody wants to be continued",
            errors=(StreamError,),
            source=any_stream,
            parse=lambda data: Prefix(data[1:]),
        ),
        Parser(
            name="address",
            reads="Address.parse",
            errors=(AddressError,),
            source=lambda mutator: any_text(mutator, ADDRESSES),
            parse=lambda data: str(Address.parse(data.decode(errors="surrogateescape"))),
        ),
        Parser(
            name="name",
            reads="Name.parse: the name of a picture",
            errors=(ValueError,),
            source=lambda mutator: any_text(mutator, NAMES),
            parse=lambda data: Name(MAX_NAME).parse(data.decode(errors="surrogateescape")),
        ),
        Parser(
            name="catalogue",
            reads="Catalogue.path: a name to a file; what it finds is a picture in its folder",
            errors=(RequestRefused,),
            source=lambda mutator: any_text(mutator, NAMES),
            parse=lambda data: _find(catalogue, folder, data),
        ),
        Parser(
            name="place",
            reads="Places.claim: a name to a file of a mirror; it is in its folder",
            errors=(ValueError, Unplaceable),
            source=lambda mutator: any_text(mutator, NAMES),
            parse=lambda data: _claim(places, data),
        ),
        Parser(
            name="range",
            reads="the HTTP headers Range, If-Range, If-Match, If-None-Match; never raises",
            errors=(),
            source=lambda mutator: any_text(mutator, RANGES),
            parse=_read_range,
        ),
        Parser(
            name="visit",
            reads="what a browser asks for, with all headers alike; what it gets is listed",
            errors=(RequestRefused,),
            source=lambda mutator: any_text(mutator, VISITS),
            parse=lambda data: _visit(site, data),
        ),
        Parser(
            name="showing",
            reads="the token in a request, with all headers alike; never raises",
            errors=(),
            source=lambda mutator: any_text(mutator, SHOWINGS),
            parse=_show,
        ),
        Parser(
            name="answer",
            reads="Wire.ask and read: what an HTTP server answers, the bodies included",
            errors=(RemoteProtocolError, LinkLost),
            source=lambda mutator: any_text(mutator, ANSWERS),
            parse=lambda data: asyncio.run(_read_answer(data)),
            share=10,
        ),
    )


def _to_sender(data: bytes) -> None:
    session = SenderSession(now=0.0, models=(MODEL,), capabilities=("dfc1",))
    for message in split(data):
        event = _receive(session, message)
        match event:
            case Open() if session.credit >= 100:
                session.send(event.stream, bytes(100))
            case List():
                session.catalogue((ENTRY,))
        if len(session.streams) > session.terms.streams:
            raise AssertionError("too many streams")
        _flush(session, most=3)
    session.next_timeout()


def _to_receiver(data: bytes) -> None:
    session = ReceiverSession(now=0.0, models=(MODEL,), capabilities=("dfc1",))
    session.open("a.png")
    session.open("sub/b.png")
    session.open("c.png", start=9, prefix=str(PrefixHash(bytes(9))))
    session.list(follow=True)
    _flush(session, most=5)
    for message in split(data):
        _receive(session, message)
        _flush(session, most=1)
    session.next_timeout()


def _receive(session: Session, message: bytes) -> object:
    try:
        return session.receive(message, 1.0)
    except RemoteProtocolError:
        [*_, last] = session.transmit(1.0)
        if not session.closed or not isinstance(decode(last), Error):
            raise AssertionError("the peer is not told that it broke the protocol") from None
        raise


def _flush(session: Session, *, most: int) -> None:
    if len(session.transmit(1.0)) > most:
        raise AssertionError("one message is answered by many")


def _pieces(data: bytes) -> list[bytes]:
    size = 1 + data[0]
    return [data[place : place + size] for place in range(1, len(data), size)]


def _read_stream(data: bytes) -> None:
    reader = StreamReader(damaged=bool(data[0] % 2))
    for piece in _pieces(data):
        for _ in reader.feed(piece):
            if not reader.verified <= reader.offset <= reader.received:
                raise AssertionError("more was read than came")


def _read_curve(data: bytes) -> None:
    curve = Curve()
    for piece in _pieces(data):
        curve.feed(piece)
    known, size = curve.psnr(), len(data) - 1
    if sorted(known) != known or len(known) != len(curve.offsets):
        raise AssertionError("a curve falls")
    curve.opening(16)
    for position in (0, size // 2):
        if position < size:
            outlook = Outlook(
                position=position,
                end=size,
                last=True,
                offsets=curve.offsets,
                psnr=known,
                boundaries=curve.boundaries,
            )
            following = turn(outlook, alone=bool(data[0] % 2))
            if following is None or not position < following.end <= size:
                raise AssertionError("nothing is sent where there is something")


def _read_kept(data: bytes) -> None:
    kept = MemoryStream()
    for piece in _pieces(data[:100]):
        kept.append(piece)
    if kept.header is not None and kept.header.width < 1:
        raise AssertionError("a header of nothing")


def _decode(data: bytes) -> None:
    decoder = Decoder([tiny_model()], damaged=bool(data[0] % 2), most_pixels=MOST_PIXELS)
    for piece in _pieces(data):
        decoder.feed(piece)
    decoder.render()


def _catalogue(folder: Path) -> Catalogue:
    """Fill a folder with pictures and with traps."""
    served, outside = folder / "served", folder / "outside"
    for made in (served / "sub", served / "folder.png", served / ".hidden", outside):
        made.mkdir(parents=True)
    for name in ("a.png", "sub/c.jpg", ".hidden.png", ".hidden/a.png", "no.txt"):
        (served / name).touch()
    (outside / "secret.png").touch()
    (folder / "secret.png").touch()
    with contextlib.suppress(OSError):  # not everybody may on Windows
        (served / "out.png").symlink_to(outside / "secret.png")
        (served / "away").symlink_to(outside)
        (served / "loop.png").symlink_to(served / "loop.png")
    return Catalogue(served)


def _find(catalogue: Catalogue, folder: Path, data: bytes) -> Path:
    path = catalogue.path(data.decode(errors="surrogateescape"))
    allowed = {(folder / "served" / name).resolve() for name in ("a.png", "sub/c.jpg")}
    if path not in allowed or path.suffix not in SUFFIXES:
        raise AssertionError(f"{path} is not offered")
    return path


def _claim(places: Places, data: bytes) -> None:
    name = data.decode(errors="surrogateescape")
    Name(MAX_NAME).parse(name)
    place = places.claim(name)
    places.release(name)
    # Links are refused when something is opened, on a thread, and not when a name is claimed.
    for path in (place.stream, place.beside, place.picture):
        if ".." in path.parts or not path.is_relative_to(places.folder):
            raise AssertionError(f"{path} is elsewhere")


def _read_range(data: bytes) -> None:
    value = data.decode("latin-1")
    wanted = Range.parse(value)
    found = wanted.within(1000) if wanted else None
    if found is not None and not 0 <= found.start < found.stop <= 1000:
        raise AssertionError("bytes that there are not")
    for weakly in (False, True):
        names(value, '"0123456789abcdef"', weakly=weakly)


def _viewer(home: Path) -> Path:
    """Fill a folder with a viewer of two files."""
    for name in ("page/index.html", "vendor/onnxruntime-web/ort.js"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text("served")
    return home


def _visit(site: Site, data: bytes) -> None:
    value = data.decode("latin-1")
    door = Door(names=["station"])
    for local in (False, True):
        door.objection(lambda _: [value], path=value, local=local)
    host = value if door.is_own(value) else ""
    if any(mark in host for mark in " ;,'\"\r\n"):
        raise AssertionError("a host that ends the policy it is put into")
    question = Question(path=value.partition("?")[0], host=host, accepts=value, known=value)
    answer = site.answer(question)
    if answer.status == 200 and answer.body not in (b"served", b"[]") and value[:3] != "/-/":
        raise AssertionError("a file that is not listed")
    Wanted.parse(value)


def _show(data: bytes) -> None:
    value = data.decode("latin-1")
    for secure, own in ((False, False), (False, True), (True, True)):
        found = shown(lambda _: [value], secure=secure, own=own)
        if found is not None and is_token(found.token):
            line = cookie(found.token, secure=secure)
            if any(mark in line for mark in "\r\n,") or line.count(";") != 3 + secure:
                raise AssertionError("a token that ends the cookie it is put into")


class _Silent(asyncio.Transport):
    """Takes whatever is asked, and is closed by itself."""

    def write(self, data: object) -> None: ...

    def abort(self) -> None: ...

    def is_closing(self) -> bool:
        return True


async def _read_answer(data: bytes) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=MOST_LINE)
    protocol = asyncio.StreamReaderProtocol(reader)
    writer = asyncio.StreamWriter(_Silent(), protocol, reader, loop)
    reader.feed_data(data)
    reader.feed_eof()
    wire = Wire(Address(scheme="http", host="station", port=80), reader, writer, 60.0)
    await wire.ask("/a.dfc", {})
    length = 0
    while piece := await wire.read():
        length += len(piece)
    if length > len(data):
        raise AssertionError("more was read than came")
