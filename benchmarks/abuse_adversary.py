"""The adversaries of one daemon, in a process of their own: ``python -m ...abuse_adversary``.

It reads what to do as one line of JSON, abuses until its input is closed or the time is over, and
prints what came of it as one line.  Its own descriptors and memory have limits, and whoever else
needs the processor goes first: what is measured is what is asked of the daemon, not who is faster.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from . import abuse_door, abuse_files, abuse_push, abuse_talk
from .abuse_attack import Attack, Prey
from .abuse_wire import Front

NICENESS = 5
"""Others go first, but it gets its turn on a machine that is busy with something else too."""
MOST_DESCRIPTORS = 4096
MOST_MEMORY = 2**30

Abuse = Callable[[Attack], Coroutine[None, None, None]]

_DOOR: dict[str, Abuse] = {
    name: getattr(abuse_door, name)
    for name in ("idle", "handshakes", "requests", "tokens", "resets", "nonsense")
}
SENDER: dict[str, Abuse] = _DOOR | {
    **{
        name: getattr(abuse_talk, name)
        for name in ("pongs", "floods", "lists", "beginnings", "resumes")
    },
    **{name: getattr(abuse_files, name) for name in ("ranges", "models", "links")},
}
"""What is done to a sender, by name."""
MIRROR: dict[str, Abuse] = _DOOR | {
    name: getattr(abuse_push, name)
    for name in ("pings", "directories", "names", "catalogues", "work")
}
"""What is done to a mirror."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What adversaries are told."""

    target: str
    """``sender`` or ``mirror``."""
    kinds: tuple[str, ...]
    front: Front
    prey: Prey
    seconds: float
    """After which they end by themselves."""
    share: float = 1.0
    """Of the usual numbers of connections."""

    def json(self) -> str:
        """Return it as a line."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, line: str) -> Orders:
        """Return what a line says."""
        facts = json.loads(line)
        prey: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in facts["prey"].items()
        }
        return cls(
            target=facts["target"],
            kinds=tuple(facts["kinds"]),
            front=Front(**facts["front"]),
            prey=Prey(**prey),
            seconds=facts["seconds"],
            share=facts["share"],
        )


class Adversaries:
    """All of one daemon."""

    def __init__(self, orders: Orders) -> None:
        self._known = SENDER if orders.target == "sender" else MIRROR
        self._seconds = orders.seconds
        self._attacks = {
            name: Attack(front=orders.front, prey=orders.prey, who=name, share=orders.share)
            for name in orders.kinds
        }

    async def run(self) -> None:
        """Do all kinds at once, for as long as they were told."""
        running = [
            asyncio.ensure_future(self._known[name](attack))
            for name, attack in self._attacks.items()
        ]
        done, _ = await asyncio.wait(
            running, timeout=self._seconds, return_when=asyncio.FIRST_EXCEPTION
        )
        for task in done:
            task.result()  # none ends by itself, unless it is a bug

    def end(self) -> NoReturn:
        """Say what came of it, and end the process.

        Thousands of connections are closed by the system sooner than one by one, and a loop that is
        busy with them need not get to it.
        """
        told = {name: attack.tally.facts() for name, attack in self._attacks.items()}
        print(json.dumps(told), flush=True)
        os._exit(0)


def _until_closed(adversaries: Adversaries) -> None:
    """Wait for the end of the input."""
    while sys.stdin.read(1):
        pass
    adversaries.end()


def main() -> None:
    """Run the command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it will close its input
    os.nice(NICENESS)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MOST_DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    orders = Orders.read(sys.stdin.readline())
    adversaries = Adversaries(orders)
    threading.Thread(target=_until_closed, args=(adversaries,), daemon=True).start()
    asyncio.run(adversaries.run())
    adversaries.end()


if __name__ == "__main__":
    main()
