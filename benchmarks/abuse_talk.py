"""Abuse by receivers with a token, in the conversation with a sender."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Iterator

from diffc_stream.session import (
    MAX_WINDOW,
    Ack,
    Alive,
    Catalogue,
    Data,
    Hello,
    List,
    Message,
    Open,
    Stop,
    Update,
    encode,
)

from .abuse_attack import Attack, keep_up
from .abuse_tally import Pace
from .abuse_wire import PING, PONG, Wire, frame

BATCH = 50
"""Tiny messages that are sent at once."""
SIGN_OF_LIFE = 10.0
"""Seconds between messages that keep a connection up on which nothing else counts."""

_HELLO = Hello(window=MAX_WINDOW, idle=600.0)
Make = Callable[[int], bytes]
"""Returns the message of a number, from 1 up."""


async def pongs(attack: Attack) -> None:
    """Send 1,000 PINGs a second on each of 4 connections, and never read what comes back."""

    async def once(_: int) -> None:
        wire = await Wire.dial(attack.front, buffer=4096)
        try:
            await wire.upgrade(attack.front, attack.token)
            await wire.say(_HELLO)
            await ping(attack, wire, 1000)
        finally:
            wire.close()

    await keep_up(attack, 4, 2, once)


async def ping(attack: Attack, wire: Wire, rate: float) -> None:
    """Send so many PINGs a second, and what says that this end is alive, until it is ended."""
    clock = asyncio.get_running_loop().time
    pace, due = Pace(rate), clock() + SIGN_OF_LIFE
    pings = frame(b"x" * 125, PING) * BATCH
    while True:
        await pace.turn(BATCH)
        attack.tally.tried += BATCH
        await wire.send(pings)
        if clock() > due:
            due = clock() + SIGN_OF_LIFE
            await wire.say(Alive())


async def floods(attack: Attack) -> None:
    """Send tiny messages, 500 a second of each of 11 kinds, each kind on its own connection."""
    ready = attack.prey.ready[0]
    long = "x/" * 100 + "n" * 50 + ".jpg"
    kinds: tuple[tuple[int, Make], ...] = (
        # How many streams it opens first, and what it says from then on.
        (0, lambda _: frame(encode(Alive()))),
        (0, lambda n: frame(encode(Ack(received=0, window=512 + n % 7000)))),
        (1, lambda _: frame(encode(Stop(stream=1)))),
        (1, lambda n: frame(encode(Update(stream=1, bytes=1 + n % 50)))),
        (60, lambda n: frame(encode(Update(stream=1 + n % 60, bytes=1 + n % 50)))),
        (0, lambda _: frame(b"", PING)),
        (0, lambda _: frame(b"", PONG)),
        (0, lambda n: frame(b"", 2 if n == 1 else 0, fin=False)),
        (0, lambda n: frame(encode(Open(stream=n, image=long)))),
        (0, lambda n: frame(encode(Open(stream=n, image=ready, bytes=1)))),
        (
            0,
            lambda n: frame(encode(Open(stream=n, image=ready))) + frame(encode(Stop(stream=n))),
        ),
    )

    async def once(number: int) -> None:
        streams, make = kinds[number % len(kinds)]
        wire = await Wire.dial(attack.front)
        try:
            await wire.upgrade(attack.front, attack.token)
            opens = [Open(stream=n, image=ready, bytes=1) for n in range(1, streams + 1)]
            await wire.say(_HELLO, *opens)
            await _beside(wire, _flood(attack, wire, make))
        finally:
            wire.close()

    await keep_up(attack, len(kinds), 4, once)


async def _flood(attack: Attack, wire: Wire, make: Make) -> None:
    pace = Pace(500)
    for start in itertools.count(1, BATCH):
        await pace.turn(BATCH)
        attack.tally.tried += BATCH
        await wire.send(b"".join(make(number) for number in range(start, start + BATCH)))


async def lists(attack: Attack) -> None:
    """Ask for the catalogue 10 times a second, on 8 connections, each when it has been answered."""
    pace = Pace(10)

    async def once(_: int) -> None:
        wire = await Wire.dial(attack.front)
        try:
            await wire.upgrade(attack.front, attack.token)
            await wire.say(_HELLO)
            while True:
                await pace.turn()
                attack.tally.tried += 1
                await wire.say(List())
                while not (isinstance(page := await wire.hear(), Catalogue) and page.last):
                    pass
        finally:
            wire.close()

    await keep_up(attack, 8, 4, once)


async def beginnings(attack: Attack) -> None:
    """Ask for one byte of every ready stream, one after the other, 200 a second."""

    opens = (
        Open(stream=stream, image=name, bytes=1)
        for stream, name in enumerate(itertools.cycle(attack.prey.ready), 1)
    )
    await _open_all(attack, opens, rate=200)


async def resumes(attack: Attack) -> None:
    """Go on twice a second from 60,000 bytes that nobody ever had, of pictures to be encoded."""
    drawn = random.Random(3)
    opens = (
        Open(
            stream=stream,
            image=drawn.choice(attack.prey.photos),
            start=60_000 + drawn.randrange(1000),
            prefix=drawn.randbytes(8).hex(),
            model=attack.prey.model,
        )
        for stream in itertools.count(1)
    )
    await _open_all(attack, opens, rate=2)


async def _open_all(attack: Attack, opens: Iterator[Open], *, rate: float) -> None:
    """Ask for so many streams a second, on one connection at a time, and take what comes."""

    async def once(_: int) -> None:
        wire = await Wire.dial(attack.front)
        try:
            await wire.upgrade(attack.front, attack.token)
            await wire.say(_HELLO)
            await _beside(wire, opening(wire))
        finally:
            wire.close()

    async def opening(wire: Wire) -> None:
        pace = Pace(rate)
        for one in opens:
            await pace.turn()
            attack.tally.tried += 1
            await wire.say(one)

    await keep_up(attack, 1, 1, once)


async def _beside(wire: Wire, saying: Coroutine[None, None, None]) -> None:
    """Take what comes, and acknowledge it, while something is being said."""
    talking = asyncio.create_task(saying)
    reading = asyncio.create_task(_read(wire))
    try:
        done, _ = await asyncio.wait([talking, reading], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (talking, reading):
            task.cancel()
        await asyncio.gather(talking, reading, return_exceptions=True)


async def _read(wire: Wire) -> None:
    received = 0
    message: Message
    while True:
        # However long nothing comes: what is said keeps the connection up.
        try:
            message = await wire.hear()
        except TimeoutError:
            continue
        if isinstance(message, Data):
            received += len(message.payload)
            await wire.say(Ack(received=received))
