"""Abuse by senders with a token, of a mirror that listens."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from diffc_stream.container import Header, Kind, Step, StreamWriter
from diffc_stream.errors import LocalProtocolError
from diffc_stream.session import (
    PUSH_SUBPROTOCOL,
    Catalogue,
    Code,
    Data,
    End,
    Entry,
    Error,
    Message,
    Open,
    Reason,
    Welcome,
    encode,
)
from diffc_stream.session.messages import ENTRIES_PER_PAGE

from .abuse_attack import Attack, keep_up
from .abuse_talk import ping
from .abuse_tally import Pace
from .abuse_wire import Wire, frame
from .hostile_names import NAMES

DEEPEST = 119
"""Folders in a name of 255 bytes, with room for what makes it another."""
MOST_BOMBS = 600
"""Names of folders, after which they are those from before: the disk is not ours alone."""
LATER = Error(stream=1, code=Code.BUSY, message="later", retry=True, after=60.0)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a hostile sender sends of a picture, and says then."""

    data: bytes = b""
    end: Reason | None = None
    """None: that it should come back."""


Say = Callable[[Wire], Awaitable[None]]
Answer = Callable[[Open], Answered]


async def pings(attack: Attack) -> None:
    """Send 2,000 PINGs a second, and never read what comes back."""

    async def once(_: int) -> None:
        wire = await Wire.dial(attack.front, buffer=4096)
        try:
            await wire.upgrade(attack.front, attack.token, PUSH_SUBPROTOCOL)
            await wire.say(_welcome(attack))
            await ping(attack, wire, 2000)
        finally:
            wire.close()

    await keep_up(attack, 1, 1, once)


async def directories(attack: Attack) -> None:
    """Name 5 pictures a second in 119 folders each, and refuse them when they are asked for."""
    numbers = itertools.count()

    async def say(wire: Wire) -> None:
        pace = Pace(5)
        while True:
            await pace.turn(5)
            attack.tally.tried += 5
            made = [next(numbers) % MOST_BOMBS for _ in range(5)]
            await wire.say(_page([f"{n:06}/{'d/' * DEEPEST}x" for n in made]))

    await _push(attack, say, lambda _: Answered())


async def names(attack: Attack) -> None:
    """Name every 3 seconds what is the user's, send some, take it back; then what is no name."""
    own = [name.removesuffix(".png") for name in attack.prey.own]
    own += [*attack.prey.own, *(f"{name}.dfc" for name in attack.prey.own)]
    wrong = itertools.cycle(NAMES)
    turns = itertools.count()

    async def say(wire: Wire) -> None:
        while True:
            for start in range(0, len(own), ENTRIES_PER_PAGE):
                some = own[start : start + ENTRIES_PER_PAGE]
                attack.tally.tried += len(some)
                await wire.say(_page(some))
                await asyncio.sleep(2.0)
                await wire.say(_page([], removed=some))
            await asyncio.sleep(1.0)
            # For most of these the mirror may hang up.
            name = next(wrong)
            attack.tally.tried += 1
            await wire.send(misnamed(name))

    def answer(_: Open) -> Answered:
        return Answered(b"DFC not", Reason.COMPLETE) if next(turns) % 2 else Answered()

    await _push(attack, say, answer)


async def catalogues(attack: Attack) -> None:
    """Name 500 pictures a second in a catalogue without an end, half of them ever the same."""
    numbers = itertools.count()

    async def say(wire: Wire) -> None:
        pace = Pace(500)
        for turn in itertools.count():
            await pace.turn(ENTRIES_PER_PAGE)
            attack.tally.tried += ENTRIES_PER_PAGE
            some = [
                f"endless{next(numbers) if turn % 2 else n}.png" for n in range(ENTRIES_PER_PAGE)
            ]
            await wire.say(_page(some, last=False, turn=turn))

    await _push(attack, say, lambda _: Answered())


async def work(attack: Attack) -> None:
    """Send a stream of some bytes every 5 seconds that takes long, or much memory, to render."""
    bombs = (
        _bomb(attack.prey.model, 10_000, 10_000, steps=2),
        _bomb(attack.prey.model, 64, 65_000, steps=30),
        _bomb(attack.prey.model, 1_500, 1_500, steps=900),
        _bomb(attack.prey.model, 65_535, 65_535, steps=1),
    )

    async def say(wire: Wire) -> None:
        for number in itertools.count():
            attack.tally.tried += 1
            await wire.say(_page([f"work{number % 1000}.png"], turn=number))
            await asyncio.sleep(5.0)

    def answer(opened: Open) -> Answered:
        number = int(opened.image.removeprefix("work").removesuffix(".png"))
        return Answered(bombs[number % len(bombs)], Reason.COMPLETE)

    await _push(attack, say, answer)


async def _push(attack: Attack, say: Say, answer: Answer) -> None:
    """Dial as a sender, again and again; ``say`` what there is, and ``answer`` who asks for it."""

    async def once(_: int) -> None:
        wire = await Wire.dial(attack.front)
        try:
            await wire.upgrade(attack.front, attack.token, PUSH_SUBPROTOCOL)
            await wire.hear()
            await wire.say(_welcome(attack), Catalogue(images=(), last=True))
            talking = asyncio.ensure_future(say(wire))
            reading = asyncio.create_task(_serve(wire, answer))
            try:
                await asyncio.wait([talking, reading], return_when=asyncio.FIRST_COMPLETED)
            finally:
                talking.cancel()
                reading.cancel()
                results = await asyncio.gather(talking, reading, return_exceptions=True)
            for result in results:
                if isinstance(result, Exception):
                    raise result
        finally:
            wire.close()

    await keep_up(attack, 1, 1, once)


async def _serve(wire: Wire, answer: Answer) -> None:
    message: Message
    while True:
        try:
            message = await wire.hear()
        except TimeoutError:
            continue  # it has nothing to ask for
        if not isinstance(message, Open):
            continue
        answered = answer(message)
        data = answered.data[message.start :]
        if data:
            await wire.say(Data(stream=message.stream, offset=message.start, payload=data))
        if answered.end is None:
            await wire.say(
                Error(stream=message.stream, code=Code.BUSY, message="later", retry=True)
            )
        else:
            length = message.start + len(data)
            await wire.say(End(stream=message.stream, reason=answered.end, length=length))


def _welcome(attack: Attack) -> Welcome:
    return Welcome(
        window=8192,
        idle=600.0,
        streams=64,
        models=(attack.prey.model,),
        capabilities=("dfc1", "follow"),
    )


def _page(
    images: Sequence[str], *, removed: Sequence[str] = (), last: bool = True, turn: int = 0
) -> Catalogue:
    entries = tuple(
        Entry(name=name, size=1000, time=1_700_000_000 + turn, thumbprint=f"{turn:016x}")
        for name in images
    )
    return Catalogue(images=entries, last=last, changes=True, removed=tuple(removed))


def misnamed(name: bytes) -> bytes:
    """Return a catalogue with a name that need not be one."""
    try:
        return frame(encode(_page([name.decode()])))
    except (LocalProtocolError, UnicodeDecodeError):
        # One of the same length, which is what the encoding goes by, is put in its place.
        blank = "a" * len(name)
        if not 0 < len(name) <= 255:
            return frame(encode(_page(["a"])))
        return frame(encode(_page([blank])).replace(blank.encode(), name))


def _bomb(model: str, width: int, height: int, *, steps: int) -> bytes:
    """Return a stream of few bytes that says that it is of a large picture, or of many steps."""
    writer = StreamWriter()
    parts = [writer.header(Header(model=model, width=width, height=height, seed=1))]
    for number in range(steps):
        kind = Kind.OPEN if number % 30 == 29 else Kind.REFINE
        parts.append(writer.step(Step(kind=kind, length=2, delta_code=60), b"\x55\xaa"))
    return b"".join(parts)
