"""A folder of pictures over 2 kB/s that is cut ten times, and meanwhile changes.

Real daemons: ``diffc-server``, and ``diffc-client mirror`` behind a link that is bad in ways that
are the same every time.  Once the mirror dials the sender, and once the sender dials the mirror.
While streams are under way pictures are added, one of them slowly, as by a camera, and one is
replaced.

    python -m benchmarks.load_mirror
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from diffc_stream.codec import Encoder
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.analytic import GaussianSource
from diffc_stream.diffusion.model import Model
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import Impairment

RATE = 2000.0
"""Bytes per second."""
DELAY = 0.1
"""Seconds each way."""
CUTS = 10
STREAMS, LENGTH = 20, 10_000
"""Ready ones, and their bytes, about."""
PICTURES, SIDE = 3, 128
"""Those that are encoded when they are asked for, and the pixels a side of all."""
LATER = (1000, 2000, 3000)
"""Seeds of those that are added, the second in the place of another."""
PATIENCE = 900.0
"""Seconds that all of it may take."""
SLOWLY = 3.0
"""Seconds that a camera takes for a file."""

Report = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Seen:
    """What somebody sees who looks into the mirror's folder all the time."""

    first: dict[str, float] = field(default_factory=dict)
    """Seconds until there was something of a picture."""
    whole: dict[str, float] = field(default_factory=dict)
    """Seconds until there was all of it."""


async def measure(report: Report) -> dict[str, object]:
    """Return what became of the mirror, who dials being the one or the other."""
    figures: dict[str, object] = {}
    for dialling in (False, True):
        who = "the sender dials" if dialling else "the mirror dials"
        report(who)
        found = await mirrored(report, dialling=dialling)
        figures |= {f"{who}: {name}": figure for name, figure in found.items()}
    return figures


async def mirrored(
    report: Report,
    *,
    dialling: bool,
    rate: float = RATE,
    cuts: int = CUTS,
    streams: int = STREAMS,
    length: int = LENGTH,
    pictures: int = PICTURES,
    delay: float = DELAY,
) -> dict[str, object]:
    """Mirror a folder of ``streams`` and ``pictures`` over a link of ``rate`` bytes per second."""
    with tempfile.TemporaryDirectory() as name:
        folder, kept = Path(name, "sent"), Path(name, "kept")
        served = kept / "camera" if dialling else kept
        report("making the pictures")
        for seed in (*range(streams), *LATER):
            await asyncio.to_thread(stream, length, seed)
        _fill(folder, streams, length, pictures)
        slow = Impairment(rate=rate, delay=delay)
        share = (streams + 4) * length // (cuts + 1)
        drawn = random.Random(20261121)
        places = [drawn.randint(share // 4, 3 * share // 2) for _ in range(cuts)]
        thin = [Impairment(rate=rate, delay=delay, cut_after=place) for place in places]
        back = Impairment(delay=delay)
        report(f"{streams} streams and {pictures} pictures over {rate:g} bytes/s")
        async with _connected(folder, kept, [*thin, slow], back, dialling=dialling) as (link, url):
            began = time.monotonic()
            seen = Seen()
            watching = asyncio.create_task(_watch(served, folder, began, seen))
            changing = asyncio.create_task(_change(folder, link, streams, length, report))
            try:
                async with asyncio.timeout(PATIENCE):
                    await changing
                    await _until_same(folder, served)
            finally:
                watching.cancel()
            seconds = time.monotonic() - began
            needed = {name: await asyncio.to_thread(_fetched, url, name) for name in _names(folder)}
            same = sum(
                (served / name).read_bytes() == data
                for name, data in ((f"{_stem(name)}.dfc", data) for name, data in needed.items())
            )
            carried = link.carried_up if dialling else link.carried_down
            said = link.carried_down if dialling else link.carried_up
            connections = len(link.connections)
        names = [path.name for path in served.iterdir() if path.suffix == ".dfc"]
    return {
        "streams equal byte for byte": {"asked": len(needed), "got": same},
        "files beside them": {"asked": 0, "got": len(names) - len(needed)},
        "cuts": {"asked": cuts, "got": connections - 1},
        "bytes said by the mirror": said,
        # What was replaced had come, and was needed then.
        **_costs(sum(map(len, needed.values())) + length, carried, seconds, rate),
        **_order(seen, streams, seconds),
    }


def _costs(payload: int, carried: int, seconds: float, rate: float) -> dict[str, object]:
    """Return what ``payload`` bytes of streams took of the link and of time."""
    return {
        "bytes of streams": payload,
        "bytes carried over bytes of streams": carried / payload,
        "seconds": seconds,
        "seconds over what the rate allows": seconds / (payload / rate),
    }


def _order(seen: Seen, streams: int, seconds: float) -> dict[str, object]:
    """Return what came before what; what was not seen came after ``seconds``."""
    begun = {f"{number:02}.dfc" for number in range(streams)}
    first = max(seen.first.get(name, seconds) for name in begun)
    return {
        "seconds to the first bytes of all": first,
        "streams whole before all had begun": {
            "asked": 0,
            "got": sum(seen.whole[name] < first for name in begun & seen.whole.keys()),
        },
        "seconds from a new file to its first bytes": seen.first.get("new.dfc", seconds)
        - seen.whole.get("new.dfc asked", 0.0),
    }


async def _change(folder: Path, link: Link, streams: int, length: int, report: Report) -> None:
    """Add, replace and slowly write pictures while others are on their way."""
    total = streams * length

    async def carried(share: float) -> None:
        while link.carried_down + link.carried_up < share * total:  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    await carried(0.2)
    report("a picture is added")
    _put(folder / "new.dfc", stream(length, LATER[0]))
    await carried(0.4)
    report("one is replaced")
    _put(folder / "00.dfc", stream(length, LATER[1]))
    await carried(0.6)
    report("one is added slowly")
    data = stream(length, LATER[2])
    with (folder / "slow.dfc").open("wb") as file:
        for start in range(0, len(data), 1 + len(data) // 10):
            file.write(data[start : start + 1 + len(data) // 10])
            file.flush()
            await asyncio.sleep(SLOWLY / 10)


async def _until_same(folder: Path, kept: Path) -> None:
    """Wait until the mirror says that it has all, and the streams that are ready are the same."""
    while not await asyncio.to_thread(_same, folder, kept):  # noqa: ASYNC110 (nobody tells when)
        await asyncio.sleep(0.25)


def _same(folder: Path, kept: Path) -> bool:
    try:
        known = json.loads((kept / ".mirror.json").read_bytes())["images"]
    except (OSError, ValueError):
        return False
    if {entry["name"] for entry, _, _ in known} != set(_names(folder)):
        return False
    if not all(ended for _, ended, _ in known):
        return False
    return all(
        (kept / name).exists() and (kept / name).read_bytes() == (folder / name).read_bytes()
        for name in _names(folder)
        if name.endswith(".dfc")
    )


async def _watch(kept: Path, folder: Path, began: float, seen: Seen) -> None:
    while True:
        now = time.monotonic() - began
        if (folder / "new.dfc").exists():
            seen.whole.setdefault("new.dfc asked", now)
        for name in _names(folder):
            path = kept / f"{_stem(name)}.dfc"
            size = path.stat().st_size if path.exists() else 0
            if size:
                seen.first.setdefault(name, now)
            if name.endswith(".dfc") and size == (folder / name).stat().st_size:
                seen.whole.setdefault(name, now)
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _connected(
    folder: Path,
    kept: Path,
    thin: list[Impairment],
    back: Impairment,
    *,
    dialling: bool,
) -> AsyncIterator[tuple[Link, str]]:
    """Run a sender and a mirror with a link between them; yield it, and the sender's address."""
    sender = ("diffc_server", str(folder), "--port", "0", "--json", "--no-viewer")
    if not dialling:
        async with (
            _running(*sender) as url,
            Link("127.0.0.1", _port(url), down=thin, up=back) as link,
            _running(
                "diffc_client", "mirror", f"ws://127.0.0.1:{link.port}", str(kept), told=False
            ),
        ):
            yield link, url
        return
    async with (
        _running("diffc_client", "mirror", "--listen", "0", "--json", str(kept)) as listening,
        Link("127.0.0.1", _port(listening), down=back, up=thin) as link,
        _running(*sender, "--dial", f"ws://127.0.0.1:{link.port}/camera") as url,
    ):
        yield link, url


@asynccontextmanager
async def _running(module: str, *arguments: str, told: bool = True) -> AsyncIterator[str]:
    """Run one of the daemons, and yield the line that says where it is, if it is ``told``."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments, "--log-level", "error"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        line = await child.stdout.readline() if told else b"{}"
        if not line:
            raise OSError(f"{module} did not start")
        yield line.decode()
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


def _port(line: str) -> int:
    """Return the port in the line that a daemon prints."""
    facts = json.loads(line)
    return int(facts.get("port") or facts["url"].rpartition(":")[2])


def _fetched(line: str, name: str) -> bytes:
    """Return a stream, straight from the sender."""
    stem = _stem(name)
    url = f"http://127.0.0.1:{_port(line)}/{stem}.dfc"
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        data: bytes = answer.read()
        return data


def _fill(folder: Path, streams: int, length: int, pictures: int) -> None:
    folder.mkdir()
    for number in range(streams):
        _put(folder / f"{number:02}.dfc", stream(length, number))
    for number in range(pictures):
        noise = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(3)), np.float32)
        loud = np.clip(5 * (smooth - 128) + 128, 0, 255).astype(np.uint8)
        Image.fromarray(loud).save(folder / f"photo{number}.png")


@cache
def stream(length: int, seed: int) -> bytes:
    """Return the first ``length`` bytes of the stream of a picture that is drawn."""
    source = GaussianSource(height=SIDE, width=SIDE)
    model = Model(name="gaussian", fingerprint=source.fingerprint, denoiser=source)
    picture = octaves.picture(source.sample(np.random.default_rng(seed)))
    return b"".join(Encoder(picture, model, target_bytes=length))


def _put(path: Path, data: bytes) -> None:
    """Have a file appear at once, as a careful program does."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _stem(name: str) -> str:
    """Return a picture's name without the suffix that its stream has anyway."""
    return name.removesuffix(".dfc")


def main() -> None:
    """Run the section alone."""
    figures = asyncio.run(measure(lambda what: print(what, file=sys.stderr, flush=True)))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
