"""What befalls a store: kill -9, a full disk, flipped bits, folders that vanish or turn read-only.

Real sender processes; what they send is compared, byte for byte, with what one without a store
sends.  A full disk is a small tmpfs where this user may mount one, elsewhere a limit on the size of
files; a read-only one is tried only on a tmpfs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffc_stream.picture import save_png

KILLS = 20
FLIPS = 40
SIDE = 64
"""Pixels of a picture's sides."""
LENGTH = 3000
"""Bytes asked for."""
WAIT = 60.0
"""Seconds that a request may take."""
SMALL_DISK = 8192
"""Bytes that a full disk has room for; an object is smaller, and several are not."""

Report = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Findings:
    """What came of the faults."""

    requests: int = 0
    wrong: int = 0
    """Answers that are not what a sender without a store gives."""
    refused: int = 0
    alive: int = 0
    """Faults after which the same process, or after a kill the next one, went on serving."""
    faults: int = 0
    computed_again: float = 0.0
    """Pieces that a sender computed of what another had stored."""
    said: dict[str, str] = field(default_factory=dict)
    """By fault, the line of the log that tells of it."""

    def told(self, fault: str, log: Path, words: str) -> None:
        """Look up what the log says."""
        lines = [line for line in log.read_text().splitlines() if words in line]
        self.said[fault] = lines[0].partition("WARNING ")[2] if lines else "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A sender process."""

    process: subprocess.Popen[str]
    url: str
    metrics: str
    """Where its figures are."""
    log: Path

    def get(self, name: str) -> bytes | None:
        """Return what is sent of a picture; None if it is refused, or nobody answers."""
        request = urllib.request.Request(f"{self.url}/{name}.dfc")
        request.add_header("Range", f"bytes=0-{LENGTH - 1}")
        try:
            with urllib.request.urlopen(request, timeout=WAIT) as answer:
                return bytes(answer.read())
        except (OSError, urllib.error.HTTPError):
            return None

    def computed(self) -> float:
        """Return how many pieces its encoders have computed so far."""
        with urllib.request.urlopen(f"{self.metrics}/metrics", timeout=WAIT) as answer:
            lines = answer.read().decode().splitlines()
        name = "diffc_encoder_steps_total "
        [value] = [line.removeprefix(name) for line in lines if line.startswith(name)]
        return float(value)


class Faults:
    """A folder of pictures, what is right, and what was found."""

    def __init__(self, home: Path, *, model: Path | None = None) -> None:
        """Work below ``home``; encode with ``model``, or with the default one."""
        self._model = ["--model", str(model)] if model else []
        self._home = home
        self.findings = Findings()
        self.pictures = home / "pictures"
        self.pictures.mkdir()
        self.store = home / "store"
        self._right: dict[str, bytes] = {}
        self._random = random.Random(0)
        self._logs = 0

    def make(self, count: int) -> list[str]:
        """Make pictures, and learn what is right."""
        names = []
        for _ in range(count):
            name = f"{len(self._right):03}.png"
            generator = np.random.default_rng(len(self._right))
            coarse = generator.integers(0, 200, (4, 4, 3), np.uint8)
            detail = generator.integers(0, 50, (SIDE, SIDE, 3), np.uint8)
            blocks = np.kron(coarse, np.ones((SIDE // 4, SIDE // 4, 1), np.uint8))
            save_png(self.pictures / name, blocks + detail)
            self._right[name] = b""
            names.append(name)
        with self.sender(None) as sender:
            for name in names:
                found = sender.get(name)
                if not found:
                    raise OSError(f"{name} cannot be encoded at all: {sender.log.read_text()}")
                self._right[name] = found
        return names

    @contextlib.contextmanager
    def sender(self, store: Path | None, *, most_file: int | None = None) -> Iterator[Sender]:
        """Start a sender, which may write files of ``most_file`` bytes, and end it."""
        self._logs += 1
        log = self._home / f"{self._logs:03}.log"
        kept = ["--store", str(store)] if store else []

        with log.open("w") as errors:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "diffc_server", str(self.pictures), "--port", "0"),
                    *("--json", "--no-viewer", "--metrics", "0", *kept, *self._model),
                ],
                stdout=subprocess.PIPE,
                # A log that is a file has a size too; this one is none.
                stderr=subprocess.PIPE if most_file else errors,
                text=True,
            )
        with process:
            try:
                assert process.stdout is not None
                told = json.loads(process.stdout.readline())
                url = told["url"].replace("ws", "http", 1)
                if most_file is not None:
                    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (most_file, most_file))
                yield Sender(process=process, url=url, metrics=told["metrics"], log=log)
                process.send_signal(signal.SIGTERM)
                _, said = process.communicate(timeout=WAIT)
                if said:
                    log.write_text(said)
            finally:
                process.kill()

    def ask(self, sender: Sender, name: str) -> None:
        """Ask for a picture, and compare what comes."""
        self.findings.requests += 1
        found = sender.get(name)
        if found is None:
            self.findings.refused += 1
        elif found != self._right[name]:
            self.findings.wrong += 1

    def again(self, name: str) -> None:
        """Have senders look at a picture anew, and so into the store."""
        os.utime(self.pictures / name, (self._random.random() * 1e9,) * 2)

    def object(self) -> Path:
        """Return the newest file of the store."""
        return max(self.store.glob("*.stream"), key=lambda path: path.stat().st_mtime)

    def survived(self, sender: Sender, fault: str, words: str) -> None:
        """Note whether a process is still there after a fault, and what it says of it."""
        _settle(lambda: words in sender.log.read_text())
        self.findings.faults += 1
        self.findings.alive += sender.process.poll() is None
        self.findings.told(fault, sender.log, words)

    def kill(self, times: int) -> None:
        """Kill senders at random moments while they encode and store, and go on with others."""
        names, torn = self.make(times), 0
        for name in names:
            with self.sender(self.store) as sender:
                url = f"{sender.url}/{name}.dfc"
                with contextlib.suppress(OSError), urllib.request.urlopen(url) as answer:
                    answer.read(self._random.randrange(1, LENGTH))
                # With the last one gone it is stored: now, or soon.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    sender.process.wait(self._random.random() * 0.02)
                sender.process.kill()
            torn += len(list(self.store.glob(".*.part")))
        with self.sender(self.store) as sender:
            for name in names:
                self.ask(sender, name)
            self.survived(sender, "kill -9", "")
        left = len(list(self.store.glob(".*.part")))
        self.findings.said["kill -9"] = f"{torn} torn files found, {left} left"

    def flip(self, times: int) -> None:
        """Flip bits of what is stored."""
        [name] = self.make(1)
        with self.sender(self.store) as sender:
            self.ask(sender, name)
            for _ in range(times):
                _settle(lambda: any(self.store.glob("*.stream")))
                path = self.object()
                damaged = bytearray(path.read_bytes())
                damaged[self._random.randrange(len(damaged))] ^= 1 << self._random.randrange(8)
                path.write_bytes(damaged)
                self.again(name)
                self.ask(sender, name)
            self.survived(sender, "a flipped bit", "damaged")
            with self.sender(self.store) as second:
                self.ask(second, name)
                self.findings.computed_again += second.computed()

    def vanish(self) -> None:
        """Take the store away, and bring it back; then the pictures."""
        first, second = self.make(2)
        away = self._home / "away"
        with self.sender(self.store) as sender:
            self.ask(sender, first)
            self.store.rename(away)
            self.again(first)
            self.ask(sender, first)
            self.ask(sender, second)
            self.survived(sender, "a store that vanishes", "cannot be")
            away.rename(self.store)
            self.again(first)
            self.ask(sender, first)
            self.survived(sender, "... and comes back", "again")
            self.pictures.rename(away)
            refused = self.findings.refused
            self.ask(sender, first)
            self.findings.refused = refused  # as it should be
            self.survived(sender, "pictures that vanish", "has gone")
            away.rename(self.pictures)
            self.ask(sender, first)

    def fill(self) -> None:
        """Have no room in the store, or be allowed to read only."""
        names = self.make(4)
        with _small_disk(self._home / "disk") as disk:
            with self.sender(
                disk / "store" if disk else self._home / "limited",
                most_file=None if disk else 1024,
            ) as sender:
                for name in (*names, *names):
                    self.ask(sender, name)
                self.again(names[0])
                self.ask(sender, names[0])
            self.findings.faults += 1
            self.findings.alive += sender.process.returncode == 0
            self.findings.told("a full disk", sender.log, "cannot be written")
            if disk is None:
                return
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            with self.sender(disk / "store") as sender:
                for name in names:
                    self.ask(sender, name)
                self.survived(sender, "a read-only disk", "cannot be written")


async def measure(report: Report) -> dict[str, object]:
    """Go through all faults."""
    return await asyncio.to_thread(faults, report)


def faults(
    report: Report, *, kills: int = KILLS, flips: int = FLIPS, model: Path | None = None
) -> dict[str, object]:
    """Go through all faults, with so many kills and flipped bits."""
    with tempfile.TemporaryDirectory() as home:
        going = Faults(Path(home), model=model)
        report(f"{kills} senders are killed while they store")
        going.kill(kills)
        report(f"{flips} bits are flipped")
        going.flip(flips)
        report("folders vanish and come back")
        going.vanish()
        report("the disk is full")
        going.fill()
    found = going.findings
    return {
        "answers compared": found.requests,
        "answers with wrong bytes": {"asked": 0, "got": found.wrong},
        "answers refused": found.refused,
        "pieces computed of what another sender stored": {"asked": 0, "got": found.computed_again},
        "faults that a daemon lives through": {"asked": found.faults, "got": found.alive},
        **{f"what is said of {fault}": line for fault, line in found.said.items()},
    }


def _settle(condition: Callable[[], bool]) -> None:
    """Wait until a process has done what it does after its answer; five seconds at most."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)


@contextlib.contextmanager
def _small_disk(place: Path) -> Iterator[Path | None]:
    """Mount a disk with room for a few objects; None if this user may not."""
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(place)]
    try:
        done = subprocess.run(["mount", *options], check=False, capture_output=True)
    except OSError:
        yield None
        return
    if done.returncode:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)
