"""Every kind of abuse at once, over and over, with honest ones beside it: who is still served?

    python -m benchmarks.abuse [--json] [--minutes 30] [--kinds idle,pongs]

One real sender (TLS, tokens, limits as docs/security.md advises), one real mirror that senders
dial (``--delete --png``), and a camera that does; on this machine alone, at ports that the system
chooses, in a folder that is removed in the end (Linux: what daemons take is read from /proc).
Adversaries run in processes of their own that let everybody else go first; each kind does as much
as its docstring says.  An honest receiver asks for ready streams, the catalogue, the rest of a
stream and new pictures all the while, and new pictures come to the mirror.

For some time before, and after, there are only the honest ones.  Figures are printed and never
asserted; the machine's load, and who caused it, is among them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from diffc_stream.flags import number

from .abuse_adversary import MIRROR, SENDER, Abuse, Orders
from .abuse_gauges import Gauge, Processor
from .abuse_honest import Camera, Receiver, Waits
from .abuse_scene import Daemons, Scene
from .command import exit_code
from .load import Facts, table

KINDS = tuple(dict.fromkeys([*SENDER, *MIRROR]))
MOST_WAIT = 2.0
"""Seconds that an honest receiver should wait at most."""
ALONE, SETTLING = 20.0, 90.0
"""Seconds before and after; idle connections are ended after 60."""
LOOK = 0.5
"""Seconds between looks at what daemons take."""
TELL = 30.0
"""Seconds between lines of progress."""
MOST_MEMORY = 6 * 2**30
"""Bytes of a daemon at which the pressure is ended early: the machine is not ours alone."""
ENDING = 20.0
"""Seconds that adversaries get to end."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is done."""

    kinds: Sequence[str] = KINDS
    seconds: float = 1800.0
    alone: float = ALONE
    settling: float = SETTLING
    share: float = 1.0
    """Of the usual numbers of connections."""


def kinds(text: str) -> list[str]:
    """Return the names in a comma-separated list.  Raises ArgumentTypeError for others."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in KINDS:
            known = ", ".join(KINDS)
            raise argparse.ArgumentTypeError(f"there is no kind {name!r}, only {known}")
    return names


async def measure(plan: Plan, report: Report, **sizes: int) -> Facts:
    """Abuse, and return what came of it; ``sizes`` are those of :meth:`Scene.make`."""
    with tempfile.TemporaryDirectory(prefix="diffc-abuse-") as name:
        report("making folders, tokens and a certificate")
        scene = await asyncio.to_thread(Scene.make, Path(name), **sizes)
        report("starting a sender, a mirror and a camera")
        async with scene.daemons() as daemons:
            return await _Run(plan, report, scene, daemons).measure()


class _Run:
    """One run, with everything up."""

    def __init__(self, plan: Plan, report: Report, scene: Scene, daemons: Daemons) -> None:
        self._plan = plan
        self._report = report
        self._scene = scene
        self._daemons = daemons
        self._gauges = {
            name: Gauge(process.pid, scene.log(name))
            for name, process in (("sender", daemons.sender), ("mirror", daemons.mirror))
        }
        front = scene.front(daemons.sender.port)
        self._receiver = Receiver(front, scene.served, scene.ready)
        self._camera = Camera(scene.camera, scene.mirrored / "camera")
        self._tallies: dict[str, dict[str, object]] = {}
        self._pids = {
            "sender": daemons.sender.pid,
            "mirror": daemons.mirror.pid,
            "camera": daemons.camera.pid,
            "honest receiver": os.getpid(),
        }
        self._enough = asyncio.Event()

    async def measure(self) -> Facts:
        """Go through the phases."""
        plan = self._plan
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(self._receiver.run()),
                tasks.create_task(self._camera.run()),
                tasks.create_task(self._look()),
            ]
            self._phase("alone", plan.alone)
            await asyncio.sleep(plan.alone)
            for gauge in self._gauges.values():
                gauge.begin()
            self._phase("abused", plan.seconds)
            seconds, shares = await self._abuse()
            load = os.getloadavg()
            self._phase("afterwards", plan.settling)
            await asyncio.sleep(plan.settling)
            for task in beside:
                task.cancel()
        for gauge in self._gauges.values():
            gauge.look()
        touched, grown = await asyncio.gather(
            asyncio.to_thread(self._scene.touched), asyncio.to_thread(self._scene.grown)
        )
        return self._facts(seconds, shares, load, touched, grown)

    def _phase(self, name: str, seconds: float) -> None:
        self._report(f"{name}: {seconds:g} s")
        self._receiver.waits.phase = self._camera.waits.phase = name

    async def _look(self) -> None:
        while True:
            for gauge in self._gauges.values():
                if gauge.look().memory > MOST_MEMORY:
                    self._enough.set()
            await asyncio.sleep(LOOK)

    async def _abuse(self) -> tuple[float, dict[str, float]]:
        """Have all adversaries at work; return for how long, and who used the processors."""
        began = time.monotonic()
        async with (
            self._adversaries("sender", SENDER) as one,
            self._adversaries("mirror", MIRROR) as other,
        ):
            pids = self._pids | {name: pid for name, pid in (one, other) if pid}
            before = Processor.look(pids)
            while (left := began + self._plan.seconds - time.monotonic()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, TELL)):
                        await self._enough.wait()
                self._tell(time.monotonic() - began)
                if self._enough.is_set():
                    self._report("ended early: a daemon takes too much memory")
                    break
            return time.monotonic() - began, Processor.look(pids).since(before)

    def _tell(self, seconds: float) -> None:
        parts = [f"{seconds:.0f} s"]
        for name, gauge in self._gauges.items():
            now = gauge.last
            parts.append(
                f"{name} {now.memory / 1e6:.0f} MB, {now.descriptors} descriptors, "
                f"{now.threads} threads, {now.log_lines} lines"
            )
        waits = self._receiver.waits
        worst, failed = waits.worst("abused"), len(waits.failures["abused"])
        self._report(f"{'; '.join(parts)}; worst wait {worst:.2f} s, {failed} failed")

    @asynccontextmanager
    async def _adversaries(
        self, target: str, known: Mapping[str, Abuse]
    ) -> AsyncIterator[tuple[str, int]]:
        """Run those of one daemon; yield what to call them, and their process."""
        name = f"adversaries of the {target}"
        chosen = tuple(kind for kind in self._plan.kinds if kind in known)
        if not chosen:
            yield name, 0
            return
        process = getattr(self._daemons, target)
        orders = Orders(
            target=target,
            kinds=chosen,
            front=self._scene.front(process.port, pushed=target == "mirror"),
            prey=self._scene.prey(self._daemons.sender.model),
            seconds=self._plan.seconds + ENDING,
            share=self._plan.share,
        )
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "diffc_benchmarks.abuse_adversary"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        try:
            child.stdin.write(f"{orders.json()}\n".encode())
            await child.stdin.drain()
            yield name, child.pid
            child.stdin.close()
            said = b""
            with suppress(TimeoutError):
                async with asyncio.timeout(ENDING):
                    said, _ = await child.communicate()
            if not said:
                raise OSError(f"the {name} do not say what came of it")
            self._tallies[target] = json.loads(said)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()

    def _facts(
        self,
        seconds: float,
        shares: dict[str, float],
        load: tuple[float, float, float],
        touched: list[str],
        grown: dict[str, int],
    ) -> Facts:
        receiver, camera = self._receiver, self._camera
        stolen = sum(
            int(str(tally["stolen"]))
            for tallies in self._tallies.values()
            for tally in tallies.values()
            if isinstance(tally, dict)
        )
        return {
            "honest receiver": {
                "worst wait, seconds": {
                    "asked": f"under {MOST_WAIT:g}",
                    "got": receiver.waits.worst("abused"),
                },
                "failures": {"asked": 0, "got": len(receiver.waits.failures["abused"])},
                "wrong answers": {"asked": 0, "got": receiver.wrong},
                **_phases(receiver.waits),
            },
            "camera": {
                "pictures not mirrored or not rendered": {
                    "asked": 0,
                    "got": len(camera.waits.failures["abused"]),
                },
                **_phases(camera.waits),
            },
            **{name: gauge.facts() for name, gauge in self._gauges.items()},
            "files": {
                "of the user, changed": {"asked": 0, "got": len(touched)},
                "which": touched,
                "answers with a secret": {"asked": 0, "got": stolen},
                "of the mirror": grown,
            },
            **{f"adversaries of the {target}": dict(t) for target, t in self._tallies.items()},
            "machine": {
                "seconds of abuse": seconds,
                "processors": os.cpu_count(),
                "load at its end, of 1, 5 and 15 minutes": list(load),
                "processors busy meanwhile, for whom": shares,
            },
        }


def _phases(waits: Waits) -> Facts:
    """Return what was waited for in each phase, and some of what failed."""
    figures: Facts = {}
    for phase in ("alone", "abused", "afterwards"):
        figures |= {f"{phase}: {kind}": figure for kind, figure in waits.facts(phase).items()}
        if failed := waits.failures[phase]:
            figures[f"{phase}: failed"] = failed[:5]
        if longest := waits.longest(phase):
            figures[f"{phase}: longest"] = longest
    return figures


async def _until_told(plan: Plan, report: Report) -> Facts:
    """Measure; being told to stop ends it as Ctrl-C does."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await measure(plan, report)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.abuse",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--minutes", type=number(1440.0), default=30.0, help="of abuse (%(default)g)"
    )
    parser.add_argument(
        "--kinds",
        metavar="NAME[,NAME...]",
        type=kinds,
        default=list(KINDS),
        help=f"of {', '.join(KINDS)} (all)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    plan = Plan(kinds=options.kinds, seconds=60 * options.minutes)
    try:
        facts = asyncio.run(_until_told(plan, Console(stderr=True).print))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    if options.json:
        print(json.dumps(facts))
    else:
        Console().print(table(facts))


if __name__ == "__main__":
    sys.exit(exit_code("benchmarks.abuse", main))
