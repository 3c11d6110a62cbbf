"""The protocol as the receiver in JavaScript is held to: what Python writes, reads and refuses.

    python tests/session_vectors.py            after a change of the protocol: writes them anew

``vectors/messages.json`` has messages of every kind with their bytes, and bytes that are refused;
``vectors/conversations.json`` the tables of a receiver's states, and what its session says when.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

import msgpack

from diffc_stream.errors import LocalProtocolError, RemoteProtocolError, SessionError
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
    PrefixHash,
    Reason,
    ReceiverSession,
    Role,
    SenderSession,
    Stop,
    Target,
    Terms,
    Update,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session.fields import Record
from diffc_stream.session.messages import ENTRIES_PER_PAGE, title
from diffc_stream.session.state import CONNECTION, STREAM, Table

HERE = Path(__file__).parent / "vectors"
MODELS = ("0a1b2c3d", "00ffee11")
ENTRY = Entry(name="coffee.jpg", size=123_456, time=1_790_000_000, thumbprint="0123456789abcdef")
ROW = ["coffee.jpg", 123_456, 1_790_000_000, "0123456789abcdef"]
LARGE = Entry(name="x" * 255, size=2**53, time=2**53, thumbprint="f" * 16)

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
        case Entry():
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


class Recorder:
    """A receiver's session, and a record of all that is done with it and what comes of it."""

    def __init__(self, name: str, *, terms: Terms | None = None, now: float = 0.0) -> None:
        terms = terms or Terms()
        self.now = now
        self.session = ReceiverSession(
            now=now, terms=terms, models=MODELS, capabilities=("dfc1", "known")
        )
        self.steps: list[dict[str, object]] = []
        self.record = {
            "name": name,
            "now": now,
            "terms": {"window": terms.window, "idle": terms.idle},
            "models": MODELS,
            "capabilities": ("dfc1", "known"),
            "steps": self.steps,
        }
        self.said: list[bytes] = []
        """What the session has said and nobody has taken yet."""
        self._step({"do": "start"}, lambda: None)

    def receive(self, data: bytes | str, *, after: float = 0.0) -> None:
        self.now += after
        step: dict[str, object] = {"do": "receive"}
        if isinstance(data, str):
            step["text"] = data
        else:
            step["hex"] = data.hex()
            if data[:1] == b"\x10":
                message = decode(data)
                assert isinstance(message, Data)
                if not any(message.payload):
                    # Zeros take no place in the file.
                    size = len(message.payload)
                    del step["hex"]
                    step["zeros"] = [message.stream, message.offset, size]
        self._step(step, lambda: self._event(self.session.receive(data, self.now)))

    def hear(self, *heard: Message, after: float = 0.0) -> None:
        for message in heard:
            self.receive(encode(message), after=after)

    def open(self, image: str, *, weight: float = 1.0, **options: Any) -> None:
        held = {name: options.pop(name) for name in ("start", "prefix", "model") if name in options}
        step: dict[str, object] = {"do": "open", "image": image, "weight": weight}
        step.update(target=options, **held)
        target = Target(**options)
        self._step(step, lambda: self.session.open(image, target=target, weight=weight, **held))

    def update(self, stream: int, *, weight: float = 1.0, **options: Any) -> None:
        step = {"do": "update", "stream": stream, "target": options, "weight": weight}
        target = Target(**options)
        self._step(step, lambda: self.session.update(stream, target=target, weight=weight))

    def stop(self, stream: int) -> None:
        self._step({"do": "stop", "stream": stream}, lambda: self.session.stop(stream))

    def list(self, *, follow: bool = False, mark: str | None = None) -> None:
        step = {"do": "list", "follow": follow, "mark": mark}
        self._step(step, lambda: self.session.list(follow=follow, mark=mark))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._step({"do": "timeout"}, lambda: self.session.handle_timeout(self.now))

    def _event(self, message: Message | None) -> object:
        return None if message is None else title(type(message))

    def _step(self, step: dict[str, object], task: Callable[[], object]) -> None:
        step["now"] = self.now
        try:
            step["result"] = task()
        except SessionError as error:
            step["error"] = [type(error).__name__, str(error)]
        out = self.session.transmit(self.now)
        self.said += out
        step["out"] = [data.hex() for data in out]
        step["next"] = self.session.next_timeout()
        step["current"] = self.session.current
        step["streams"] = self.session.streams
        step["closed"] = self.session.closed
        self.steps.append(step)


WELCOME = Welcome(window=8192, idle=60.0, streams=4)


def scripted() -> Iterator[Recorder]:
    """Yield conversations that are good, broken, and in between."""
    one = Recorder("a whole stream, asked for before WELCOME")
    one.open("photo", start=300, prefix=str(PrefixHash(bytes(300))), model=MODELS[0], bytes=2000)
    one.list()
    one.list()
    one.hear(WELCOME, after=0.6)
    one.hear(Catalogue(images=(ENTRY,), last=False), Catalogue(images=(ENTRY,), last=True))
    one.list()
    for offset in range(300, 2000, 340):
        one.hear(Data(stream=1, offset=offset, payload=bytes(340)), after=0.375)
    one.hear(End(stream=1, reason=Reason.TARGET, length=2000))
    one.update(1, bytes=3000)
    one.stop(1)
    one.hear(End(stream=1, reason=Reason.TARGET, length=2000))
    yield one

    one = Recorder("updates, stops, and what crosses them")
    one.hear(WELCOME, after=0.25)
    one.open("a", bytes=500, psnr=30.5)
    one.open("b", bpp=0.4, weight=2.0)
    one.open("c", side=512)
    one.update(1, bytes=900)
    one.update(2, psnr=28.0, weight=0.5)
    one.stop(2)
    one.stop(2)
    one.update(2)
    one.hear(Data(stream=1, offset=0, payload=b"abc"), Data(stream=2, offset=0, payload=b"def"))
    one.hear(End(stream=2, reason=Reason.STOPPED, length=3))
    one.hear(End(stream=1, reason=Reason.TARGET, length=3, updates=1))
    one.hear(Error(stream=3, code="busy", message="too many", retry=True))
    one.hear(Data(stream=3, offset=0, payload=b"x"))
    yield one

    for can in (True, False):
        one = Recorder(f"a catalogue that {'goes on' if can else 'does not'}")
        one.list(follow=True, mark="0123456789abcdef")
        one.hear(dataclasses.replace(WELCOME, capabilities=("follow",) if can else ()))
        one.hear(Catalogue(images=(ENTRY,), last=False), Catalogue(images=(), last=True))
        one.list(follow=True)
        one.hear(Catalogue(images=(), last=True, changes=True, removed=("a.png",)))
        one.list()
        one.hear(Catalogue(images=(ENTRY,), last=True, changes=True))
        yield one

    one = Recorder("silence", terms=Terms(idle=9.0), now=100.0)
    one.wait(0.0)
    one.hear(dataclasses.replace(WELCOME, idle=0.6), after=1.0)
    for _ in range(4):
        one.wait(0.25)
    one.hear(Alive(said=1), after=2.0)
    one.hear(Alive(), after=2.0)
    one.wait(8.75)
    one.wait(0.25)
    one.wait(10.0)
    yield one

    one = Recorder("a sender that leaves")
    one.open("a")
    one.open("b")
    one.hear(WELCOME, Data(stream=1, offset=0, payload=b"abc"), Goaway(wait=5.0), after=0.125)
    one.open("c")
    one.list()
    one.update(1, weight=3.0)
    one.hear(End(stream=1, reason=Reason.DRAINING, length=3))
    one.stop(2)
    one.hear(End(stream=2, reason=Reason.DRAINING, length=0))
    one.hear(Goaway(wait=1.0))
    yield one
    yield from _broken()
    for seed in range(6):
        yield _at_random(seed)


def _broken() -> Iterator[Recorder]:
    asked: dict[str, list[Message]] = {
        "a gap": [Data(stream=1, offset=1, payload=b"x")],
        "twice": [Data(stream=1, offset=0, payload=b"x")] * 2,
        "more than asked for": [Data(stream=1, offset=0, payload=bytes(101))],
        "a stream nobody opened": [Data(stream=2, offset=0, payload=b"x")],
        "an end elsewhere": [End(stream=1, reason=Reason.COMPLETE, length=7)],
        "an end too many updates later": [End(stream=1, reason=Reason.TARGET, length=0, updates=1)],
        "a second WELCOME": [WELCOME],
        "a CATALOGUE unasked": [Catalogue(images=(), last=True)],
        "a message was lost": [Alive(said=2)],
        "what a receiver says": [Stop(stream=1)],
        "a failure": [Error(stream=0, code="internal", message="no"), Alive()],
        "a failure of a stream": [Error(stream=1, code="unknown-image", message="no")],
        "a failure of nothing": [Error(stream=5, code="internal", message="no")],
    }
    for name, messages in asked.items():
        one = Recorder(name)
        one.open("photo", bytes=100)
        one.hear(WELCOME, *messages, after=0.5)
        one.open("another")
        one.wait(100.0)
        yield one
    greetings: dict[str, Message] = {
        "too large a window": dataclasses.replace(WELCOME, window=8193),
        "an unknown demand": dataclasses.replace(WELCOME, capabilities=("!known", "x", "!new")),
        "a known demand": dataclasses.replace(WELCOME, capabilities=("!known", "new")),
        "no WELCOME": Alive(),
        "another minor version": dataclasses.replace(WELCOME, minor=7),
        "refused": Error(stream=0, code="unsupported", message="nothing in common"),
    }
    for name, greeting in greetings.items():
        one = Recorder(name)
        one.hear(greeting)
        yield one
    one = Recorder("more than the window", terms=Terms(window=512))
    one.open("photo")
    one.hear(dataclasses.replace(WELCOME, window=512))
    one.hear(Data(stream=1, offset=0, payload=bytes(513)))
    yield one
    nonsense: dict[str, bytes | str] = {"text": "HELLO", "nothing": b"", "no message": b"\x99"}
    for name, data in nonsense.items():
        one = Recorder(name)
        one.receive(data)
        one.receive(encode(WELCOME))
        yield one


def _at_random(seed: int) -> Recorder:
    """Return a conversation with a sender that has a few streams and a link of some rate."""
    random = Random(seed)
    window = random.choice([512, 4096, 8192, 65_536])
    one = Recorder(f"at random, {seed}", terms=Terms(window=window, idle=20.0))
    sender = SenderSession(now=0.0, terms=Terms(idle=7.5), models=MODELS)
    rate = random.choice([200.0, 1000.0, 20_000.0, 1e6])

    def listen() -> None:
        for data in one.said:
            sender.receive(data, one.now)
        one.said.clear()

    listen()
    one.receive(sender.transmit(one.now)[0], after=random.random())
    for _ in range(60):
        streams = one.session.streams
        match random.randrange(10):
            case 0 if len(streams) < 3:
                one.open(f"{random.randrange(100)}.png", weight=1 + random.randrange(8) / 8)
            case 1 if streams:
                one.update(random.choice(streams), psnr=20 + random.randrange(40) / 4)
            case 2 if streams and random.random() < 0.3:
                one.stop(random.choice(streams))
            case 3:
                one.wait(random.choice([0.125, 1.0, 3.0]))
            case 4 if sender.streams and random.random() < 0.3:
                sender.end(random.choice(sender.streams), Reason.COMPLETE)
            case _ if sender.streams and sender.credit:
                size = min(sender.credit, random.randrange(64, 1100))
                sender.send(random.choice(sender.streams), bytes(size))
        listen()
        for data in sender.transmit(one.now):
            one.receive(data, after=len(data) / rate)
        listen()
    return one


def conversations() -> dict[str, list[object]]:
    """Return what conversations.json holds."""
    return {
        "connection": _table(CONNECTION[Role.RECEIVER]),
        "stream": _table(STREAM[Role.RECEIVER]),
        "conversations": [one.record for one in scripted()],
    }


def _table(table: Table) -> list[object]:
    """Return the rows of a table of states."""
    return [
        [state.value, f"{way.value} {title(message)}", after.value]
        for state, triggers in table.items()
        for (way, message), after in triggers.items()
    ]


def written(parts: dict[str, list[object]]) -> str:
    """Return JSON with one element a line."""
    lists = [
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, elements)) + "\n]"
        for name, elements in parts.items()
    ]
    return "{\n" + ",\n".join(lists) + "\n}\n"


FILES = {"messages.json": messages, "conversations.json": conversations}

if __name__ == "__main__":
    for name, parts in FILES.items():
        (HERE / name).write_text(written(parts()))
