"""Everything that reads what comes over a network, as the fuzzer sees it: one row for each.

A row says how an input is made, how it is read, and which exceptions are documented for it; any
other, and any message of more than one line, is a bug.  A new parser is a function that reads
bytes, one that makes some, and a row in :func:`parsers`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from diffc_client.address import Address
from diffc_client.kept import MemoryStream
from diffc_client.wire import MOST_LINE, Wire
from diffc_server.catalogue import SUFFIXES, Catalogue
from diffc_server.ranges import Range, names
from diffc_stream.codec import Decoder, Encoder
from diffc_stream.codec.curve import Curve
from diffc_stream.container import (
    Header,
    Kind,
    Simulator,
    Step,
    StreamReader,
    StreamWriter,
    verified,
)
from diffc_stream.container.grammar import MAX_LENGTH, crc32c
from diffc_stream.container.prefix import Prefix
from diffc_stream.diffusion.model import Floats, Model
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
    Ack,
    Alive,
    Data,
    End,
    Entry,
    Error,
    Goaway,
    Hello,
    List,
    Open,
    PrefixHash,
    Reason,
    ReceiverSession,
    SenderSession,
    Session,
    Stop,
    Update,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session import Catalogue as Page
from diffc_stream.session.fields import Name
from diffc_stream.session.interleaving import Outlook, turn

from .mutation import HOSTILE, Mutator

MODEL = "0f0f0f0f"
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
    *("prefix", "address", "name", "catalogue", "range", "answer"),
)
"""Their names."""


def parsers(folder: Path) -> tuple[Parser, ...]:
    """Return all parsers; ``folder`` is empty, and filled with pictures that are asked for."""
    catalogue = _catalogue(folder)
    return (
        Parser(
            name="message",
            reads="session.decode: one message of the protocol",
            errors=(RemoteProtocolError,),
            source=_message,
            parse=decode,
        ),
        Parser(
            name="sender",
            reads="SenderSession.receive: up to nine messages of a receiver",
            errors=(RemoteProtocolError, PeerError),
            source=lambda mutator: _conversation(mutator, FROM_RECEIVER),
            parse=_to_sender,
        ),
        Parser(
            name="receiver",
            reads="ReceiverSession.receive: up to a dozen messages of a sender",
            errors=(RemoteProtocolError, PeerError),
            source=lambda mutator: _conversation(mutator, FROM_SENDER),
            parse=_to_receiver,
        ),
        Parser(
            name="stream",
            reads="StreamReader.feed: a stream in pieces of 1 to 256 bytes",
            errors=(StreamError,),
            source=_stream,
            parse=_read_stream,
        ),
        Parser(
            name="verified",
            reads="container.verified: a stream at once",
            errors=(StreamError,),
            source=_stream,
            parse=lambda data: verified(data[1:]),
        ),
        Parser(
            name="curve",
            reads="Curve.feed, psnr, opening, and what is sent next; never raises",
            errors=(),
            source=_stream,
            parse=_read_curve,
            share=4,
        ),
        Parser(
            name="kept",
            reads="MemoryStream: the header of what is kept; never raises",
            errors=(),
            source=_stream,
            parse=_read_kept,
        ),
        Parser(
            name="decoder",
            reads=f"Decoder.feed and render: pictures of up to {MOST_PIXELS} pixels",
            errors=(StreamError, UnknownModel, PictureTooLarge, NothingDecodable),
            source=_stream,
            parse=_decode,
            share=50,
            memory=32 * 2**20,
            seconds=0.5,
        ),
        Parser(
            name="prefix",
            reads="container.Prefix: a stream that somebody wants to be continued",
            errors=(StreamError,),
            source=_stream,
            parse=lambda data: Prefix(data[1:]),
        ),
        Parser(
            name="address",
            reads="Address.parse",
            errors=(AddressError,),
            source=lambda mutator: _text(mutator, ADDRESSES),
            parse=lambda data: str(Address.parse(data.decode(errors="surrogateescape"))),
        ),
        Parser(
            name="name",
            reads="Name.parse: the name of a picture",
            errors=(ValueError,),
            source=lambda mutator: _text(mutator, NAMES),
            parse=lambda data: Name(255).parse(data.decode(errors="surrogateescape")),
        ),
        Parser(
            name="catalogue",
            reads="Catalogue.path: a name to a file; what it finds is a picture in its folder",
            errors=(RequestRefused,),
            source=lambda mutator: _text(mutator, NAMES),
            parse=lambda data: _find(catalogue, folder, data),
        ),
        Parser(
            name="range",
            reads="the HTTP headers Range, If-Range, If-Match, If-None-Match; never raises",
            errors=(),
            source=lambda mutator: _text(mutator, RANGES),
            parse=_read_range,
        ),
        Parser(
            name="answer",
            reads="Wire.ask and read: what an HTTP server answers, the bodies included",
            errors=(RemoteProtocolError, LinkLost),
            source=lambda mutator: _text(mutator, ANSWERS),
            parse=lambda data: asyncio.run(_read_answer(data)),
            share=10,
        ),
    )


ENTRY = Entry(name="a.png", size=1, time=2, thumbprint="0" * 16)
FROM_RECEIVER = tuple(
    encode(message)
    for message in (
        Hello(window=8192, idle=60.0, models=(MODEL,), capabilities=("dfc1", "later")),
        Open(stream=1, image="a.png"),
        List(),
        Open(stream=2, image="sub/b.png", start=300, prefix="0" * 16, psnr=30.5, weight=2.0),
        Ack(received=100),
        Update(stream=1, bytes=4000, weight=0.5),
        Ack(received=200, window=1024),
        Stop(stream=1),
        Alive(),
        Open(stream=3, image="c.png", bytes=100, bpp=0.5, side=256, model=MODEL),
        Error(stream=0, code="later", message="that is all"),
    )
)
FROM_SENDER = tuple(
    encode(message)
    for message in (
        Welcome(window=8192, idle=60.0, streams=4, models=(MODEL,), capabilities=("dfc1",)),
        Page(images=(ENTRY,) * 3, last=False),
        Data(stream=1, offset=0, payload=bytes(200)),
        Page(images=(), last=True),
        Data(stream=2, offset=0, payload=bytes(20)),
        Data(stream=1, offset=200, payload=bytes(300)),
        Alive(),
        Data(stream=3, offset=9, payload=bytes(1000)),
        End(stream=2, reason=Reason.TARGET, length=20),
        Error(stream=3, code="internal", message="a bug", retry=True, model=MODEL),
        Goaway(wait=5.0),
        End(stream=1, reason=Reason.DRAINING, length=500),
        Error(stream=0, code="timeout", message="nothing heard", retry=True),
    )
)
NAMES = tuple(
    name.encode("utf-8", "surrogateescape")
    for name in (
        *("a.png", "sub/c.jpg", "loop.png", "out.png", "folder.png", ".hidden.png", "no.txt"),
        *("../secret.png", "sub/../a.png", "./a.png", "/etc/passwd", "//a.png", "a.png/", "sub//a"),
        *("..\\secret.png", "C:\\a.png", "a.png\0.txt", "%2e%2e/secret.png", "..%2fsecret.png"),
        *("", ".", "..", "...", "/", "~/a.png", "sub/.hidden/a.png", "away/secret.png", "a.png\n"),
        *("a" * 300 + ".png", "é" * 128, "a/" * 120 + "b.png", "\u2028.png", "\u202egnp.a"),
        *("\udcff.png", "\ufeffa.png", "a.PNG", "A.png", "con.png", "a.png ", "a.png:stream"),
    )
)
ADDRESSES = (
    *(
        b"ws://127.0.0.1:8765/a.png",
        b"wss://[::1]:9/sub/c.jpg",
        b"ws://station",
        b"ws://h:80/%C3%A9",
    ),
    *(b"ws://h:99999/a", b"ws://h:-1/a", b"ws://[::1/a", b"ws://h]:1/a", b"ws://:1/", b"ws:///a"),
    *(b"ws://user@h/a", b"ws://h/a?b", b"ws://h/a#b", b"http://h/a", b"ws://h/%00", b"ws://h/../a"),
    *(
        "ws://\uff48:\uff11/a".encode(),
        "ws://h℀/a".encode(),
        "ws://xn--\u2028/a".encode(),
        b"WS://H/%2e%2e/a",
    ),
    *(
        b"ws://[v1.x]/a",
        b"ws://[fe80::1%25eth0]/a",
        b"ws://h:8 765/a",
        b"//h/a",
        b"ws://h/" + b"a" * 300,
    ),
)
RANGES = (
    *(b"bytes=0-999", b"bytes=5-", b"bytes=-300", b"bytes=0-0,5-9", b"bytes=-", b"bytes=9-1"),
    *(b"bytes=" + b"9" * 99 + b"-" + b"9" * 99, b"Bytes= 1-2 ", b"octets=1-2", b"bytes=-0"),
    *(b'"0123456789abcdef"', b'W/"0123456789abcdef"', b'"a", W/"b" , "c"', b"*", b'W/W/""', b'"'),
)
ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    (
        b'HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/*\r\nETag: "a"\r\n'
        b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
    ),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n"
    ),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nA: 1\r\na: 2\r\n\r\nto the end",
    b"HTTP/1.1 304 Not Modified\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999\r\n\r\n" + b"a" * 5000,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nhello",
    b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 120 + b"\r\n",
    b"HTTP/1.1 200 " + b"a" * 9000 + b"\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n" * 12,
    b"SSH-2.0-OpenSSH\r\n",
)


def _message(mutator: Mutator) -> bytes:
    kind = mutator.draw()
    if kind < 0.1:
        return mutator.noise(64)
    if kind < 0.2:
        return bytes([1 + mutator.below(16)]) + mutator.choice(HOSTILE) + mutator.noise(4)
    return _sealed(mutator, mutator.mutated(FROM_RECEIVER if kind < 0.6 else FROM_SENDER))


def _sealed(mutator: Mutator, message: bytes) -> bytes:
    """Give every other damaged DATA the checksum that it should have."""
    if message[:1] == b"\x10" and mutator.draw() < 0.5:
        return message[:-4] + crc32c(message[:-4]).to_bytes(4, "little")
    return message


def _conversation(mutator: Mutator, examples: Sequence[bytes]) -> bytes:
    """Return most of a conversation, with some things wrong: each message after its length."""
    parts = []
    for message in examples:
        fate = mutator.draw()
        if fate < 0.2:
            continue
        part = _message(mutator) if fate < 0.28 else message
        if 0.28 <= fate < 0.34:
            part = _sealed(mutator, mutator.mutated((message,)))
        parts.append(len(part).to_bytes(2, "little") + part)
        if fate > 0.97:
            parts.append(parts[mutator.below(len(parts))])
    return b"".join(parts)


def _split(data: bytes) -> list[bytes]:
    messages, place = [], 0
    while place + 2 <= len(data):
        size = int.from_bytes(data[place : place + 2], "little")
        messages.append(data[place + 2 : place + 2 + size])
        place += 2 + size
    return messages


def _to_sender(data: bytes) -> None:
    session = SenderSession(now=0.0, models=(MODEL,), capabilities=("dfc1",))
    for message in _split(data):
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
    session.list()
    _flush(session, most=5)
    for message in _split(data):
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


@cache
def _streams() -> tuple[bytes, ...]:
    """Return streams of small pictures, of all simulators."""
    generator = np.random.default_rng(0)
    streams = []
    for height, width, target in ((24, 20, 300), (64, 48, 1500), (1, 1, 60), (17, 33, 700)):
        picture = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        streams.append(b"".join(Encoder(picture, _model(), target_bytes=target)))
    return tuple(streams)


def _stream(mutator: Mutator) -> bytes:
    """Return a stream with something wrong, behind a byte that says how it is fed."""
    kind = mutator.draw()
    if kind < 0.1:
        data = mutator.noise(200)
    elif kind < 0.4:
        data = mutator.mutated(_streams())
    else:
        data = _built(mutator)
    return bytes([mutator.below(256)]) + data


def _built(mutator: Mutator) -> bytes:
    """Return a header that is whole, and records that may be anything."""
    sides = [_side(mutator), _side(mutator)]
    model = MODEL if mutator.draw() < 0.95 else "00000000"
    writer = StreamWriter()
    parts = [writer.header(Header(model=model, width=sides[0], height=sides[1], seed=7))]
    for _ in range(mutator.below(8)):
        kind = mutator.draw()
        if kind < 0.05:
            parts.append(mutator.noise(12))
        elif kind < 0.15:
            parts.append(writer.check())
        elif kind < 0.3:
            tag = 64 + mutator.below(192)
            parts.append(bytes([tag]) + mutator.noise(64))
        elif kind < 0.4:
            step = replace(_step(mutator), length=1 + mutator.below(MAX_LENGTH - 1))
            parts.append(step.encode(writer.before) + mutator.noise(64))
        else:
            step = _step(mutator)
            parts.append(writer.step(step, mutator.exactly(step.length)))
    return b"".join(parts)


def _side(mutator: Mutator) -> int:
    most = (16, 64, 300, 65_535)[min(3, int(mutator.draw() * 3.1))]
    return 1 + mutator.below(most)


def _step(mutator: Mutator) -> Step:
    refines = mutator.draw() < 0.7
    plain = mutator.draw() < 0.8
    return Step(
        kind=Kind.REFINE if refines else Kind.OPEN,
        simulator=Simulator.TRELLIS if plain else Simulator(1 + mutator.below(2)),
        length=1 + mutator.below(40 if mutator.draw() < 0.9 else 1500),
        delta_code=(54 + mutator.below(30) if plain else mutator.below(256)) if refines else 0,
    )


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


class _Independent:
    """The denoiser of white values of variance 4/3, which is that of uniform ones; any size."""

    def __call__(self, eta: Floats, snr: float) -> Floats:
        return eta / np.float32(snr + 0.75)


@cache
def _model() -> Model:
    return Model(name="independent", fingerprint=MODEL, denoiser=_Independent())


def _decode(data: bytes) -> None:
    decoder = Decoder([_model()], damaged=bool(data[0] % 2), most_pixels=MOST_PIXELS)
    for piece in _pieces(data):
        decoder.feed(piece)
    decoder.render()


def _text(mutator: Mutator, examples: Sequence[bytes]) -> bytes:
    return mutator.noise(40) if mutator.draw() < 0.1 else mutator.mutated(examples)


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


def _read_range(data: bytes) -> None:
    value = data.decode("latin-1")
    wanted = Range.parse(value)
    found = wanted.within(1000) if wanted else None
    if found is not None and not 0 <= found.start < found.stop <= 1000:
        raise AssertionError("bytes that there are not")
    for weakly in (False, True):
        names(value, '"0123456789abcdef"', weakly=weakly)


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
