"""The form for programs without an event loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener, stream_of
from serving import Background, pictures

import diffc_client
from diffc_client import MemoryStream, Refinement, Watch, Watcher
from diffc_stream.errors import AddressError, LinkLost, UnknownImage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
        assert not thread.is_alive(), thread


pytestmark = pytest.mark.usefixtures("no_threads_left")


class Viewer:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.seen: list[Refinement] = []
        self.ends: list[Exception | None] = []
        self.threads: set[str] = set()

    def show(self, refinement: Refinement) -> None:
        self.seen.append(refinement)
        self.threads.add(threading.current_thread().name)

    def end(self, failure: Exception | None) -> None:
        self.ends.append(failure)

    @property
    def sizes(self) -> list[int]:
        return [refinement.bytes for refinement in self.seen]


class Slow(Viewer):
    """Holds on to the first picture until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.has_first = threading.Event()
        self.go = threading.Event()

    def show(self, refinement: Refinement) -> None:
        super().show(refinement)
        self.has_first.set()
        assert self.go.wait(60)


class Noticing(MemoryStream):
    """Tells when it is as long as that."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.complete = threading.Event()
        self._end = length

    def append(self, data: bytes) -> None:
        super().append(data)
        if self.length >= self._end:
            self.complete.set()


def said(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the receiver logged; the sender speaks too."""
    return [record for record in caplog.records if record.name == "diffc_client"]


def test_a_picture_gets_better_and_is_complete(folder: Path) -> None:
    viewer = Viewer()
    with Background(folder) as url:
        watch = diffc_client.watch(
            f"{url}/a.png", viewer.show, bytes=2000, on_end=viewer.end, decoders=FakeDecoders()
        )
        last = watch.wait(60)
    assert last is viewer.seen[-1]
    assert (last.bytes, last.complete) == (2000, True)
    # An end that comes late is told with the same picture.
    assert viewer.sizes == sorted(viewer.sizes)
    assert (viewer.ends, viewer.threads) == ([None], {"diffc-watch"})
    assert not watch.running


def test_a_slow_callback_holds_up_nothing_and_gets_the_newest_picture(folder: Path) -> None:
    """What it is slow with is one picture; another of the same sender arrives meanwhile."""
    gate = threading.Semaphore(1)
    slow, kept = Slow(), Noticing(3000)
    with (
        Background(folder, FakeOpener(length=3000, piece=300, gate=gate)) as url,
        Watcher(url, decoders=FakeDecoders()) as watcher,
    ):
        watch = watcher.watch("a.png", slow.show, kept=kept)
        assert slow.has_first.wait(60)
        gate.release(100)
        assert kept.complete.wait(60)  # everything arrives behind its back
        other = Viewer()
        beside = watcher.watch("b.png", other.show).wait(60)
        assert beside is not None
        assert beside.complete
        [first] = slow.sizes
        assert first <= 300
        slow.go.set()
        assert watch.wait(60) is slow.seen[-1]
    assert slow.seen[-1].complete
    assert kept.read() == stream_of("a.png", 3000)
    # Ten pieces came; the pictures between are left out.
    assert set(slow.sizes) == {first, 3000}


def test_stopping_is_at_once_and_final(folder: Path) -> None:
    slow = Slow()
    with (
        Background(folder, FakeOpener(length=10**6)) as url,
        Watcher(url, decoders=FakeDecoders()) as watcher,
    ):
        watch = watcher.watch("a.png", slow.show, on_end=slow.end)
        assert slow.has_first.wait(60)
        watch.stop()
        assert watch.running
        with pytest.raises(TimeoutError, match="goes on"):
            watch.wait(0.0)
        assert slow.ends == []
        slow.go.set()
        assert watch.wait(60) is slow.seen[0]
        watch.stop()
    assert (len(slow.seen), slow.ends) == (1, [None])


def test_good_enough_told_by_the_callback(folder: Path) -> None:
    watches: list[Watch] = []
    begun = threading.Event()

    def show(refinement: Refinement) -> None:
        assert begun.wait(60)
        watches[0].stop()
        with pytest.raises(RuntimeError):
            watches[0].wait()  # for itself

    with Background(folder, FakeOpener(length=10**6)) as url:
        watches.append(diffc_client.watch(f"{url}/a.png", show, decoders=FakeDecoders()))
        begun.set()
        last = watches[0].wait(60)
    assert last is not None
    assert not last.complete


def test_going_on_with_what_was_kept_and_further_than_before(folder: Path) -> None:
    kept, viewer = MemoryStream(), Viewer()
    with (
        Background(folder) as url,
        Watcher(url, decoders=FakeDecoders()) as watcher,
    ):
        first = watcher.watch("a.png", viewer.show, bytes=700, kept=kept).wait(60)
        assert first is not None
        assert kept.length == 700
        watch = watcher.watch("a.png", viewer.show, bytes=700, kept=kept, render="flow")
        again = watch.wait(60)
        assert again is not None
        assert (again.bytes, again.description["render"]) == (700, "flow")
        watch.update(bytes=900)  # too late: nothing comes of it
        last = watcher.watch("a.png", viewer.show, kept=kept).wait(60)
    assert last is not None
    assert (last.bytes, last.complete) == (5000, True)


def test_another_watch_goes_on_where_one_is_stopped(folder: Path) -> None:
    """Without waiting: what the first still receives is not kept twice."""
    kept, viewer = MemoryStream(), Viewer()
    begun = threading.Semaphore(0)
    with (
        Background(folder, FakeOpener(length=200_000, piece=100)) as url,
        Watcher(url, decoders=FakeDecoders()) as watcher,
    ):
        for _ in range(10):
            watch = watcher.watch("a.png", lambda _: begun.release(), kept=kept)
            assert begun.acquire(timeout=60)
            watch.stop()
        last = watcher.watch("a.png", viewer.show, kept=kept).wait(60)
    assert last is not None
    assert last.complete
    assert kept.read() == stream_of("a.png", 200_000)


def test_another_target_while_it_streams(folder: Path) -> None:
    gate, slow = threading.Semaphore(1), Slow()
    with (
        Background(folder, FakeOpener(gate=gate)) as url,
        Watcher(url, decoders=FakeDecoders()) as watcher,
    ):
        watch = watcher.watch("a.png", slow.show)
        assert slow.has_first.wait(60)
        watch.update(bytes=800, weight=2.0)
        watcher.images()  # by the same link: the sender has heard of it
        gate.release(100)
        slow.go.set()
        last = watch.wait(60)
    assert last is not None
    assert (last.bytes, last.complete) == (800, True)


def test_what_goes_wrong_is_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    viewer = Viewer()
    with Background(folder) as url:
        watch = diffc_client.watch(
            f"{url}/no.png", viewer.show, on_end=viewer.end, decoders=FakeDecoders()
        )
        with pytest.raises(UnknownImage) as caught:
            watch.wait(60)
        assert viewer.ends == [caught.value]
        assert said(caplog) == []
        with pytest.raises(AddressError, match="names no picture"):
            diffc_client.watch(url, viewer.show)
    watch = diffc_client.watch(f"{url}/a.png", viewer.show, decoders=FakeDecoders())
    with pytest.raises(LinkLost):
        watch.wait(60)
    [record] = said(caplog)
    assert (record.levelno, record.exc_info) == (logging.ERROR, None)
    assert "cannot be reached" in record.getMessage()


def test_a_callback_that_fails_ends_its_watch(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> None:
        raise KeyError("a bug of the viewer")

    viewer = Viewer()
    with (
        Background(folder, FakeOpener(length=10**6)) as url,
        Watcher(url, decoders=FakeDecoders()) as watcher,
    ):
        watch = watcher.watch("a.png", fail)
        with pytest.raises(KeyError, match="a bug"):
            watch.wait(60)
        [record] = said(caplog)
        assert record.exc_info
        # Its own end can fail too; the next picture does not notice.
        watch = watcher.watch("a.png", viewer.show, bytes=700, on_end=fail)
        with pytest.raises(KeyError):
            watch.wait(60)
        assert watcher.watch("b.png", viewer.show, bytes=700).wait(60) is viewer.seen[-1]


def test_closing_stops_all(folder: Path) -> None:
    slow, viewer = Slow(), Viewer()
    with Background(folder, FakeOpener(length=10**6)) as url:
        with Watcher(url, decoders=FakeDecoders()) as watcher:
            watches = [watcher.watch(name, slow.show) for name in watcher.images()]
            assert slow.has_first.wait(60)
        slow.go.set()
        for watch in watches:
            watch.wait(60)
        with pytest.raises(RuntimeError, match="closed"):
            watcher.watch("a.png", viewer.show)
    assert viewer.seen == []


def test_a_picture_over_plain_http(folder: Path) -> None:
    viewer = Viewer()
    with Background(folder) as url:
        plain = f"{url.replace('ws:', 'http:')}/a.png.dfc"
        watch = diffc_client.watch(plain, viewer.show, bytes=900, decoders=FakeDecoders())
        last = watch.wait(60)
    assert last is not None
    assert last.bytes == 900
