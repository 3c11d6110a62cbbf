"""Three senders in processes of their own, one of which is killed, and one store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest

SUPPORT = Path(__file__).parent / "support"
PICTURES = 12

SENDER = """
import asyncio, hashlib, json, sys
sys.path.insert(0, {support!r})
import faulty_files
import diffc_server.cache.lease as lease
import diffc_server.cache.persister as persister
import diffc_server.encoding.sharing as sharing
from diffc_server import Pipeline, open_store
from pathlib import Path
from writing import WriterOpener

# Ten times as fast, so that a sender which a busy machine lets wait does not lose its lease.
lease.LEASE, lease.SKEW, persister.RENEW, sharing.FOLLOW = 1.5, 0.1, 0.25, 0.005
folder, place, stuck = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


class Opener(WriterOpener):
    def open(self, path, model=None, prefix=b""):
        if path.name == stuck:
            print("stuck", flush=True)
            sys.stdin.read()
        return super().open(path, model, prefix)


async def main():
    opener = Opener()
    pipeline = Pipeline(opener, store=open_store(place))
    found = {{}}
    print("ready", flush=True)
    for path in sorted(folder.iterdir()):
        stream = pipeline.stream(path)
        await stream.reach(10**6)
        found[path.name] = [hashlib.sha256(stream.held()).hexdigest(), await stream.tag()]
        print(path.name, flush=True)
    while any(stream.busy for stream in pipeline._held):
        await asyncio.sleep(0.001)
    pipeline.close()
    print(json.dumps([found, len(opener.prefixes)]), flush=True)

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(PICTURES):
        (folder / f"{number:02}.png").write_bytes(f"picture {number}".encode())
    return folder


class Sender:
    """A process that asks for all pictures, one after the other."""

    def __init__(self, folder: Path, place: str, stuck: str = "", **faults: float) -> None:
        script = SENDER.format(support=str(SUPPORT))
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder), place, stuck],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"DIFFC_FAULTS": json.dumps(faults), "OMP_NUM_THREADS": "1", "PATH": ""},
        )

    def lines(self) -> Iterator[str]:
        """Yield what it says."""
        assert self.process.stdout is not None
        return (line.strip() for line in self.process.stdout)

    def found(self) -> Any:
        """Wait for its end; return hash and tag by name, and how many pictures it has encoded."""
        said, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return json.loads(said.splitlines()[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("scheme", ["", "faulty://", "local://"])
def test_one_of_three_is_killed(folder: Path, tmp_path: Path, scheme: str) -> None:
    """What it was encoding is encoded once more, by one of the others; all else once."""
    (tmp_path / "store").mkdir()
    place = f"{scheme}{tmp_path}/store"
    with ExitStack() as senders:
        dying = senders.enter_context(Sender(folder, place, "05.png"))
        assert "stuck" in dying.lines()
        others = [senders.enter_context(Sender(folder, place)) for _ in range(2)]
        for other in others:
            # They have all that the first one stored, and follow it from here.
            assert "04.png" in other.lines()
        dying.process.kill()
        (first, encoded), (second, more) = (other.found() for other in others)
    assert first == second
    assert len({digest for digest, _ in first.values()}) == 1
    assert len({tag for _, tag in first.values()}) == PICTURES
    assert encoded + more == PICTURES - 5
    left = {path.name.partition(".")[2] for path in (tmp_path / "store").iterdir()}
    assert left <= {"stream", "lock"}


def test_one_is_killed_and_the_store_does_what_it_likes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    place = f"faulty://{tmp_path}/store"
    faults = {"failing": 0.1, "unheard": 0.1, "stale": 0.2, "torn": 0.1}
    with ExitStack() as senders:
        dying = senders.enter_context(Sender(folder, place, "05.png", seed=0, **faults))
        others = [
            senders.enter_context(Sender(folder, place, "", seed=seed, **faults)) for seed in (1, 2)
        ]
        for line in dying.lines():
            if line in ("stuck", "06.png"):
                break
        dying.process.kill()
        (first, _), (second, _) = (other.found() for other in others)
    assert first == second
    assert len({digest for digest, _ in first.values()}) == 1
