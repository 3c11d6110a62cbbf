"""The widget for notebooks; what it shows in the browser is in ``widget.js``."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Unpack

import anywidget
import traitlets

from diffc_stream.codec import Curve
from diffc_stream.errors import DiffcError, PictureTooLarge
from diffc_stream.picture import png_bytes
from diffc_stream.session import MAX_STREAM, TargetOptions

from ..api.watch import Watch, watch
from ..decoding.decoders import Decoders, Method, ModelDecoders, Picture
from ..decoding.refiner import Refinement
from ..storage.partial_stream import MemoryStream
from .prefixes import PrefixRenderer
from .remembering import RememberingDecoders

_HERE = Path(__file__).parent
_SCHEMES = ("ws://", "wss://", "http://", "https://", "mqtt://", "mqtts://")


class PictureWidget(anywidget.AnyWidget):
    """A picture that sharpens while it arrives, with a byte axis and a realism dial.

    The attributes below that are said to be settable can be set in Python and in the page; all can
    be observed (``widget.observe(print, "received")``).
    """

    _esm = _HERE / "widget.js"
    _css = _HERE / "widget.css"

    image = traitlets.Bytes(read_only=True).tag(sync=True)
    """What is shown, as PNG; empty before the first picture."""
    size = traitlets.List(traitlets.Int(), read_only=True).tag(sync=True)
    """Width and height in pixels; empty before the header has arrived."""
    received = traitlets.Int(0, read_only=True).tag(sync=True)
    """Bytes that are here."""
    prefix = traitlets.Int(0, min=0, max=MAX_STREAM).tag(sync=True)
    """Settable: the bytes to show the picture of; 0 is all that are here."""
    realism = traitlets.Float(0.0, min=0.0, max=1.0).tag(sync=True)
    """Settable: from 0, the smallest error, to 1, the most natural look."""
    alt = traitlets.Unicode("").tag(sync=True)
    """Settable: what the picture shows, for those who do not see it."""
    offsets = traitlets.List(traitlets.Int(), read_only=True).tag(sync=True)
    """Where steps end, in bytes."""
    psnr = traitlets.List(traitlets.Float(), read_only=True).tag(sync=True)
    """The quality to expect at these, in dB."""
    shown = traitlets.Dict(read_only=True).tag(sync=True)
    """Of the picture shown: ``bytes``, ``bpp``, ``predicted_psnr`` (dB) and ``realism``."""
    status = traitlets.Unicode("", read_only=True).tag(sync=True)
    """"receiving", "complete", or why it failed."""

    def __init__(
        self,
        source: str | Path | bytes,
        *,
        realism: float = 0.0,
        alt: str = "",
        decoders: Decoders | None = None,
        token: str | None = None,
        **target: Unpack[TargetOptions],
    ) -> None:
        """Show ``source``: the address of a picture, as watch() takes it; a file; or a stream.

        ``target`` says how much of a picture at an address is received: ``bytes``, ``bpp``,
        ``side`` or ``psnr``.  Raises AddressError, OSError if there is no such file, or
        PictureTooLarge if it is larger than any stream.
        """
        super().__init__(realism=realism, alt=alt)
        self._kept = MemoryStream()
        self._curve = Curve()
        self._watch: Watch | None = None
        self._lock = threading.Lock()
        """Of what is wished for: ``prefix`` may be set while more arrives."""
        self._wished = 0
        """Bytes of the prefix that was asked for last."""
        remote = isinstance(source, str) and source.startswith(_SCHEMES)
        file = None if remote or isinstance(source, bytes) else Path(source)
        decoders = RememberingDecoders(decoders or ModelDecoders.load(), file=file)
        self._renderer = PrefixRenderer(decoders, self._show, self._fail)
        self.observe(self._render, ["prefix", "realism"])
        if isinstance(source, str) and remote:
            self.set_trait("status", "receiving")
            self._watch = watch(
                source,
                self._refine,
                kept=self._kept,
                on_end=self._end,
                decoders=decoders,
                token=token,
                **target,
            )
        else:
            self._kept.append(source if isinstance(source, bytes) else _read(Path(source)))
            self._note()
            self.set_trait("status", "complete")
            self._render()

    def stop(self) -> None:
        """Stop receiving; what is here stays."""
        if self._watch is not None:
            self._watch.stop()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it has arrived and is shown.  In a notebook, this keeps the cell busy.

        Raises the error if receiving failed, or TimeoutError after ``timeout`` seconds.
        """
        if self._watch is not None:
            self._watch.wait(timeout)
        self._renderer.wait(timeout)

    def close(self) -> None:
        """Stop receiving, and remove it from the notebook."""
        self.stop()
        self._renderer.close()
        super().close()

    def _refine(self, refinement: Refinement) -> None:
        """Take what has arrived, on the thread of the watch."""
        self._note()
        if self.prefix == 0 and self.realism == 0.0:
            self._show(refinement, 0.0)
        elif self.prefix == 0:
            self._render()
        else:
            self._render_more()

    def _end(self, failure: Exception | None) -> None:
        self._note()
        if failure is not None:
            self._fail(failure)
        else:
            self.set_trait("status", "complete")
            self._render_more()

    def _note(self) -> None:
        """Tell the page how much is here, and what it is worth."""
        data = self._kept.read()
        self._curve.feed(data[self.received :])
        header = self._kept.header
        with self.hold_sync():
            if header is not None:
                self.set_trait("size", [header.width, header.height])
            self.set_trait("offsets", list(self._curve.offsets[1:]))
            self.set_trait("psnr", self._curve.psnr()[1:])
            self.set_trait("received", len(data))

    def _render(self, _change: Any = None) -> None:
        with self._lock:
            self._wish()

    def _render_more(self) -> None:
        """Render again if ``prefix`` was set before so many bytes were here."""
        with self._lock:
            if self._wished < min(self.prefix, self._kept.length):
                self._wish()

    def _wish(self) -> None:
        data = self._kept.read()[: self.prefix or None]
        self._wished = len(data)
        if data:
            self._renderer.wish(data, self.realism)

    def _show(self, picture: Picture, method: Method) -> None:
        facts = {
            "bytes": picture.bytes,
            "bpp": picture.bpp,
            "predicted_psnr": picture.predicted_psnr,
            "realism": method,
        }
        with self.hold_sync():
            self.set_trait("image", png_bytes(picture.image))
            self.set_trait("shown", facts)

    def _fail(self, error: Exception) -> None:
        # Errors of this project are one line for people, others name their kind.
        ours = isinstance(error, DiffcError)
        self.set_trait("status", str(error) if ours else f"{type(error).__name__}: {error}")


def _read(path: Path) -> bytes:
    if path.stat().st_size > MAX_STREAM:
        raise PictureTooLarge(f"{path} is larger than any stream")
    return path.read_bytes()
