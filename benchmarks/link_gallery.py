"""A gallery over one link: how good its pictures are, kilobyte by kilobyte.

All pictures are opened at once over a slow link, by the real daemons, and whatever has arrived of
each is decoded.  Beside the sender's own choice of what to send next there is round robin: frames
of the same lengths, always of the picture that has had the fewest bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from diffc_client.storage.partial_stream import MemoryStream
from diffc_server.websocket import outbound_stream
from diffc_stream.codec import Decoder, Encoder
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import NothingDecodable
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture
from diffc_stream.session import interleaving
from diffc_stream.session.coding import data_size
from diffc_stream.transport.impairment import Impairment

from .link_transfers import linked

Picture = NDArray[np.uint8]
Order = Literal["gain", "round robin"]
KILOBYTE = 1000
STREAM = 8000
"""Bytes encoded of every picture."""


@dataclass(slots=True, kw_only=True)
class Gallery:
    """Pictures, and their streams on disk."""

    folder: Path
    """Of the streams, ``NUMBER.dfc``."""
    pictures: list[Picture]
    streams: list[bytes]

    @classmethod
    def of(
        cls, files: Sequence[Path], model: Model, folder: Path, shown: Callable[[int, int], None]
    ) -> Gallery:
        """Encode the pictures in ``files`` into ``folder``."""
        gallery = cls(folder=folder, pictures=[], streams=[])
        for number, file in enumerate(files):
            picture = load_picture(file)
            stream = b"".join(Encoder(picture, model, target_bytes=STREAM))
            (folder / f"{number}.dfc").write_bytes(stream)
            gallery.pictures.append(picture)
            gallery.streams.append(stream)
            shown(number + 1, len(files))
        return gallery


@dataclass(slots=True, kw_only=True)
class Shown:
    """What a receiver of a gallery sees."""

    order: Order
    psnr: list[list[float]]
    """In dB, of every picture after every kilobyte on the wire; what has not begun is grey."""

    @property
    def means(self) -> list[float]:
        """Mean PSNR after every kilobyte."""
        return [sum(row) / len(row) for row in self.psnr]

    def all_reach(self, quality: float) -> int | None:
        """Return after how many bytes, in kilobytes, all pictures are at least so good."""
        for number, row in enumerate(self.psnr, start=1):
            if min(row) >= quality:
                return number * KILOBYTE
        return None


@dataclass(slots=True)
class _Wire:
    """What has come over a link, all streams together."""

    carried: int = 0
    """Bytes of frames, with their heads and checksums."""


class _Counted(MemoryStream):
    """A stream that remembers how much had come over the link when it grew."""

    def __init__(self, wire: _Wire) -> None:
        super().__init__()
        self._wire = wire
        self.lengths: list[tuple[int, int]] = []
        """Bytes over the link, and bytes held then."""

    def append(self, data: bytes) -> None:
        # Not what the proxy says: that is ahead by what has come of the next frame.
        size = data_size(1, self.length, len(data))
        self._wire.carried += size + (2 if size < 126 else 4)
        super().append(data)
        self.lengths.append((self._wire.carried, self.length))

    def held(self, carried: int) -> int:
        """Return the bytes held when so many had come over the link."""
        return max((length for at, length in self.lengths if at <= carried), default=0)


async def arrivals(
    gallery: Gallery, order: Order, *, rate: float, delay: float, kilobytes: int
) -> list[list[int]]:
    """Return how much of every picture is there after every kilobyte."""
    # The way up is as fast as it likes, so that requests that fit a packet come at once, as they
    # would: this proxy knows bytes, not packets.
    down, up = Impairment(rate=rate, delay=delay), Impairment(delay=delay)
    with _ordered(order):
        async with linked(gallery.folder, down=down, up=up) as (sender, _link):
            await sender.catalogue()
            wire = _Wire()
            kept = [_Counted(wire) for _ in gallery.streams]
            receiving = [
                asyncio.create_task(sender.receive(f"{number}.dfc", stream))
                for number, stream in enumerate(kept)
            ]
            # A kilobyte more, for what is told when it has come whole.
            seconds = (kilobytes + 1) * KILOBYTE / rate + 4 * delay
            done, under_way = await asyncio.wait(receiving, timeout=seconds)
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
            for task in done:
                task.result()
    marks = [KILOBYTE * number for number in range(1, kilobytes + 1)]
    return [[stream.held(mark) for stream in kept] for mark in marks]


@contextlib.contextmanager
def _ordered(order: Order) -> Iterator[None]:
    if order == "gain":
        yield
        return

    def in_turn(outlook: interleaving.Outlook, *, alone: bool) -> interleaving.Turn | None:
        turn = interleaving.turn(outlook, alone=alone)
        return turn and replace(turn, gain=-float(outlook.position))

    with mock.patch.object(outbound_stream, "turn", in_turn):
        yield


class Eye:
    """Tells how good a beginning of a picture's stream is, and remembers it."""

    def __init__(self, gallery: Gallery, model: Model) -> None:
        self._gallery = gallery
        self._model = model
        self._known: dict[tuple[int, int], float] = {}

    def look(self, lengths: Sequence[Sequence[int]], shown: Callable[[int, int], None]) -> None:
        """Decode all that ``lengths``, by kilobyte and picture, name."""
        for number in range(len(self._gallery.pictures)):
            wanted = sorted({row[number] for row in lengths})
            self._decode(number, wanted)
            shown(number + 1, len(self._gallery.pictures))

    def psnr(self, number: int, length: int) -> float:
        """Return the PSNR in dB of the first ``length`` bytes of picture ``number``."""
        return self._known[number, length]

    def _decode(self, number: int, lengths: Sequence[int]) -> None:
        picture, stream = self._gallery.pictures[number], self._gallery.streams[number]
        decoder, fed = Decoder([self._model]), 0
        for length in lengths:
            decoder.feed(stream[fed:length])
            fed = length
            if (number, length) not in self._known:
                try:
                    image = decoder.render().image
                except NothingDecodable:
                    image = np.full_like(picture, 128)
                self._known[number, length] = psnr(image, picture)


async def compare(
    gallery: Gallery,
    model: Model,
    *,
    rate: float,
    delay: float,
    kilobytes: int,
    shown: Callable[[int, int], None],
) -> list[Shown]:
    """Return what a receiver sees by the sender's choice, and by round robin."""
    orders: tuple[Order, ...] = ("gain", "round robin")
    lengths = [
        await arrivals(gallery, order, rate=rate, delay=delay, kilobytes=kilobytes)
        for order in orders
    ]
    eye = Eye(gallery, model)
    await asyncio.to_thread(eye.look, [row for rows in lengths for row in rows], shown)
    return [
        Shown(
            order=order,
            psnr=[[eye.psnr(n, length) for n, length in enumerate(row)] for row in rows],
        )
        for order, rows in zip(orders, lengths, strict=True)
    ]
