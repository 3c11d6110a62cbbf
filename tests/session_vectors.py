"""The protocol as the receiver in JavaScript is held to: what Python writes, reads and refuses.

    python tests/session_vectors.py            after a change of the protocol: writes them anew

``vectors/messages.json`` has messages of every kind with their bytes, and bytes that are refused;
``vectors/conversations.json`` the tables of a receiver's states, and what its session says when.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS / "support"))

from message_vectors import ENTRY, MODELS, REGION, messages  # noqa: E402

from diffc_stream.errors import SessionError  # noqa: E402
from diffc_stream.session import (  # noqa: E402
    Alive,
    Catalogue,
    Data,
    End,
    Error,
    Goaway,
    Message,
    PrefixHash,
    Reason,
    ReceiverSession,
    Role,
    SenderSession,
    Stop,
    Target,
    Terms,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session.messages import title  # noqa: E402
from diffc_stream.session.state import CONNECTION, STREAM, Table  # noqa: E402

HERE = TESTS / "vectors"


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
        others = ("start", "prefix", "model", "region")
        held = {name: options.pop(name) for name in others if name in options}
        step: dict[str, object] = {"do": "open", "image": image, "weight": weight}
        step.update(target=options, **held)
        if "region" in held:
            step["region"] = dataclasses.asdict(held["region"])
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

    for can in (True, False):
        one = Recorder(f"a region of a sender that {'knows' if can else 'does not know'} them")
        one.open("a.png", region=REGION)
        one.hear(dataclasses.replace(WELCOME, capabilities=("region",) if can else ()))
        one.open("a.png", region=REGION, model=MODELS[0], psnr=36.0, weight=100.0)
        one.hear(Data(stream=1, offset=0, payload=b"abc"))
        one.stop(1)
        one.hear(End(stream=1, reason=Reason.STOPPED, length=3))
        one.open("a.png", region=REGION, start=3, prefix=str(PrefixHash(b"abc")), bytes=900)
        one.hear(Error(stream=2, code="unknown-region", message="a.png: beyond the picture"))
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
    for name, said in asked.items():
        one = Recorder(name)
        one.open("photo", bytes=100)
        one.hear(WELCOME, *said, after=0.5)
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
