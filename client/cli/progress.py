"""Reports a picture's progress, as text and in a terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from diffc_stream.session import Target

if TYPE_CHECKING:
    from ..decoding.decoders import Method
    from ..decoding.decoders import Picture as Rendered
    from ..decoding.refiner import Refinement
    from .fetch import Fetched

Picture = Literal["auto", "kitty", "iterm", "blocks", "off"]
"""How a terminal shows the picture: chosen by the environment, in a given way, or not at all."""


def summary(picture: Refinement | Fetched | Rendered, render: Method = "mmse") -> str:
    """Return a line of bytes, bits per pixel and, if it is known, predicted quality.

    The prediction is for the mmse picture, which the line says if ``render`` is another method.
    """
    from diffc_stream.metrics import told  # brings NumPy, which --help does not need

    text = f"{picture.bytes:,} bytes, {picture.bpp:.4g} bpp"
    if picture.predicted_psnr is not None:
        # Decoders of third parties may not have this attribute.
        within = getattr(picture, "predicted_psnr_range", None)
        quality = told(picture.predicted_psnr, within)
        text = f"{text}, {quality}" + ("" if render in ("mmse", 0) else " as mmse")
    for region in getattr(picture, "regions", ()):
        text += f"; region {region.bytes:,} bytes"
        if region.predicted_psnr is not None:
            text += f", {told(region.predicted_psnr)}"
    return text


@contextlib.contextmanager
def progress(target: Target, picture: Picture) -> Iterator[Callable[[Refinement], None]]:
    """Show progress on standard error if that is a terminal, else nothing."""
    began = time.monotonic()

    def describe(refinement: Refinement) -> tuple[str, float | None]:
        text = summary(refinement)
        rate = refinement.bytes / max(time.monotonic() - began, 1e-3)
        return f"{text}, {rate:,.0f} bytes/s", share(refinement, target)

    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield lambda _: None
        return
    from . import terminal
    from .display import Display

    if picture == "auto":
        how = terminal.told(os.environ, sys.stderr.encoding)
    elif picture == "off":
        how = None
    else:
        how = terminal.capability(picture, os.environ)
    with Display(sys.stderr, how, describe) as display:
        yield display.show


def share(refinement: Refinement, target: Target) -> float | None:
    """Return the share of the target that has been reached, 0 to 1; None if that is unknown."""
    shares = [
        value / wanted
        for value, wanted in (
            (refinement.bytes, target.bytes),
            (refinement.bpp, target.bpp),
            (refinement.predicted_psnr, target.psnr),
        )
        if value is not None and wanted is not None
    ]
    return max(shares, default=None)
