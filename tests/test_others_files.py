"""Whatever a sender says, and whenever somebody puts a file there: it is his, and stays."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fakes import stream_of
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import VirtualLoop

from diffc_client import Mirror, Mirrored
from diffc_client.mirror.owned_folder import OwnedFolder
from diffc_client.mirror.paths import Places
from diffc_client.mirror.state import FILE
from diffc_stream.errors import PeerError
from diffc_stream.session import Catalogue, Code, Data, End, Entry, Reason

NAMES = (
    *("mine", "mine.dfc", "MINE", "Mine.dfc", "sub/deep", "sub/deep.dfc", "sub", "sub.png"),
    *("link", "folder/x", "empty.dfc", "\u00e4", "a\u0308", "sub/deep.png/x", ".mirror.json"),
    *(".diffc-written-1.log", ".diffc-written-2", "sub/.hidden", "../out", "d/e/f/g/h", "mine.png"),
)


def _hidden(name: str) -> str:
    return f".{hashlib.sha256(name.encode()).hexdigest()[:16]}.new"


PATHS = (
    *("mine.dfc", "mine.png", "Mine.dfc", "MINE.dfc", "sub/deep.dfc", "sub/deep.png", "sub.dfc"),
    *("empty.dfc", "\u00e4.dfc", ".mirror.json", ".diffc-written-1.log", ".diffc-written-2.log"),
    *(_hidden("mine.dfc"), f"sub/{_hidden('deep.dfc')}", ".mine.png.01234567.part", "notes.txt"),
    *(".diffc-0123456789abcdef.part", "d/e/f/g/h.dfc", "d", "sub/.hidden.dfc", ".diffc-probe"),
)
KINDS = ("mine", "", "stream", "changed", "link", "folder", "pipe")

Seen = dict[str, tuple[int, bytes | str]]


def seen(path: Path) -> tuple[int, bytes | str]:
    """Return what kind of thing is at a path, and what it holds."""
    kind = stat.S_IFMT(path.lstat().st_mode)
    if stat.S_ISLNK(kind):
        return kind, str(path.readlink())
    return kind, path.read_bytes() if stat.S_ISREG(kind) else b""


def put(home: Path, outside: Path, relative: str, kind: str) -> list[str]:
    """Have somebody put something there; return what is his now."""
    path = home / relative
    linked = [one for one in (path, *path.parents) if one.is_symlink()]
    if linked and (kind == "changed" or linked != [path]):
        return []  # what it leads to is not meant
    if path.name.startswith(".diffc-written-") and path.exists():
        return []  # without its notes a mirror goes on as one of an earlier version
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        if kind == "changed":
            if not path.is_file() or not path.stat().st_size:
                return []
            data = path.read_bytes()
            before = path.stat()
            # Never back to what it was.
            path.write_bytes(bytes([(data[0] + 1) % 256]) + data[1:])
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            return [relative]
        if path.is_dir() and not path.is_symlink():
            return []
        path.unlink(missing_ok=True)
        if kind == "link":
            path.symlink_to(outside / "target")
        elif kind == "folder":
            path.symlink_to(outside)
        elif kind == "pipe":
            os.mkfifo(path)
        else:
            stream = stream_of(relative.removesuffix(".dfc"), 400)
            path.write_bytes(stream if kind == "stream" else kind.encode())
        return [relative]
    return []


def ours(home: Path, theirs: Seen) -> list[str]:
    """Return the mirror's files that somebody may change."""
    files = (path for path in sorted(home.rglob("*")) if path.is_file() and not path.is_symlink())
    found = [str(path.relative_to(home)) for path in files if path.name[:7] != ".diffc-"]
    return [name for name in found if name not in theirs] or ["notes.txt"]


class Hostile:
    """A link to a sender that claims to hold what it is told of, and sends what it likes."""

    streams = 8

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw

    def open(self, name: str, *, start: int, **_: Any) -> Hostile:
        how = self._draw(6)
        if how == 0:
            raise PeerError(Code.UNKNOWN_IMAGE, "no")
        if how == 1:
            raise PeerError(Code.BUSY, "later", retry=True)
        if how == 2 and start:
            raise PeerError(Code.PREFIX_MISMATCH, "another")
        data = stream_of(name, 600) if how < 5 else bytes(600)
        reason = (Reason.COMPLETE, Reason.TARGET)[self._draw(2)]
        self._events: Iterator[Any] = iter(
            [
                *(
                    Data(stream=1, offset=at, payload=data[at : at + 150])
                    for at in range(start, 600, 150)
                ),
                End(stream=1, reason=reason, length=max(start, 600)),
            ]
        )
        arrivals = Hostile(self._draw)
        arrivals._events = self._events
        return arrivals

    async def several(self) -> tuple[bytes, End | None]:
        await asyncio.sleep(0)
        event = next(self._events)
        return (b"", event) if isinstance(event, End) else (event.payload, None)

    def stop(self) -> None:
        """Nothing to stop."""

    def update(self, *_: object) -> None:
        """Nothing to change."""


@contextmanager
def folders() -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory() as top:
        home, outside = Path(top, "home"), Path(top, "outside")
        home.mkdir()
        outside.mkdir()
        (outside / "target").write_bytes(b"outside")
        yield home, outside


async def session(
    home: Path, outside: Path, steps: list[Any], theirs: Seen, draw: Callable[[int], int]
) -> None:
    """Mirror while the sender and somebody at this end do one thing after the other."""

    def render(mirrored: Mirrored) -> None:
        owned = mirrored.owned
        assert owned is not None
        with suppress(OSError):
            owned.replace(owned.relative(mirrored.picture), b"picture" * mirrored.bytes)

    async with Mirror(home, delete=True, on_change=render) as mirror, asyncio.TaskGroup() as tasks:
        link: Any = Hostile(draw)
        receiving = tasks.create_task(mirror._transfers.receive_all(link, tasks, lambda: None))
        for what, value, kind in steps:
            if what in ("put", "change"):
                paths, how = (PATHS, kind) if what == "put" else (ours(home, theirs), "changed")
                relative = paths[value % len(paths)]
                for changed in put(home, outside, relative, how):
                    theirs[changed] = seen(home / changed)
            else:
                names = NAMES if what == "announce" else [*mirror._records.images, *NAMES]
                name = names[value % len(NAMES)]
                print_of = hashlib.sha256(kind.encode()).hexdigest()[:16]
                entry = Entry(name=name, size=1, time=1, thumbprint=print_of)
                images = (entry,) if what == "announce" else ()
                removed = (name,) if what == "withdraw" else ()
                page = Catalogue(images=images, removed=removed, last=True, changes=True)
                await mirror._feed._take(page, first=True)
            for _ in range(draw(12)):
                await asyncio.sleep(0)
            if draw(4) == 0:
                await asyncio.sleep(61)
            _check(home, outside, theirs)
        await asyncio.sleep(200)
        receiving.cancel()


def _check(home: Path, outside: Path, theirs: Seen) -> None:
    assert {name: seen(home / name) for name in theirs} == theirs
    assert [path.name for path in outside.iterdir()] == ["target"]
    assert (outside / "target").read_bytes() == b"outside"


DOINGS = ("announce", "announce", "withdraw", "withdraw", "change", "put")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_hostile_catalogues_leave_all_that_is_others(seed: int) -> None:
    # Long stories, in which much comes together: steps that hypothesis draws are few.
    drawn = itertools.count()

    def draw(below: int) -> int:
        number = hashlib.sha256(f"{seed} {next(drawn)}".encode()).digest()
        return int.from_bytes(number[:4], "big") % below

    theirs: Seen = {}
    with folders() as (home, outside):
        for _ in range(draw(6)):
            put(home, outside, PATHS[draw(len(PATHS))], KINDS[draw(len(KINDS))])
        for path in home.rglob("*"):
            if path.is_symlink() or not path.is_dir():
                theirs[str(path.relative_to(home))] = seen(path)
        for _ in range(3):
            steps = [
                (DOINGS[draw(len(DOINGS))], draw(40) if draw(2) else 0, KINDS[draw(len(KINDS))])
                for _ in range(25)
            ]
            with asyncio.Runner(loop_factory=VirtualLoop) as runner:
                runner.run(session(home, outside, steps, theirs, draw))
            _check(home, outside, theirs)


def test_refused_names_leave_no_folders() -> None:
    class Refusing:
        streams = 8
        asked = 0

        def open(self, name: str, **_: object) -> None:
            self.asked += 1
            raise PeerError(Code.UNKNOWN_IMAGE, "no")

    link: Any = Refusing()
    with folders() as (home, _), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_asking(home, link, 300))
        assert link.asked == 300
        found = sorted(path.name for path in home.iterdir())
        assert found == [".diffc-written-1.log", FILE]


def test_folders_count() -> None:
    link: Any = Hostile(lambda below: below - 3 if below > 3 else 0)
    with folders() as (home, _), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_asking(home, link, 300, most_bytes=2**20))
        made = sum(path.is_dir() for path in home.rglob("*"))
        files = sum(path.is_file() for path in home.rglob("*"))
        assert 0 < 4096 * (made + files) <= 2**20 + 2 * 4096
        owned = OwnedFolder(Places(home))
        assert owned.journal.folders == made
        owned.close()


async def _asking(home: Path, link: Any, count: int, **options: Any) -> None:
    """Mirror names of thirty folders each."""
    async with Mirror(home, **options) as mirror, asyncio.TaskGroup() as tasks:
        receiving = tasks.create_task(mirror._transfers.receive_all(link, tasks, lambda: None))
        for number in range(count):
            digits = hashlib.sha256(str(number).encode()).hexdigest()[:30]
            entry = Entry(name=f"{'/'.join(digits)}/x", size=1, time=1, thumbprint="0" * 16)
            await mirror._feed._take(
                Catalogue(images=(entry,), last=True, changes=True), first=True
            )
            await asyncio.sleep(0)
        await asyncio.sleep(20)
        receiving.cancel()
