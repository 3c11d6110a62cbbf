"""A picture in a notebook that sharpens, with a byte axis and a realism dial (extra ``notebook``)::

from diffc_client.notebook import PictureWidget

PictureWidget("ws://localhost:8765/coffee.jpg", bpp=0.4)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc_stream.exports import lazily

if TYPE_CHECKING:
    from .widget import PictureWidget as PictureWidget

_HOMES = {"PictureWidget": "widget"}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    __getattr__ = lazily(__name__, _HOMES)
