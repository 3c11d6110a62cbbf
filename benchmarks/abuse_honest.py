"""Honest ones beside all the abuse: what they wait for, and how long.

A receiver with a token of its own asks the sender again and again for what everybody asks for; a
camera that dials the mirror has a new picture every now and then.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffc_stream.errors import LinkLost
from diffc_stream.picture import png_bytes
from diffc_stream.session import (
    MAX_WINDOW,
    Ack,
    Catalogue,
    Data,
    End,
    Error,
    Hello,
    List,
    Open,
    PrefixHash,
)

from .abuse_tally import TROUBLE
from .abuse_wire import Front, Wire

REST = 0.1
"""Seconds between a receiver's wishes."""
SIDE = 48
"""Pixels of a new picture's sides."""
FIRST_BYTES = 200
"""Of a new picture that are waited for: most show something by then."""
EVERY = 5.0
"""Seconds between a camera's pictures ..."""
GIVEN_UP = 60.0
"""... and after which one is not waited for any more."""
LOOK = 0.05
"""Seconds between looks at a mirror's folder."""
MOST_SAID = 10


@dataclass(slots=True)
class Waits:
    """How long somebody waited for each kind of thing, and what he did not get."""

    phase: str = ""
    """What it is counted under."""
    seconds: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """By phase and kind."""
    failures: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _longest: dict[str, list[tuple[float, str]]] = field(default_factory=lambda: defaultdict(list))
    _began: dict[str, float] = field(default_factory=dict)

    @asynccontextmanager
    async def waiting(self, kind: str) -> AsyncIterator[None]:
        """Time what is done within; failing is no reason to end."""
        clock = asyncio.get_running_loop().time
        phase, began = self.phase, clock()
        since = self._began.setdefault(phase, began)
        try:
            yield
        except TROUBLE as error:
            what = f"{kind}, after {clock() - began:.1f} s: {str(error) or type(error).__name__}"
            self.failures[phase].append(what[:200])
        wait = clock() - began
        self.seconds[phase][kind].append(wait)
        line = f"{wait:.2f} s for {kind}, from second {began - since:.0f} on"
        self._longest[phase] = sorted([*self._longest[phase], (wait, line)])[-MOST_SAID:]

    def facts(self, phase: str) -> dict[str, object]:
        """Return the figures of a phase: seconds, by kind."""
        kinds = self.seconds[phase]
        return {kind: spread(kinds[kind]) for kind in sorted(kinds)}

    def longest(self, phase: str) -> list[str]:
        """Return the longest waits of a phase, with the seconds at which they began."""
        return [line for _, line in reversed(self._longest[phase])]

    def worst(self, phase: str) -> float:
        """Return the longest wait of a phase, in seconds."""
        return max((wait for waits in self.seconds[phase].values() for wait in waits), default=0.0)


def spread(waits: Sequence[float]) -> dict[str, float]:
    """Return how many there are, the middle one, that which 99 % are not above, and the most."""
    ordered = sorted(waits)
    return {
        "count": len(ordered),
        "median": ordered[len(ordered) // 2],
        "99 %": ordered[math.ceil(0.99 * len(ordered)) - 1],
        "worst": ordered[-1],
    }


class Receiver:
    """Asks a sender for what everybody asks for."""

    def __init__(self, front: Front, folder: Path, ready: Sequence[str]) -> None:
        """Ask for the streams ``ready`` of the sender's ``folder``, and put new pictures there."""
        self.waits = Waits()
        self.wrong = 0
        """Answers that were not what is in the folder."""
        self._front = front
        self._folder = folder
        self._ready = ready
        self._drawn = random.Random(4)
        self._wire: Wire | None = None
        self._stream = 0
        self._received = 0

    async def run(self) -> None:
        """Ask for ever."""
        wishes = {
            "a ready stream": self._ready_stream,
            "a ready stream over HTTP": self._over_http,
            "the catalogue": self._catalogue,
            "the rest of a stream, on a new connection": self._resume,
            "a new picture's first bytes": self._new_picture,
        }
        try:
            for kind in itertools.cycle(wishes):
                async with self.waits.waiting(kind):
                    try:
                        await wishes[kind]()
                    except TROUBLE:
                        self._hang_up()
                        raise
                await asyncio.sleep(REST)
        finally:
            self._hang_up()

    async def once(self) -> int:
        """Ask for the catalogue once; return how many wrong answers there were so far."""
        try:
            await self._catalogue()
        finally:
            self._hang_up()
        return self.wrong

    async def _over_http(self) -> None:
        name, data = await self._some()
        wire = await Wire.dial(self._front)
        try:
            token = self._front.tokens["honest"]
            await wire.request(self._front, f"/{name}", f"Authorization: Bearer {token}")
            status, body = await wire.answer()
            if not status.startswith("HTTP/1.1 200 "):
                raise LinkLost(status)
            self.wrong += body != data
        finally:
            wire.close()

    async def _ready_stream(self) -> None:
        name, data = await self._some()
        self.wrong += await self._stream_of(await self._connected(), name) != data

    async def _resume(self) -> None:
        self._hang_up()
        name, data = await self._some()
        half = data[: len(data) // 2]
        rest = await self._stream_of(await self._connected(), name, half)
        self.wrong += half + rest != data

    async def _catalogue(self) -> None:
        wire, found = await self._connected(), 0
        await wire.say(List())
        while not (isinstance(page := await wire.hear(), Catalogue) and page.last):
            if isinstance(page, Error):
                raise LinkLost(f"{page.code}: {page.message}")
            found += len(page.images) if isinstance(page, Catalogue) else 0
        self.wrong += found + len(page.images) < len(self._ready)

    async def _new_picture(self) -> None:
        path = self._folder / f"new{self._drawn.randrange(2**32)}.png"
        await asyncio.to_thread(appear, path, self._drawn.randrange(2**32))
        try:
            wire = await self._connected()
            got = await self._stream_of(wire, path.name, most=FIRST_BYTES)
            self.wrong += got[:3] != b"DFC"
        finally:
            path.unlink()

    async def _some(self) -> tuple[str, bytes]:
        """Return some ready stream, its name and all of it."""
        name = self._drawn.choice(self._ready)
        return name, (self._folder / name).read_bytes()

    async def _connected(self) -> Wire:
        if self._wire is None:
            self._wire = await Wire.dial(self._front)
            self._stream = self._received = 0
            await self._wire.upgrade(self._front, self._front.tokens["honest"])
            await self._wire.say(Hello(window=MAX_WINDOW, idle=60.0))
        return self._wire

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def _stream_of(
        self, wire: Wire, name: str, held: bytes = b"", *, most: int | None = None
    ) -> bytes:
        """Return what a sender has of a picture beyond what is held."""
        self._stream += 1
        opened = Open(
            stream=self._stream,
            image=name,
            start=len(held),
            prefix=str(PrefixHash(held)) if held else None,
            bytes=most,
        )
        await wire.say(opened)
        got = b""
        while not isinstance(message := await wire.hear(), End):
            if isinstance(message, Error):
                raise LinkLost(f"{message.code}: {message.message}")
            if isinstance(message, Data):
                got += message.payload
                self._received += len(message.payload)
                await wire.say(Ack(received=self._received))
        return got


class Camera:
    """Has new pictures for a mirror, of which those from before are taken away."""

    def __init__(self, folder: Path, mirrored: Path) -> None:
        """Put pictures into ``folder``, and look for them in ``mirrored``."""
        self.waits = Waits()
        self._folder = folder
        self._mirrored = mirrored

    async def run(self) -> None:
        """Have a picture every few seconds, for ever."""
        for number in itertools.count():
            path = self._folder / f"camera{number}.png"
            await asyncio.to_thread(appear, path, number)
            async with self.waits.waiting("a picture's rendering in the mirror"):
                async with self.waits.waiting("a new picture in the mirror"):
                    await _there(self._mirrored / f"{path.name}.dfc")
                await _there(self._mirrored / f"{path.name}.png")
            await asyncio.sleep(EVERY)
            path.unlink()


async def _there(path: Path) -> None:
    """Wait until there is something in a file.  Raises TimeoutError."""
    async with asyncio.timeout(GIVEN_UP):
        while not (path.exists() and path.stat().st_size):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(LOOK)


def appear(path: Path, seed: int) -> None:
    """Have a small picture appear at once."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(png_bytes(drawn(seed, SIDE)))
    part.replace(path)


def drawn(seed: int, side: int) -> NDArray[np.uint8]:
    """Return a picture of so many pixels a side, a multiple of 8."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 200, (8, 8, 3), np.uint8)
    detail = generator.integers(0, 50, (side, side, 3), np.uint8)
    blocks: NDArray[np.uint8] = np.kron(coarse, np.ones((side // 8, side // 8, 1), np.uint8))
    picture: NDArray[np.uint8] = blocks + detail
    return picture
