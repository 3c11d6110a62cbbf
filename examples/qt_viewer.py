"""A small viewer in Qt: a list, a picture that improves, and a button that stops it.

    pip install 'diffc-stream[qt]'
    python -m examples.qt_viewer ws://127.0.0.1:8765

The window never waits: pictures arrive on threads of diffc_client, and go to the window's thread by
a signal.  At most one signal is pending, so that a slow window skips pictures instead of falling
behind.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QCloseEvent, QImage, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QProgressBar,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from diffc_client import MemoryStream, Refinement, Watch, Watcher
from diffc_stream import DiffcError
from diffc_stream.threads import wait_asleep

BEST = 45
"""Quality in dB at which the bar is full: streams end about there."""


class Arrivals(QObject):
    """Passes the pictures of the newest watch to the window's thread."""

    arrived = Signal()
    ended = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._guard = threading.Lock()
        self._watch = 0
        self._newest: Refinement | None = None

    def expect(self) -> int:
        """Return the number of a new watch; pictures of earlier ones are dropped."""
        with self._guard:
            self._watch, self._newest = self._watch + 1, None
            return self._watch

    def put(self, watch: int, refinement: Refinement) -> None:
        """Put the newest picture; called on any thread."""
        with self._guard:
            if watch != self._watch:
                return
            under_way = self._newest is not None
            self._newest = refinement
        if not under_way:
            self.arrived.emit()

    def end(self, watch: int, failure: Exception | None) -> None:
        """Note the end of a watch."""
        if watch == self._watch:
            self.ended.emit("" if failure is None else str(failure))

    def take(self) -> Refinement | None:
        """Take the newest picture; called on the window's thread."""
        with self._guard:
            refinement, self._newest = self._newest, None
        return refinement


class Picture(QLabel):
    """Shows a picture as large as possible."""

    def __init__(self) -> None:
        super().__init__("Choose a picture", alignment=Qt.AlignmentFlag.AlignCenter)
        self.setMinimumSize(320, 240)
        self._whole: QPixmap | None = None

    def show_refinement(self, refinement: Refinement) -> None:
        """Show another picture."""
        height, width = refinement.image.shape[:2]
        data = refinement.image.tobytes()
        image = QImage(data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self._whole = QPixmap.fromImage(image)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Fit the picture to the new size."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._whole is not None:
            how = (Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
            self.setPixmap(self._whole.scaled(self.size(), *how))


class Viewer(QWidget):
    """The window."""

    listed = Signal(list, str)

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(windowTitle="diffc-stream")
        self._watcher = watcher
        self._watches: list[Watch] = []
        self.kept: dict[str, MemoryStream] = {}
        self._name = ""
        self.shown: Refinement | None = None
        self._arrivals = Arrivals(self)
        self.names, self.picture, self.progress = QListWidget(), Picture(), QProgressBar()
        self.enough = QPushButton("Good enough")
        self.realism = QSlider(Qt.Orientation.Horizontal)
        self.status = QLabel("asking for the list")
        self._lay_out()
        self._arrivals.arrived.connect(self._show)
        self._arrivals.ended.connect(self._end)
        self.listed.connect(self._list)
        self.names.currentTextChanged.connect(self._open)
        self.enough.clicked.connect(self._stop)
        self.realism.valueChanged.connect(self._render_anew)
        self._asking = threading.Thread(target=self._ask, daemon=True)
        self._asking.start()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Stop everything."""
        self._watcher.close()
        for watch in self._watches:
            with suppress(DiffcError, TimeoutError):
                watch.wait(5)  # its thread should not outlive the window
        self._asking.join()
        super().closeEvent(event)

    def _lay_out(self) -> None:
        self.enough.setEnabled(False)
        self.realism.setMaximum(10)
        self.realism.setTracking(False)
        self.names.setMaximumWidth(220)
        self.progress.setRange(0, BEST)
        self.progress.setFormat("%v dB")
        below = QHBoxLayout()
        for widget in (self.progress, QLabel("smooth"), self.realism, QLabel("real"), self.enough):
            below.addWidget(widget)
        right = QVBoxLayout()
        right.addWidget(self.picture, 1)
        right.addLayout(below)
        right.addWidget(self.status)
        whole = QHBoxLayout(self)
        whole.addWidget(self.names)
        whole.addLayout(right, 1)

    def _ask(self) -> None:
        """Ask the sender what it has, on a thread of its own."""
        try:
            self.listed.emit(self._watcher.images(), "")
        except (DiffcError, RuntimeError) as error:
            self.listed.emit([], str(error))

    def _list(self, names: list[str], problem: str) -> None:
        self.status.setText(problem or f"{len(names)} pictures")
        self.names.addItems(names)

    def _open(self, name: str) -> None:
        self._name = name
        self._start(None)

    def _start(self, most: int | None) -> None:
        """Show the picture from the bytes that are here, and receive up to ``most`` bytes."""
        for watch in self._watches:
            watch.stop()
        number = self._arrivals.expect()
        watch = self._watcher.watch(
            self._name,
            partial(self._arrivals.put, number),
            bytes=most,
            render=self.realism.value() / 10 or "mmse",
            previews="mmse",
            kept=self.kept.setdefault(self._name, MemoryStream()),
            on_end=partial(self._arrivals.end, number),
        )
        self._watches = [watch, *(before for before in self._watches if before.running)]
        self.enough.setEnabled(most is None)

    def _stop(self) -> None:
        self.enough.setEnabled(False)
        self._render_anew()

    def _render_anew(self) -> None:
        """Render again as the slider says, from the bytes that are here."""
        if (kept := self.kept.get(self._name)) is not None and kept.length:
            self._start(None if self.enough.isEnabled() else kept.length)

    def _show(self) -> None:
        if (refinement := self._arrivals.take()) is None:
            return  # the signal was of the picture before
        self.picture.show_refinement(refinement)
        self.shown = refinement
        self.progress.setValue(round(refinement.predicted_psnr or 0))
        text = f"{self._name}: {refinement.bytes:,} bytes, {refinement.bpp:.3f} bits per pixel"
        self.status.setText(text + (", complete" if refinement.complete else ""))

    def _end(self, problem: str) -> None:
        self.enough.setEnabled(False)
        if problem:
            self.status.setText(problem)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the window until it is closed."""
    parser = argparse.ArgumentParser(prog="qt_viewer", description=__doc__.partition("\n")[0])
    parser.add_argument("url", metavar="URL", help="ws://HOST:PORT")
    url = parser.parse_args(arguments).url
    wait_asleep()
    try:
        watcher = Watcher(url)
    except DiffcError as error:
        print(f"qt_viewer: {error}", file=sys.stderr)
        return error.exit_code
    application = QApplication([])
    viewer = Viewer(watcher)
    viewer.resize(900, 600)
    viewer.show()
    return application.exec()


if __name__ == "__main__":
    sys.exit(main())
