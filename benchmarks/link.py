"""What the protocol costs, and what it survives, on links that are slow, late and torn.

    python -m benchmarks.link [--json] [--images FOLDER [FOLDER ...]]
    python -m benchmarks.link --only slow --seconds 60

Real daemons on this machine, with a bad link between them; nothing of it is simulated but the link.
All of it takes some minutes.

cuts      a short stream, cut after every byte that the link carries, and a long one, cut at 200
          random places: what is there in the end, and how many bytes were taken twice
slow      streams at 8 and 64 kbit/s with a round trip of 600 ms, kept up for 300 s, at once:
          whether the connection lives, and which share of the bytes is payload
stop      what still arrives after STOP at 512 kbit/s
overhead  bytes on the wire over bytes of the stream, set-up apart
gallery   32 pictures at once over 4 kB/s: how good they are after every kilobyte, by the sender's
          own order and by round robin, and after how many bytes all reach 18 dB; with --images
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from diffc_stream.errors import UnreadablePicture
from diffc_stream.flags import integer

from . import link_transfers as transfers
from .command import exit_code

SECTIONS = ("cuts", "slow", "stop", "overhead", "gallery")
ROUND_TRIP = 0.6
SLOW = (1000.0, 8000.0)
"""Bytes per second: 8 and 64 kbit/s."""
FAST = 64_000.0
"""512 kbit/s."""
LENGTHS = (1024, 4096)
PICTURES = 32
GALLERY_RATE = 4000.0
GALLERY_DELAY = 0.1
RECOGNISABLE = 18.0
CUTS = 200

Facts = dict[str, Any]
"""What is printed as JSON."""
Watch = Callable[[str], Callable[[int, int], None]]
"""Names a piece of work, and returns what is told how much of how much is done."""


async def cuts(folder: Path, watch: Watch, _: argparse.Namespace) -> Facts:
    """Cut a short stream everywhere and a long one at random."""
    everywhere = await transfers.cut_everywhere(folder, watch("cuts at every byte"))
    at_random = await transfers.cut_at_random(folder, CUTS, 0, watch("cuts at random"))
    return {"every_byte": asdict(everywhere), "random": asdict(at_random)}


async def slow(folder: Path, watch: Watch, options: argparse.Namespace) -> Facts:
    """Keep streams up on slow links, all at once."""
    shown = watch(f"slow links, {options.seconds:g} s")
    links = [
        asyncio.create_task(
            transfers.slow(folder, rate=rate, round_trip=ROUND_TRIP, seconds=options.seconds)
        )
        for rate in SLOW
    ]
    for second in range(options.seconds + 1):
        await asyncio.wait(links, timeout=1.0)
        shown(second, options.seconds)
    results = [await link for link in links]
    return {
        f"{8 * result.rate / 1000:g} kbit/s": {
            **asdict(result),
            "payload_share": result.share,
            "payload_share_of_both_ways": result.share_of_both,
        }
        for result in results
    }


async def stop(folder: Path, watch: Watch, _: argparse.Namespace) -> Facts:
    """Say STOP in the middle of a stream, on links of three round trips."""
    shown, delays = watch("stops"), (0.01, 0.1, 0.3)
    results = []
    for number, delay in enumerate(delays, start=1):
        results.append(await transfers.stopped(folder, rate=FAST, delay=delay, after=3.0))
        shown(number, len(delays))
    return {
        f"{2000 * delay:g} ms": asdict(result)
        for delay, result in zip(delays, results, strict=True)
    }


async def overhead(folder: Path, watch: Watch, _: argparse.Namespace) -> Facts:
    """Weigh what a stream costs on the wire."""
    shown, facts = watch("overhead"), {}
    for number, length in enumerate(LENGTHS, start=1):
        result = await transfers.overhead(folder, length)
        facts[f"{length} bytes"] = {**asdict(result), "ratio": result.ratio}
        shown(number, len(LENGTHS))
    return facts


async def gallery(folder: Path, watch: Watch, options: argparse.Namespace) -> Facts:
    """Watch a gallery sharpen."""
    # Late, because they bring models, which everything else here can do without.
    from diffc_stream.diffusion.collection import default_model

    from . import link_gallery
    from .pictures import pictures

    files = [file for images in options.images for file in pictures(images)][:PICTURES]
    if len(files) < 2:
        raise UnreadablePicture("a gallery takes pictures: --images FOLDER [FOLDER ...]")
    model = default_model()
    images = link_gallery.Gallery.of(files, model, folder, watch("encoding"))
    own, others = await link_gallery.compare(
        images,
        model,
        rate=GALLERY_RATE,
        delay=GALLERY_DELAY,
        kilobytes=options.kilobytes,
        shown=watch("decoding"),
    )
    margins = [mine - theirs for mine, theirs in zip(own.means, others.means, strict=True)]
    return {
        "pictures": len(files),
        "smallest_margin": min(margins),
        "kilobyte_of_it": margins.index(min(margins)) + 1,
        "orders": {
            shown.order: {
                "mean_psnr": [round(mean, 3) for mean in shown.means],
                "worst_psnr": [round(min(row), 3) for row in shown.psnr],
                "all_reach_18_dB_after_bytes": shown.all_reach(RECOGNISABLE),
            }
            for shown in (own, others)
        },
    }


async def measure(options: argparse.Namespace, watch: Watch) -> Facts:
    """Return the facts of the sections asked for."""
    sections = {
        "cuts": cuts,
        "slow": slow,
        "stop": stop,
        "overhead": overhead,
        "gallery": gallery,
    }
    facts: Facts = {}
    for name in options.only:
        if name == "gallery" and not options.images and options.only == list(SECTIONS):
            continue  # nobody asked for it by name
        with tempfile.TemporaryDirectory() as folder:
            facts[name] = await sections[name](Path(folder), watch, options)
    return facts


def lines(facts: Facts) -> list[str]:
    """Return the facts for people."""
    said = []
    for name, result in facts.get("cuts", {}).items():
        said.append(
            f"cuts ({name}): {result['equal']} of {result['transfers']} streams equal, over "
            f"{result['connections']} connections; {result['bytes_taken']:,} bytes taken of "
            f"{result['bytes_wanted']:,} wanted"
        )
    for name, result in facts.get("slow", {}).items():
        life = "alive" if result["alive"] else "DEAD"
        said.append(
            f"slow ({name}): {life} after {result['seconds']:g} s, payload "
            f"{result['payload_share']:.1%} of the way down, "
            f"{result['payload_share_of_both_ways']:.1%} of both; frames of {result['frame']:.0f} "
            f"bytes, window {result['window']:,}"
        )
    for name, result in facts.get("stop", {}).items():
        said.append(
            f"stop (512 kbit/s, round trip {name}): {result['late']:,} bytes in "
            f"{result['seconds']:.2f} s; the window is {result['window']:,}"
        )
    for name, result in facts.get("overhead", {}).items():
        said.append(
            f"overhead ({name}): {result['ratio']:.4f}; down {result['down']:,}, up {result['up']}"
        )
    if "gallery" in facts:
        said += _gallery_lines(facts["gallery"])
    return said


def _gallery_lines(result: Facts) -> list[str]:
    margin, kilobyte = result["smallest_margin"], result["kilobyte_of_it"]
    count = result["pictures"]
    said = [f"gallery of {count}: {margin:+.3f} dB beside round robin, at kilobyte {kilobyte}"]
    for order, shown in result["orders"].items():
        means = shown["mean_psnr"]
        places = [n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64) if n <= len(means)]
        row = ", ".join(f"{n} kB {means[n - 1]:.2f}" for n in places)
        reached = shown["all_reach_18_dB_after_bytes"]
        all_there = f"{reached:,} bytes" if reached else "not within these"
        said.append(f"  {order}: mean PSNR {row}; all reach 18 dB: {all_there}")
    return said


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.link",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument(
        "--seconds", type=integer(1, 86_400), default=300, help="of slow (%(default)g)"
    )
    parser.add_argument(
        "--images", type=Path, nargs="+", default=[], help="folders of pictures for the gallery"
    )
    parser.add_argument(
        "--kilobytes", type=integer(1, 1000), default=64, help="that the gallery gets (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with Progress(console=Console(stderr=True), transient=True) as progress:

        def watch(name: str) -> Callable[[int, int], None]:
            task = progress.add_task(name)
            return lambda done, of: progress.update(task, completed=done, total=of)

        facts = asyncio.run(measure(options, watch))
    print(json.dumps(facts) if options.json else "\n".join(lines(facts)))


if __name__ == "__main__":
    sys.exit(exit_code("benchmarks.link", main))
