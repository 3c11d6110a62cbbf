"""Three senders with one store, all asked for all pictures, some of them killed.

Each sender has a client that asks for one picture after the other: of the first half in the same
order, so that all three want the same picture at the same time, then in an order of its own.  Every
answer is compared with that of a sender without a store.  What was encoded is counted in pieces,
each of which is one or two evaluations of the denoiser, beside those of that one sender.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

SENDERS = 3
WAIT = 120.0
"""Seconds that a request may take, with those until a killed sender's lease ends."""
STORES: dict[str, Sequence[str] | None] = {
    "folder": None,
    "objects in a folder": None,
    "S3": (),
    "S3, slow and failing": ("--slow", "0.2", "--failing", "0.2"),
    "S3, old data": ("--stale", "0.3"),
}
"""Kinds of stores, with the options of their server."""


@dataclass(slots=True, kw_only=True)
class Shared:
    """What came of one store."""

    store: str
    pictures: int
    kills: int
    answers: int = 0
    wrong: int = 0
    """Answers with other bytes than those of a sender without a store."""
    tags: int = 0
    """Entity tags seen; as many as pictures if they are equal."""
    retries: int = 0
    """Requests that failed, because of a kill, and were made again."""
    pieces: int = 0
    """Pieces that all senders computed ..."""
    pieces_alone: int = 0
    """... and that one sender computes for all pictures."""
    encoded: float = 0.0
    """Times that a picture was encoded, in the mean: the former over the latter."""
    again: float = 0.0
    """How many pictures' worth of pieces were computed more than once."""
    failures: dict[str, int] = field(default_factory=dict)
    """Of the store, as the senders count them."""
    seconds: float = 0.0


class Sender:
    """A sender process."""

    def __init__(self, folder: Path, options: Sequence[str], surroundings: dict[str, str]) -> None:
        self._command = [
            *(sys.executable, "-m", "diffc_server", str(folder), "--port", "0", "--json"),
            *("--no-viewer", "--metrics", "0", "--log-level", "error", *options),
        ]
        self._surroundings = os.environ | surroundings
        self.counted: dict[str, float] = {}
        """What the processes that were killed had counted."""
        self._begin()

    def get(self, name: str, size: int) -> tuple[bytes, str]:
        """Return the first bytes of a picture's stream, and its entity tag."""
        request = urllib.request.Request(f"{self._url}/{name}.dfc")
        request.add_header("Range", f"bytes=0-{size - 1}")
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return bytes(answer.read()), str(answer.headers["ETag"])

    def figures(self) -> dict[str, float]:
        """Return its counters, with those of processes before it."""
        with urllib.request.urlopen(f"{self._metrics}/metrics", timeout=WAIT) as answer:
            lines = [line.split(" ") for line in answer.read().decode().splitlines()]
        now = {line[0]: float(line[1]) for line in lines if line[0].startswith("diffc_")}
        return {name: value + self.counted.get(name, 0.0) for name, value in now.items()}

    def kill(self) -> None:
        """Kill it, and start another one."""
        self.counted = self.figures()
        self._process.kill()
        self._process.communicate()
        self._begin()

    def end(self) -> None:
        """Stop it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate()

    def _begin(self) -> None:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, text=True, env=self._surroundings
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise OSError("diffc-server did not start")
        told = json.loads(line)
        self._url, self._metrics = told["url"].replace("ws", "http", 1), told["metrics"]


class Client(threading.Thread):
    """Asks one sender for all pictures, and kills it now and then."""

    def __init__(
        self, sender: Sender, names: list[str], size: int, kills: set[int], seed: int
    ) -> None:
        super().__init__()
        self.found: dict[str, tuple[bytes, str]] = {}
        self.retries = 0
        self.error: OSError | None = None
        self._sender = sender
        self._names = names
        self._size = size
        self._kills = kills
        self._random = random.Random(seed)

    def run(self) -> None:
        """Ask for all."""
        try:
            for place, name in enumerate(self._names):
                killer = threading.Timer(0.3 * self._random.random(), self._sender.kill)
                if place in self._kills:
                    killer.start()
                self.found[name] = self._ask(name, killer)
        except OSError as error:
            self.error = error

    def _ask(self, name: str, killer: threading.Timer) -> tuple[bytes, str]:
        until = time.monotonic() + WAIT
        while True:
            try:
                found = self._sender.get(name, self._size)
            except OSError:
                self.retries += 1
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
                continue
            if killer.is_alive():
                killer.join()
            return found


def measured(
    home: Path, pictures: Sequence[tuple[str, Image.Image]], *, size: int, kills: int
) -> list[Shared]:
    """Return what comes of each kind of store; ``size`` bytes of each picture are asked for."""
    folder = home / "pictures"
    folder.mkdir()
    for name, image in pictures:
        image.save(folder / name)
    alone = Sender(folder, (), {})
    right = {name: alone.get(name, size)[0] for name, _ in pictures}
    pieces = int(alone.figures()["diffc_encoder_steps_total"])
    alone.end()
    records = []
    for number, (kind, server) in enumerate(STORES.items()):
        record = Shared(store=kind, pictures=len(pictures), kills=kills, pieces_alone=pieces)
        with _place(home / f"store{number}", kind, server) as (place, surroundings):
            _share(folder, place, surroundings, right, size, record)
        records.append(record)
    return records


def _share(
    folder: Path,
    place: str,
    surroundings: dict[str, str],
    right: dict[str, bytes],
    size: int,
    record: Shared,
) -> None:
    began, names = time.monotonic(), list(right)
    with ExitStack() as stack:
        clients = []
        for number in range(SENDERS):
            chance = random.Random(number)
            sender = Sender(folder, ("--store", place), surroundings)
            stack.callback(sender.end)
            half = len(names) // 2
            order = [*names[:half], *chance.sample(names[half:], len(names) - half)]
            mine = range(number, record.kills, SENDERS)
            places = {(1 + kill) * len(names) // (record.kills + 2) for kill in mine}
            clients.append((sender, Client(sender, order, size, places, number)))
        for _, client in clients:
            client.start()
        for _, client in clients:
            client.join()
        figures = [sender.figures() for sender, _ in clients]
    record.seconds = time.monotonic() - began
    tags = set()
    for _, client in clients:
        if client.error is not None:
            raise client.error
        record.retries += client.retries
        for name, (data, tag) in client.found.items():
            record.answers += 1
            record.wrong += data != right[name]
            tags.add((name, tag))
    record.tags = len(tags)
    record.pieces = int(sum(each["diffc_encoder_steps_total"] for each in figures))
    record.encoded = record.pieces / record.pieces_alone
    record.again = (record.encoded - 1) * record.pictures
    for what in ("read", "written", "leased"):
        name = f'diffc_store_failures_total{{what="{what}"}}'
        record.failures[what] = int(sum(each[name] for each in figures))


@contextmanager
def _place(
    home: Path, kind: str, server: Sequence[str] | None
) -> Iterator[tuple[str, dict[str, str]]]:
    """Give the place of a store, and the environment of those who use it."""
    if server is None:
        yield f"{'local://' if 'objects' in kind else ''}{home}", {}
        return
    with subprocess.Popen(
        [sys.executable, "-m", "diffc_benchmarks.object_server", *server],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise OSError("no S3-compatible server: pip install 'diffc-stream[bench]'")
            surroundings = {
                "AWS_ENDPOINT_URL": json.loads(line)["url"],
                "AWS_ACCESS_KEY_ID": "none",
                "AWS_SECRET_ACCESS_KEY": "none",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            make = "import s3fs; s3fs.S3FileSystem().mkdir('streams')"
            subprocess.run([sys.executable, "-c", make], env=os.environ | surroundings, check=True)
            yield "s3://streams/all", surroundings
        finally:
            process.kill()
