"""Messages of every kind with their bytes, and bytes that are refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import Enum
from random import Random

import msgpack

from diffc_stream.errors import LocalProtocolError, RemoteProtocolError
from diffc_stream.session import (
    MAX_MESSAGE,
    MAX_STREAM,
    Ack,
    Alive,
    Catalogue,
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
    Region,
    Stop,
    Update,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session.fields import Record
from diffc_stream.session.messages import ENTRIES_PER_PAGE, title

MODELS = ("0a1b2c3d", "00ffee11")
ENTRY = Entry(name="coffee.jpg", size=123_456, time=1_790_000_000, thumbprint="0123456789abcdef")
ROW = ["coffee.jpg", 123_456, 1_790_000_000, "0123456789abcdef"]
LARGE = Entry(name="x" * 255, size=2**53, time=2**53, thumbprint="f" * 16)
REGION = Region(left=9, top=3, width=7, height=6, size=500, digest="fedcba9876543210")
FARTHEST = Region(
    left=2047, top=2047, width=2048, height=2048, size=MAX_STREAM, digest="fedcba9876543210"
)
MESSAGES: list[Message] = [
    Hello(window=8192, idle=60.0),
    Hello(window=512, idle=0.25, models=MODELS, capabilities=("dfc1", "!must")),
    Hello(minor=255, window=65_536, idle=86_400.0, models=(MODELS[0],) * 16),
    Welcome(window=4096, idle=30.0, streams=16, models=MODELS[:1]),
    Welcome(window=8192, idle=59.5, streams=1024, capabilities=("dfc1", "http", "x" * 32)),
    List(),
    List(follow=True),
    List(follow=True, mark="0123456789abcdef"),
    Catalogue(images=(), last=True),
    Catalogue(images=(), last=True, changes=True, mark="0123456789abcdef"),
    Catalogue(images=(ENTRY,), last=True, changes=True, removed=("a.png", "kaffee_ä.jpg")),
    Catalogue(images=(ENTRY, dataclasses.replace(ENTRY, name="harbour/crane.png")), last=False),
    Catalogue(images=(LARGE,) * 3, last=True),
    Open(stream=1, image="coffee.jpg"),
    Open(stream=7, image="kaffee_ä.jpg", start=900, prefix="0123456789abcdef", bpp=0.25),
    Open(stream=2**31 - 1, image="\U0001f6a2/日本.png", bytes=MAX_STREAM, side=65_535, psnr=100.0),
    Open(stream=256, image="x" * 255, weight=1e-3, model=MODELS[0]),
    Open(stream=65_536, image="a b.png", bpp=1000.0, psnr=31.7, weight=1000.0),
    Open(stream=3, image="a.png", start=90, prefix="0123456789abcdef", region=REGION),
    Open(stream=4, image="a.png", weight=100.0, model=MODELS[0], region=FARTHEST),
    Ack(received=0),
    Ack(received=123_456, window=1024),
    Ack(received=2**53, window=65_536),
    Stop(stream=3),
    *(End(stream=1, reason=reason, length=4000) for reason in Reason),
    End(stream=9, reason=Reason.TARGET, length=MAX_STREAM, updates=2**31 - 1),
    Error(stream=0, code="timeout", message="nothing was heard", retry=True),
    Error(stream=2, code="unknown-image", message="there is none"),
    Error(stream=2, code="unknown-model", message="ä" * 256, model=MODELS[1]),
    Alive(),
    Alive(said=17),
    Alive(said=2**32),
    Update(stream=3),
    Update(stream=3, side=512, psnr=31.5, weight=0.25),
    Update(stream=3, bytes=1, bpp=0.1),
    Goaway(wait=5.0),
    Goaway(wait=0.1),
    Data(stream=1, offset=0, payload=b"x"),
    Data(stream=300, offset=70_000, payload=bytes(range(256))),
    Data(stream=2**31 - 1, offset=MAX_STREAM - 1, payload=b"\xff"),
]


def control(message: type[Message], *values: object) -> bytes:
    """Return a message with any fields at all."""
    return bytes([message.kind]) + bytes(msgpack.packb(list(values)))


def appended() -> Iterator[bytes]:
    """Yield messages as a newer minor version may write them, or another MessagePack."""
    for message in MESSAGES:
        if not isinstance(message, Data):
            fields = Record(type(message)).fields
            values = [field.plain(getattr(message, name)) for name, field in fields.items()]
            bare = control(type(message), *values)
            if len(bare) < MAX_MESSAGE // 2:
                yield bare
                yield control(type(message), *values, "new", 7, None, [-1, 1.5, 2**63, [True]])
    yield control(Goaway, 5.0)
    yield b"\x0c\x91\xca\x40\xa0\x00\x00"
    yield b"\x0c\x91\xcf\x00\x00\x00\x00\x00\x00\x00\x05"
    yield b"\x07\xdd\x00\x00\x00\x01\xce\x00\x00\x00\x05"
    yield b"\x07\x91\xd2\x00\x00\x00\x05"
    yield b"\x03\x93\xc2\xc0" + b"\x91" * 1023 + b"\x01"


def refused() -> Iterator[bytes]:
    """Yield bytes that are no message."""
    yield b""
    yield b"\x7f\x90"
    for message in MESSAGES:
        data = encode(message)
        if len(data) < 400:
            yield from (data[:end] for end in sorted({1, len(data) // 2, len(data) - 1}))
            yield data + b"\0"
    for kind in (Hello, Open, End, List):
        for body in HOSTILE:
            if kind is not List or body[:1] not in b"\x91\x92\xdc":
                yield bytes([kind.kind]) + body
    yield b"\x03\x93\xc2\xc0" + b"\x91" * 1024 + b"\x01"
    for name in NO_NAMES:
        yield control(Open, 1, name)
        yield control(Catalogue, [[name, *ROW[1:]]], True)
    yield from OUT_OF_RANGE
    whole = encode(Data(stream=1, offset=300, payload=b"payload"))
    for bit in range(8, 8 * len(whole)):
        yield bytes(byte ^ (1 << bit % 8 if bit // 8 == i else 0) for i, byte in enumerate(whole))
    for stream, offset, payload in ((0, 0, b"x"), (1, MAX_STREAM, b"x"), (1, 0, b"")):
        yield encode(Data(stream=stream, offset=offset, payload=payload))


HOSTILE = [
    b"\x81\x01\x01",
    b"\xdf\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdc\x00\x41" + b"\x01" * 65,
    b"\x91\xc7\x01\x05a",
    b"\x91\xd6\xff\x00\x00\x00\x00",
    b"\x91\xc4\x01a",
    b"\x91\xda\x04\x01" + b"a" * 1025,
    b"\x91\xdb\xff\xff\xff\xff",
    b"\x92\x01\xa2\xff\xfe",
    b"\x92\x01\xa3\xed\xa0\x80",
    b"\x92\x01\xa2\xc0\xaf",
    b"\x05",
    b"\xc0",
    b"\xc1",
    b"\xa3abc",
    b"\xdc\x00\x40" + b"\x90" * 64,
]
NO_NAMES = [
    *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a\\b", "..\\a"),
    *("a\0b", "a\nb", "a\x7fb", "\u202eb", "\u2028", "\u009f", "x" * 1001, "ä" * 501),
]
OUT_OF_RANGE = [
    control(Open, 0, "a"),
    control(Open, 2**31, "a"),
    control(Open, 2**64 - 1, "a"),
    control(Open, True, "a"),
    control(Open, 1.0, "a"),
    control(Open, 1),
    control(Open, 1, None),
    control(Open, 1, "a", -1),
    control(Open, 1, "a", -(2**63)),
    control(Open, 1, "a", None),
    control(Open, 1, "a", 0, "xyz"),
    control(Open, 1, "a", 0, "0123456789ABCDEF"),
    control(Open, 1, "a", 0, None, None, None, 0),
    control(Open, 1, "a", 0, None, None, None, None, -1),
    control(Open, 1, "a", 0, None, None, None, None, None, 0),
    *(
        control(Open, 1, "a", 0, *[None] * 5, 1, None, region)
        for region in (
            "abc",
            [],
            [0, 0, 1, 1, 500],
            [-1, 0, 1, 1, 500, "fedcba9876543210"],
            [0, 2048, 1, 1, 500, "fedcba9876543210"],
            [0, 0, 0, 1, 500, "fedcba9876543210"],
            [0, 0, 1, 2049, 500, "fedcba9876543210"],
            [0, 0, 1, 1, 0, "fedcba9876543210"],
            [0, 0, 1, 1, MAX_STREAM + 1, "fedcba9876543210"],
            [0, 0, 1, 1, 500, "fedcba"],
        )
    ),
    control(Update, 1, None, None, None, None, 1001),
    control(Goaway, -1),
    control(Goaway, False),
    control(Goaway, 2**63),
    control(Ack, 5, 100),
    control(Ack, 2**53 + 1),
    control(Open, 1, "a", MAX_STREAM + 1),
    control(Open, 1, "a", 0, None, 0),
    control(Open, 1, "a", 0, None, 10.0),
    control(Open, 1, "a", 0, None, None, -1.5),
    control(Open, 1, "a", 0, None, None, "x"),
    control(Hello, 0, 100, 60.0),
    control(Hello, 256, 8192, 60.0),
    control(Hello, 0, 8192, 60, ["xyz"]),
    control(Hello, 0, 8192, 60, "0a1b2c3d"),
    control(Hello, 0, 8192, 60, ["0a1b2c3d"] * 17),
    control(Hello, 0, 8192, 60, [], ["x" * 33]),
    control(Catalogue, [ROW] * (ENTRIES_PER_PAGE + 1), True),
    control(Catalogue, [["a", 1, 2]], True),
    control(Catalogue, [["a", 1, 2, "b"]], True),
    control(Catalogue, ["a"], True),
    control(Catalogue, "abc", True),
    control(Catalogue, [], None),
    control(Catalogue, [], True, 1),
    control(Catalogue, [], True, True, "a.png"),
    control(Catalogue, [], True, True, ["../a.png"]),
    control(Catalogue, [], True, True, ["a.png"] * (ENTRIES_PER_PAGE + 1)),
    control(Catalogue, [], True, True, [], "0123456789ABCDEF"),
    control(List, 1),
    control(List, True, 7),
    control(List, True, "0123"),
    control(End, 1, "boredom", 0),
    control(End, 1, 7, 0),
    control(Error, 1, "x", "two\nlines"),
    control(Error, 1, "x", "m" * 513),
    control(Error, 1, "x", 5),
    control(Error, 1, "x", "m", 1),
]
UNSENDABLE: list[Message] = [
    *(Open(stream=1, image=name) for name in NO_NAMES),
    Open(stream=0, image="a"),
    Open(stream=1, image="a", bytes=0),
    Open(stream=1, image="a", psnr=101.5),
    Open(stream=1, image="a", prefix="0"),
    Open(stream=1, image="a", region=dataclasses.replace(REGION, width=0)),
    Hello(window=511, idle=60.0),
    Hello(window=8192, idle=60.0, models=("0a1b2c3d",) * 17),
    Ack(received=-1),
    Data(stream=1, offset=0, payload=bytes(MAX_MESSAGE)),
]


def mutants(count: int) -> Iterator[bytes]:
    """Yield messages with a byte or two changed, lost or doubled, the same every time."""
    random = Random(20261121)
    sources = [encode(message) for message in MESSAGES if len(encode(message)) < 100]
    for _ in range(count):
        data = bytearray(random.choice(sources))
        for _ in range(random.randrange(1, 3)):
            place = random.randrange(len(data))
            match random.randrange(4):
                case 0:
                    data[place] ^= 1 << random.randrange(8)
                case 1:
                    data[place] = random.randrange(256)
                case 2 if len(data) > 1:
                    del data[place]
                case _:
                    data.insert(
                        place, random.choice(b"\x00\x01\x7f\x80\x90\x91\xa1\xc0\xc4\xcb\xff")
                    )
        yield bytes(data)


def messages() -> dict[str, list[object]]:
    """Return what messages.json holds."""
    return {
        "messages": [{**described(message), "hex": encode(message).hex()} for message in MESSAGES],
        "read": [{**described(decode(data)), "hex": data.hex()} for data in appended()],
        "refused": [{**_refusal(data), "hex": data.hex()} for data in refused()],
        "unsendable": [{**described(message), **_complaint(message)} for message in UNSENDABLE],
        "mutants": [_verdict(data) for data in mutants(800)],
    }


def described(message: Message) -> dict[str, object]:
    """Return a message as JSON has it: its type and all of its fields, payloads in hex."""
    plain = {
        field.name: _json(getattr(message, field.name)) for field in dataclasses.fields(message)
    }
    return {"type": title(type(message)), "fields": plain}


def _json(value: object) -> object:
    match value:
        case bytes():
            return value.hex()
        case Enum():
            return value.value
        case tuple():
            return [_json(element) for element in value]
        case Entry() | Region():
            return dataclasses.asdict(value)
    return value


def _refusal(data: bytes) -> dict[str, object]:
    try:
        decode(data)
    except RemoteProtocolError as error:
        return {"error": type(error).__name__, "message": str(error)}
    raise AssertionError(data)


def _complaint(message: Message) -> dict[str, object]:
    try:
        encode(message)
    except LocalProtocolError as error:
        return {"error": type(error).__name__, "message": str(error)}
    raise AssertionError(message)


def _verdict(data: bytes) -> list[str | None]:
    try:
        return [data.hex(), encode(decode(data)).hex()]
    except RemoteProtocolError:
        return [data.hex(), None]
