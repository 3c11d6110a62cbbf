"""What receivers see of a broadcast that loses packets, and of thumbnails sent like it.

    python -m benchmarks.packets --images DIR [--every 3] [--size 200] [--json]

Each picture is sent once, by the plan for a loss that nobody knows and by the plan for the loss
that there is.  Receivers lose packets at random (or in bursts, ``--burst``), and their pictures are
measured after so many bytes sent: in dB, and behind the picture that as many bytes as arrived give
as a stream's first bytes.  Receivers that have no picture yet are counted, and left out of means.
Then 200 to 1,000 bytes sent, beside WebP and JPEG: the best thumbnail in k of the packets, k
chosen for the loss, any k of them enough; there, no picture is a grey one.  Figures, never a
verdict.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from math import comb, log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from diffc_stream.codec import Decoder, Encoder, Patchwork
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import NothingDecodable
from diffc_stream.metrics import psnr
from diffc_stream.packets import Broadcast, Plan, Receiver
from diffc_stream.packets.grammar import HEAD
from diffc_stream.picture import load_picture

from .command import count, exit_code
from .peers import PEERS, Search, enlarged
from .pictures import commit, machine, pictures

Pixels = NDArray[np.uint8]

LOSSES = (0.0, 0.1, 0.3, 0.5)
SENT = (1000, 2000, 4000, 8000)
FEW = (200, 400, 600, 1000)
"""Bytes sent, beside thumbnails."""
MOST_FEW = 6
"""Packets of which all that may arrive is looked at."""
REDUCTIONS = (4, 8, 16, 32)
"""Of thumbnails."""
GREY = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one receiver has after so many bytes sent."""

    image: str
    planned: bool
    """Whether the plan knows the loss."""
    loss: float
    sent: int
    received: int
    """Bytes of packets that arrived."""
    psnr: float | None
    predicted: float | None
    prefix: float
    """PSNR of the stream's first ``received`` bytes."""
    all_there: float
    """PSNR of the stream's first ``sent`` bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """The expected PSNR of one picture after few bytes sent."""

    image: str
    codec: str
    loss: float
    sent: int
    psnr: float


class Prefixes:
    """The PSNR of a stream's first bytes, measured at some sizes and interpolated between them."""

    def __init__(self, stream: bytes, original: Pixels, model: Model) -> None:
        self._sizes: list[float] = []
        self._reached: list[float] = []
        decoder = Decoder([model])
        for size in np.unique(np.geomspace(60, len(stream), 20).astype(int)):
            decoder.feed(stream[decoder.bytes_received : size])
            self._sizes.append(log(size))
            self._reached.append(psnr(decoder.render().image, original))

    def psnr(self, size: float) -> float:
        """Return the PSNR of the first ``size`` bytes."""
        return float(np.interp(log(max(1.0, size)), self._sizes, self._reached))


def arrivals(number: int, loss: float, burst: float, drawn: np.random.Generator) -> list[bool]:
    """Return which of so many packets arrive; ``burst`` is how many are lost in a row, on average.

    With 1 they are lost independently; otherwise by a Markov chain of two states (Gilbert).
    """
    if burst <= 1 or not loss:
        return [bool(value) for value in drawn.random(number) >= loss]
    arrived, bad = [], bool(drawn.random() < loss)
    for value in drawn.random(number):
        arrived.append(not bad)
        bad = bool(value >= 1 / burst) if bad else bool(value < loss / (1 - loss) / burst)
    return arrived


def receive(
    name: str,
    original: Pixels,
    broadcast: Broadcast,
    model: Model,
    prefixes: Prefixes,
    *,
    loss: float,
    planned: bool,
    arrived: Sequence[bool],
    marks: Sequence[int],
) -> Iterator[Seen]:
    """Yield what a receiver has at each of ``marks`` bytes sent."""
    receiver, patchwork, received = Receiver(), Patchwork([model]), 0
    packets = list(broadcast)
    for mark, before in zip(marks, (0, *marks), strict=False):
        for number in range(before // broadcast.size, min(mark // broadcast.size, len(packets))):
            if arrived[number]:
                receiver.take(packets[number])
                received += broadcast.size
        reached, told = picture(receiver, patchwork, original)
        yield Seen(
            image=name,
            planned=planned,
            loss=loss,
            sent=mark,
            received=received,
            psnr=reached,
            predicted=told,
            prefix=prefixes.psnr(received),
            all_there=prefixes.psnr(mark),
        )


def picture(
    receiver: Receiver, patchwork: Patchwork, original: Pixels
) -> tuple[float | None, float | None]:
    """Return the PSNR of a receiver's picture and the one it predicts, or None for both."""
    parts = list(receiver.newest.parts()) if receiver.newest else []
    try:
        rendering = patchwork.decoder(parts).render()
    except NothingDecodable:
        return None, None
    return psnr(rendering.image, original), rendering.predicted_psnr


Known = dict[tuple[bytes | int, ...], float]
"""The PSNR of the picture of some parts of a stream; grey without any."""


def ours(
    original: Pixels, broadcast: Broadcast, model: Model, known: Known, loss: float, sent: int
) -> float:
    """Return the expected PSNR after a few packets, over all that may arrive of them.

    What is ``known`` is not computed again.
    """
    packets = list(broadcast)[: sent // broadcast.size]
    total = 0.0
    for arrived in product((False, True), repeat=len(packets)):
        receiver = Receiver()
        for packet, there in zip(packets, arrived, strict=True):
            if there:
                receiver.take(packet)
        parts = tuple(receiver.newest.parts()) if receiver.newest else ()
        if parts not in known:
            reached, _ = picture(receiver, Patchwork([model]), original)
            known[parts] = known[()] if reached is None else reached
        lost = len(packets) - sum(arrived)
        total += loss**lost * (1 - loss) ** sum(arrived) * known[parts]
    return total


def theirs(original: Pixels, name: str, piece: int, most: int) -> list[float]:
    """Return the best PSNR of thumbnails of ``name`` in 1 to ``most`` pieces; -1 if none fits."""
    height, width = original.shape[:2]
    peer = next(peer for peer in PEERS if peer.name == name)
    reached = [-1.0] * most
    for reduction in REDUCTIONS:
        size = (max(1, width // reduction), max(1, height // reduction))
        small = Image.fromarray(original).resize(size, Image.Resampling.LANCZOS)
        for family in peer.families:
            search = Search(small, peer, family, reduction)
            for pieces in range(1, most + 1):
                if found := search.within(pieces * piece):
                    value = psnr(enlarged(found[0], height, width), original)
                    reached[pieces - 1] = max(reached[pieces - 1], value)
    return reached


def coded(reached: Sequence[float], grey: float, loss: float, packets: int) -> float:
    """Return the expected PSNR of a thumbnail in k of ``packets``, for the best k."""
    best = grey
    for pieces in range(1, packets + 1):
        arrive = sum(
            comb(packets, k) * (1 - loss) ** k * loss ** (packets - k)
            for k in range(pieces, packets + 1)
        )
        if reached[pieces - 1] > 0:
            best = max(best, arrive * reached[pieces - 1] + (1 - arrive) * grey)
    return best


def measure(
    path: Path, model: Model, arguments: argparse.Namespace
) -> tuple[list[Seen], list[Thumbnail]]:
    """Measure one picture."""
    original = reduced(load_picture(path), arguments.max_side)
    marks = sorted(arguments.sent)
    stream = b"".join(Encoder(original, model, target_bytes=max(marks)))
    prefixes = Prefixes(stream, original, model)
    drawn = np.random.default_rng([arguments.seed, *path.name.encode()])
    seen: list[Seen] = []
    for loss, planned in product(LOSSES, (False, True)):
        plan = Plan.for_loss(loss if planned else None)
        broadcast = Broadcast(stream, size=arguments.size, budget=max(marks), plan=plan)
        for _ in range(arguments.receivers if loss else 1):
            arrived = arrivals(max(marks) // arguments.size, loss, arguments.burst, drawn)
            seen += receive(
                path.name,
                original,
                broadcast,
                model,
                prefixes,
                loss=loss,
                planned=planned,
                arrived=arrived,
                marks=marks,
            )
    return seen, list(thumbnails(path.name, original, stream, model, arguments.size))


def thumbnails(
    name: str, original: Pixels, stream: bytes, model: Model, size: int
) -> Iterator[Thumbnail]:
    """Yield what few bytes give, by codec."""
    grey = psnr(np.full_like(original, GREY), original)
    most = max(FEW) // size
    known: Known = {(): grey}
    reached = {peer: theirs(original, peer, size - HEAD, most) for peer in ("WebP", "JPEG")}
    for loss, sent in product(LOSSES, FEW):
        if 1 <= sent // size <= MOST_FEW:
            plans = {"ours": Plan(), "ours, planned": Plan.for_loss(loss)}
            values = {
                codec: ours(
                    original, Broadcast(stream, size=size, plan=plan), model, known, loss, sent
                )
                for codec, plan in plans.items()
            }
            values |= {
                peer: coded(found, grey, loss, sent // size) for peer, found in reached.items()
            }
            for codec, value in values.items():
                yield Thumbnail(image=name, codec=codec, loss=loss, sent=sent, psnr=value)


def reduced(original: Pixels, side: int | None) -> Pixels:
    """Return a picture whose longer side has at most ``side`` pixels."""
    longer = max(original.shape[:2])
    if side is None or longer <= side:
        return original
    height, width = (max(1, round(size * side / longer)) for size in original.shape[:2])
    small = Image.fromarray(original).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(small)


def tables(seen: Sequence[Seen], few: Sequence[Thumbnail]) -> str:
    """Return the figures as Markdown."""
    marks = sorted({one.sent for one in seen})
    lines = [
        "PSNR, and dB behind as many first bytes as arrived; without a picture, share of receivers",
        "",
        "| plan, loss | " + " | ".join(f"{mark} bytes sent" for mark in marks) + " |",
        "|---" * (len(marks) + 1) + "|",
    ]
    for planned, loss in product((False, True), sorted({one.loss for one in seen})):
        cells = []
        for mark in marks:
            of = [s for s in seen if (s.planned, s.loss, s.sent) == (planned, loss, mark)]
            shown = [s for s in of if s.psnr is not None]
            if not shown:
                cells.append("-")
                continue
            reached = float(np.mean([s.psnr for s in shown if s.psnr is not None]))
            behind = float(np.mean([s.prefix for s in shown])) - reached
            none = 1 - len(shown) / len(of)
            cells.append(f"{reached:.2f}, {behind:.2f}, {none:.0%}")
        name = "planned" if planned else "unknown"
        lines.append(f"| {name}, {loss:.0%} | " + " | ".join(cells) + " |")
    told = [s.predicted - s.psnr for s in seen if s.psnr is not None and s.predicted is not None]
    lines += ["", f"predicted PSNR: off by {np.mean(np.abs(told)):.2f} dB ({np.mean(told):+.2f})"]
    lines += ["", "Few bytes: PSNR, no picture counted as grey", ""]
    sizes = sorted({one.sent for one in few})
    lines.append("| codec, loss | " + " | ".join(f"{size} bytes" for size in sizes) + " |")
    lines.append("|---" * (len(sizes) + 1) + "|")
    for loss, codec in product(
        sorted({one.loss for one in few}), dict.fromkeys(one.codec for one in few)
    ):
        by = [t for t in few if (t.codec, t.loss) == (codec, loss)]
        cells = [f"{np.mean([t.psnr for t in by if t.sent == size]):.2f}" for size in sizes]
        lines.append(f"| {codec}, {loss:.0%} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure a folder of pictures."""
    arguments = parse_arguments()
    model = default_model()
    seen: list[Seen] = []
    few: list[Thumbnail] = []
    with Progress(console=Console(stderr=True)) as progress:
        for path in progress.track(pictures(arguments.images, arguments.every)):
            more, thumbs = measure(path, model, arguments)
            seen += more
            few += thumbs
    if arguments.json:
        record = {
            "commit": commit(),
            "machine": machine(),
            "model": model.fingerprint,
            "size": arguments.size,
            "burst": arguments.burst,
            "seen": [asdict(one) for one in seen],
            "thumbnails": [asdict(one) for one in few],
        }
        print(json.dumps(record))
    else:
        print(tables(seen, few))


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.packets",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--images", type=Path, required=True, metavar="DIR")
    add("--every", type=count, default=1, metavar="N", help="take every N-th picture (1)")
    add("--size", type=count, default=200, metavar="BYTES", help="of a packet (200)")
    add("--sent", type=count, nargs="+", default=SENT, metavar="BYTES", help=f"{SENT}")
    add("--receivers", type=count, default=2, metavar="N", help="at each loss and picture (2)")
    add("--burst", type=float, default=1.0, metavar="N", help="packets lost in a row (1)")
    add("--max-side", type=count, metavar="PIXELS", help="reduce pictures to that")
    add("--seed", type=int, default=0, metavar="N", help="of what is lost (0)")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(exit_code("benchmarks.packets", main))
