"""The little viewer, in a window that nobody sees."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeDecoders, FakeOpener, stream_of
from serving import Background, pictures

from diffc_client import Refinement, Watcher

if os.environ.get("CI") != "true":
    pytest.importorskip("PySide6.QtWidgets", reason="needs the extra qt", exc_type=ImportError)

from PySide6.QtCore import QCoreApplication, QEventLoop
from PySide6.QtWidgets import QApplication

from examples import qt_viewer
from examples.qt_viewer import Arrivals, Viewer


@pytest.fixture(scope="session")
def application() -> QCoreApplication:
    """The one that a process may have, and does not get rid of."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QT_QPA_PLATFORM", "offscreen")
        return QApplication.instance() or QApplication([])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def see(application: QCoreApplication) -> Iterator[Callable[[Callable[[], bool]], None]]:
    """Lets the window live until it shows something."""

    def see(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            application.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)

    yield see
    application.processEvents()


See = Callable[[Callable[[], bool]], None]

WINDOWS: list[Viewer] = []
"""All of them, which are not to be deleted while Qt may still have something to tell them."""


def opened(url: str) -> Viewer:
    viewer = Viewer(Watcher(url, decoders=FakeDecoders()))
    WINDOWS.append(viewer)
    return viewer


def rendered(viewer: Viewer) -> str:
    """How the picture that is shown was rendered, as the fake decoder says it."""
    assert viewer.shown is not None
    return viewer.shown.description["render"]


def test_a_picture_is_chosen_gets_better_and_is_good_enough(folder: Path, see: See) -> None:
    gate = threading.Semaphore(3)
    with Background(folder, FakeOpener(gate=gate)) as url:
        viewer = opened(url)
        viewer.show()
        see(lambda: viewer.names.count() == 3)
        assert viewer.status.text() == "3 pictures"
        viewer.names.setCurrentRow(0)
        see(lambda: viewer.status.text().startswith("a.png: 900 bytes"))
        assert viewer.enough.isEnabled()
        assert viewer.progress.value() == 21
        assert not viewer.picture.pixmap().isNull()
        viewer.enough.click()
        assert not viewer.enough.isEnabled()
        see(lambda: viewer.status.text().endswith("complete"))
        assert viewer.status.text().startswith("a.png: 900 bytes")
        # Another look at the same bytes.
        viewer.realism.setValue(5)
        see(lambda: rendered(viewer) == "0.5")
        assert viewer.status.text().startswith("a.png: 900 bytes")
        # Back to it later: only the rest is sent.
        gate.release(1000)
        viewer.names.setCurrentRow(1)
        see(lambda: viewer.status.text().startswith("b.png: 5,000"))
        viewer.names.setCurrentRow(0)
        see(lambda: viewer.status.text().startswith("a.png: 5,000"))
        assert viewer.kept["a.png"].read() == stream_of("a.png", 5000)
        viewer.resize(500, 400)
        viewer.close()


def test_the_dial_while_it_streams(folder: Path, see: See) -> None:
    gate = threading.Semaphore(3)
    with Background(folder, FakeOpener(gate=gate)) as url:
        viewer = opened(url)
        see(lambda: viewer.names.count() == 3)
        viewer.names.setCurrentRow(0)
        see(lambda: viewer.status.text().startswith("a.png: 900 bytes"))
        viewer.realism.setValue(10)
        assert viewer.enough.isEnabled()
        gate.release(1000)
        see(lambda: viewer.status.text().endswith("complete"))
        assert (rendered(viewer), viewer.kept["a.png"].length) == ("1.0", 5000)
        viewer.close()


def refinement(size: int) -> Refinement:
    return Refinement(
        image=np.zeros((1, 1, 3), np.uint8),
        bytes=size,
        bpp=8.0 * size,
        predicted_psnr=None,
        complete=False,
        description={},
    )


def test_a_slow_window_skips_pictures_and_those_that_come_late(
    application: QCoreApplication,
) -> None:
    arrivals, signals = Arrivals(application), list[None]()
    arrivals.arrived.connect(lambda: signals.append(None))
    watch = arrivals.expect()
    for size in range(1, 100):
        arrivals.put(watch, refinement(size))
    newest = arrivals.take()
    assert newest is not None
    assert (len(signals), newest.bytes) == (1, 99)
    assert arrivals.take() is None
    arrivals.put(watch, refinement(100))
    assert arrivals.expect() != watch
    arrivals.put(watch, refinement(101))
    assert arrivals.take() is None


def test_problems_are_shown(folder: Path, see: See, capsys: pytest.CaptureFixture[str]) -> None:
    viewer = opened("ws://127.0.0.1:9")
    see(lambda: "cannot be reached" in viewer.status.text())
    viewer.close()
    (folder / "a.png").write_bytes(b"broken")
    with Background(folder) as url:
        viewer = opened(url)
        see(lambda: viewer.names.count() == 3)
        viewer.names.setCurrentRow(0)
        see(lambda: "cannot be read as a picture" in viewer.status.text())
        viewer.close()
    assert qt_viewer.main(["nonsense"]) == 2
    assert "is not an address" in capsys.readouterr().err
