"""Feeds each parser, and checks for bugs that raise no exception."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from diffc_client.mirror.paths import Places
from diffc_client.remote.address import Address
from diffc_client.remote.http_client import BLOCK, HttpConnection
from diffc_client.remote.published import pages, pictures
from diffc_client.storage.partial_stream import MemoryStream
from diffc_server.auth.credentials import cookie, credentials_of
from diffc_server.catalogue.catalogue import Catalogue
from diffc_server.http.comparison import ComparisonRequest
from diffc_server.http.ranges import Range, names
from diffc_stream.clips import ClipDecoder
from diffc_stream.codec import Decoder
from diffc_stream.codec.curve import Curve
from diffc_stream.container import (
    StreamReader,
)
from diffc_stream.errors import (
    RemoteProtocolError,
)
from diffc_stream.imaging.kinds import SUFFIXES
from diffc_stream.packets import Receiver
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
from diffc_stream.transport.mqtt_topics import Item, Summary, Topics
from diffc_stream.transport.tokens import is_token
from diffc_viewer import OriginPolicy, Site, SiteRequest

from .nonsense import (
    ENTRY,
    MODEL,
    shaped_model,
    split,
    tiny_model,
)

MOST_PIXELS = 4096
"""Largest picture that the fuzzer decodes."""


def to_sender(data: bytes) -> None:
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


def to_receiver(data: bytes) -> None:
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


def read_packets(data: bytes) -> None:
    receiver, place = Receiver(most_streams=2, most_bytes=2**16), 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 2], "little")
        receiver.take(data[place + 2 : place + 2 + size])
        place += 2 + size
    if len(receiver.streams) > 2 or any(one.held > 2**16 for one in receiver.streams.values()):
        raise AssertionError("more is held than may be")
    for gathered in receiver.streams.values():
        reader = StreamReader()
        for part in gathered.parts():
            for _ in reader.feed(part) if isinstance(part, bytes) else reader.skip(part):
                pass


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


def read_stream(data: bytes) -> None:
    reader = StreamReader(damaged=bool(data[0] % 2))
    for piece in _pieces(data):
        for _ in reader.feed(piece):
            if not reader.verified <= reader.offset <= reader.received:
                raise AssertionError("more was read than came")


def read_curve(data: bytes) -> None:
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


def read_kept(data: bytes) -> None:
    kept = MemoryStream()
    for piece in _pieces(data[:100]):
        kept.append(piece)
    if kept.header is not None and kept.header.width < 1:
        raise AssertionError("a header of nothing")


def decode_picture(data: bytes) -> None:
    decoder = Decoder([tiny_model()], damaged=bool(data[0] % 2), most_pixels=MOST_PIXELS)
    for piece in _pieces(data):
        decoder.feed(piece)
    decoder.render()


def decode_clip(data: bytes) -> None:
    decoder = ClipDecoder([shaped_model()], damaged=bool(data[0] % 2), most_pixels=MOST_PIXELS)
    for piece in _pieces(data):
        decoder.feed(piece)
    for number in range(len(decoder)):
        decoder.render(number)


def traps(folder: Path) -> Catalogue:
    """Fill a folder with pictures, and with files that must not be served."""
    served, outside = folder / "served", folder / "outside"
    for made in (served / "sub", served / "folder.png", served / ".hidden", outside):
        made.mkdir(parents=True)
    for name in ("a.png", "sub/c.jpg", ".hidden.png", ".hidden/a.png", "no.txt"):
        (served / name).touch()
    (outside / "secret.png").touch()
    (folder / "secret.png").touch()
    with contextlib.suppress(OSError):  # Windows may not allow links
        (served / "out.png").symlink_to(outside / "secret.png")
        (served / "away").symlink_to(outside)
        (served / "loop.png").symlink_to(served / "loop.png")
    return Catalogue(served)


def find(catalogue: Catalogue, folder: Path, data: bytes) -> Path:
    path = catalogue.path(data.decode(errors="surrogateescape"))
    allowed = {(folder / "served" / name).resolve() for name in ("a.png", "sub/c.jpg")}
    if path not in allowed or path.suffix not in SUFFIXES:
        raise AssertionError(f"{path} is not offered")
    return path


def claim(places: Places, data: bytes) -> None:
    name = data.decode(errors="surrogateescape")
    Name(MAX_NAME).parse(name)
    place = places.claim(name)
    places.release(name)
    # Links are refused when a file is opened, not when a name is claimed.
    for path in (place.stream, place.beside, place.picture):
        if ".." in path.parts or not path.is_relative_to(places.folder):
            raise AssertionError(f"{path} is elsewhere")


def read_range(data: bytes) -> None:
    value = data.decode("latin-1")
    wanted = Range.parse(value)
    found = wanted.within(1000) if wanted else None
    if found is not None and not 0 <= found.start < found.stop <= 1000:
        raise AssertionError("bytes that there are not")
    for weakly in (False, True):
        names(value, '"0123456789abcdef"', weakly=weakly)


def viewer(home: Path) -> Path:
    """Fill a folder with a viewer of two files."""
    for name in ("page/index.html", "vendor/onnxruntime-web/ort.js"):
        (home / name).parent.mkdir(parents=True)
        (home / name).write_text("served")
    return home


def visit(site: Site, data: bytes) -> None:
    value = data.decode("latin-1")
    origin_policy = OriginPolicy(names=["station"])
    for local in (False, True):
        origin_policy.refusal(lambda _: [value], path=value, local=local)
    host = value if origin_policy.is_own(value) else ""
    if any(mark in host for mark in " ;,'\"\r\n"):
        raise AssertionError("a host that ends the policy it is put into")
    question = SiteRequest(path=value.partition("?")[0], host=host, accepts=value, known=value)
    answer = site.answer(question)
    if answer.status == 200 and answer.body not in (b"served", b"[]") and value[:3] != "/-/":
        raise AssertionError("a file that is not listed")
    ComparisonRequest.parse(value)


def show(data: bytes) -> None:
    value = data.decode("latin-1")
    for secure, own in ((False, False), (False, True), (True, True)):
        found = credentials_of(lambda _: [value], secure=secure, own=own)
        if found is not None and is_token(found.token):
            line = cookie(found.token, secure=secure)
            if any(mark in line for mark in "\r\n,") or line.count(";") != 3 + secure:
                raise AssertionError("a token that ends the cookie it is put into")


class _Silent(asyncio.Transport):
    """A transport that drops all data, and counts as closed."""

    def write(self, data: object) -> None: ...

    def abort(self) -> None: ...

    def is_closing(self) -> bool:
        return True


async def read_answer(data: bytes) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=BLOCK)
    protocol = asyncio.StreamReaderProtocol(reader)
    writer = asyncio.StreamWriter(_Silent(), protocol, reader, loop)
    reader.feed_data(data)
    reader.feed_eof()
    connection = HttpConnection(
        Address(scheme="http", host="station", port=80), reader, writer, 60.0
    )
    await connection.ask("/a.dfc", {})
    length = 0
    while piece := await connection.read():
        length += len(piece)
    if length > len(data):
        raise AssertionError("more was read than came")


def read_published(data: bytes) -> None:
    """Read a topic and its message as a mirror does; raises ValueError."""
    topic, _, message = data.partition(b" ")
    topics, told = Topics("cam"), topic.decode(errors="replace")
    if (place := topics.placed(told)) is not None:
        Name(MAX_NAME).parse(place.name)
    elif topics.named(told) is not None:
        item = Item.parse(message)
        assert sum(map(item.length, item.offsets)) == item.size
    else:
        Summary.parse(message)


def read_catalogue(data: bytes) -> None:
    """Read a file of a published catalogue as either kind; raises what the second one does."""
    with contextlib.suppress(RemoteProtocolError):
        pages(data)
    for picture in pictures(data):
        assert ".." not in picture.stream.split("/")
