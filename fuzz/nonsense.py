"""Inputs for the parsers of network input.

There are valid examples, and functions that draw invalid inputs from a :class:`Mutator`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from diffc_stream import packets
from diffc_stream.clips import ClipEncoder
from diffc_stream.codec import Encoder
from diffc_stream.container import (
    Clip,
    Header,
    Kind,
    Motion,
    Second,
    Simulator,
    Step,
    StreamWriter,
)
from diffc_stream.container.grammar import MAX_LENGTH, crc32c
from diffc_stream.diffusion.denoiser import Floats
from diffc_stream.diffusion.field import WHITE, Field
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import StreamError
from diffc_stream.packets.grammar import HEAD
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
    Reason,
    Stop,
    Update,
    Welcome,
    encode,
)
from diffc_stream.session import Catalogue as Page

from .mutation import HOSTILE, Mutator

MODEL = "0f0f0f0f"


ENTRY = Entry(name="a.png", size=1, time=2, thumbprint="0" * 16)
FROM_RECEIVER = tuple(
    encode(message)
    for message in (
        Hello(window=8192, idle=60.0, models=(MODEL,), capabilities=("dfc1", "later")),
        Open(stream=1, image="a.png"),
        List(follow=True, mark="0" * 16),
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
        Welcome(
            window=8192, idle=60.0, streams=4, models=(MODEL,), capabilities=("dfc1", "follow")
        ),
        Page(images=(ENTRY,) * 3, last=False),
        Data(stream=1, offset=0, payload=bytes(200)),
        Page(images=(), last=True),
        Page(images=(ENTRY,), last=True, changes=True, removed=("b.png",), mark="0" * 16),
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
SHOWINGS = (
    *(b"Bearer abc", b"bearer  abc", b"Bearer", b"Basic bWU6YWJj", b"Basic !", b"Basic /w=="),
    *(
        b"diffc=abc; x=1",
        b"__Host-diffc=abc",
        b"diffc=",
        b"diffc-stream.v1, bearer.abc",
        b"bearer.",
    ),
    *(b"diffc=a\r\nSet-Cookie: x", b"Bearer a;b", b"Bearer " + b"a" * 9000, b";,=" * 900),
)
VISITS = (
    *(
        b"/",
        b"/-/page/main.js",
        b"/-/models.json",
        b"/-/viewer.json",
        b"/-/../a",
        b"/-/page/%2e%2e",
    ),
    *(
        b"localhost:8765",
        b"http://localhost:8765",
        b"null",
        b"[::1]:1",
        b"http://[::1",
        b"station.",
    ),
    *(b"gzip, deflate, br;q=0.5", b"br;q=0,*", b'W/"0123456789abcdef", "a"', b";;=,q"),
    *(b"same-origin", b"cross-site", b"none", b"navigate", b"document"),
    b"/-/compare/a.png?format=avif&bytes=900",
    b"/-/compare/sub%2Fc.jpg?format=jpeg&bytes=900&of=20000&x=%FF",
)
CATALOGUES = (
    b'{"version":1,"pages":[{"path":"-/catalogue/0.json","pictures":1,"first":"a.png"}]}',
    (
        b'{"version":1,"pictures":[{"name":"a.png","stream":"streams/a.png.0.dfc","bytes":5,'
        b'"sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","time":7}]}'
    ),
)
"""Files of the catalogue of a published folder."""

PUBLISHED = (
    (
        b'cam/pictures/a.png {"version":1,"name":"a.png","time":7,"size":5000,"piece":1000,"source"'
        b':"","sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}'
    ),
    (
        b'cam/catalogue {"version":1,"pictures":1,"sha256":'
        b'"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}'
    ),
    b"cam/streams/a.png/0123456789abcdef/5000/1000 bytes",
)
"""Topics and messages of an MQTT broker."""

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


def any_message(mutator: Mutator) -> bytes:
    kind = mutator.draw()
    if kind < 0.1:
        return mutator.noise(64)
    if kind < 0.2:
        return bytes([1 + mutator.below(16)]) + mutator.choice(HOSTILE) + mutator.noise(4)
    return _sealed(mutator, mutator.mutated(FROM_RECEIVER if kind < 0.6 else FROM_SENDER))


def _sealed(mutator: Mutator, message: bytes) -> bytes:
    """Give every other damaged DATA message a correct checksum, so that it is parsed further."""
    if message[:1] == b"\x10" and mutator.draw() < 0.5:
        return message[:-4] + crc32c(message[:-4]).to_bytes(4, "little")
    return message


def any_conversation(mutator: Mutator, examples: Sequence[bytes]) -> bytes:
    """Return most messages of a session, some of them damaged, each after its length."""
    parts = []
    for message in examples:
        fate = mutator.draw()
        if fate < 0.2:
            continue
        part = any_message(mutator) if fate < 0.28 else message
        if 0.28 <= fate < 0.34:
            part = _sealed(mutator, mutator.mutated((message,)))
        parts.append(len(part).to_bytes(2, "little") + part)
        if fate > 0.97:
            parts.append(parts[mutator.below(len(parts))])
    return b"".join(parts)


def split(data: bytes) -> list[bytes]:
    messages, place = [], 0
    while place + 2 <= len(data):
        size = int.from_bytes(data[place : place + 2], "little")
        messages.append(data[place + 2 : place + 2 + size])
        place += 2 + size
    return messages


@cache
def _streams() -> tuple[bytes, ...]:
    """Return streams of small pictures."""
    generator = np.random.default_rng(0)
    streams = []
    for height, width, target in ((24, 20, 300), (64, 48, 1500), (1, 1, 60), (17, 33, 700)):
        picture = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        streams.append(b"".join(Encoder(picture, tiny_model(), target_bytes=target)))
    return tuple(streams)


def any_stream(mutator: Mutator) -> bytes:
    """Return a damaged stream, after a byte that sets the size of the pieces it is fed in."""
    kind = mutator.draw()
    if kind < 0.1:
        data = mutator.noise(200)
    elif kind < 0.4:
        data = mutator.mutated(_streams())
    else:
        data = _built(mutator)
    return bytes([mutator.below(256)]) + data


@cache
def _clips() -> tuple[bytes, ...]:
    """Return the stream of a small clip."""
    generator = np.random.default_rng(0)
    still = generator.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    shown = [np.roll(still, number, axis=1) for number in range(4)]
    encoder = ClipEncoder(shown, shaped_model(), milliseconds=40, target_bytes=400)
    return (b"".join(encoder),)


def any_clip(mutator: Mutator) -> bytes:
    """Return a damaged clip, after a byte that sets the size of the pieces it is fed in."""
    data = mutator.mutated(_clips()) if mutator.draw() < 0.5 else _built_clip(mutator)
    return bytes([mutator.below(256)]) + data


def _built_clip(mutator: Mutator) -> bytes:
    """Return a clip with a valid header and arbitrary records."""
    pictures = 2 + mutator.below(6)
    clip = Clip(pictures=pictures, milliseconds=40, stride=1 + mutator.below(pictures))
    sides = [_side(mutator), _side(mutator)]
    writer = StreamWriter()
    header = Header(
        model=MODEL, width=sides[0], height=sides[1], seed=7, ratio=153, about=True, clip=clip
    )
    parts = [writer.header(header)]
    for _ in range(mutator.below(12)):
        kind = mutator.draw()
        if kind < 0.3:
            parts.append(writer.turn(mutator.below(pictures)))
        elif kind < 0.45:
            vectors = mutator.exactly(1 + mutator.below(8))
            parts.append(writer.told(Motion(source=mutator.below(2), vectors=vectors)))
        elif kind < 0.65:
            used = 1 + mutator.below(3)
            trust = mutator.exactly(1 + mutator.below(8))
            second = Second(earlier=bool(used & 1), later=bool(used & 2), trust=trust)
            parts.append(writer.told(second))
        else:
            step = _step(mutator)
            parts.append(writer.step(step, mutator.exactly(step.length)))
    return b"".join(parts)


def any_packets(mutator: Mutator) -> bytes:
    """Return packets of a stream, each behind its length: lost, repeated, damaged or made up."""
    stream = any_stream(mutator)[1:]
    try:
        sent = list(packets.Broadcast(stream, size=64 + mutator.below(40)))[:60]
    except StreamError:
        sent = [mutator.noise(90) for _ in range(3)]
    out = b""
    for whole in sent:
        kind, packet = mutator.draw(), whole
        if kind < 0.1:
            packet = mutator.mutated([whole])
        elif kind < 0.2:
            packet = packets.Packet(
                kind=packets.Kind.REPAIR if kind < 0.15 else packets.Kind.PIECE,
                stream=int.from_bytes(whole[1:3], "little"),
                place=mutator.below(65_536),
                body=whole[HEAD:],
            ).encode()
        if kind < 0.75:
            out += len(packet).to_bytes(2, "little") + packet
    return out


def _built(mutator: Mutator) -> bytes:
    """Return a stream with a valid header and arbitrary records."""
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


def any_text(mutator: Mutator, examples: Sequence[bytes]) -> bytes:
    return mutator.noise(40) if mutator.draw() < 0.1 else mutator.mutated(examples)


class _Independent:
    """The exact denoiser of independent Gaussian values of variance 4/3, for any size."""

    def __call__(self, eta: Floats, snr: float, _field: Field = WHITE, /) -> Floats:
        return eta / np.float32(snr + 0.75)


@cache
def tiny_model() -> Model:
    return Model(name="independent", fingerprint=MODEL, denoiser=_Independent())


@cache
def shaped_model() -> Model:
    return Model(name="independent", fingerprint=MODEL, denoiser=_Independent(), shaped=True)
