"""Clips: seconds of pictures that follow one another, as one progressive stream.

The first bytes of the stream show every picture coarsely, and all others sharpen all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffc_stream.exports import lazily

if TYPE_CHECKING:
    from diffc_stream.clips.decoder import ClipDecoder as ClipDecoder
    from diffc_stream.clips.encoder import ClipEncoder as ClipEncoder
    from diffc_stream.clips.footage import Footage as Footage
    from diffc_stream.clips.footage import load_footage as load_footage

# Imported on demand: the name of a file can be checked without loading what decodes clips.
_HOMES = {
    "ClipDecoder": "decoder",
    "ClipEncoder": "encoder",
    "Footage": "footage",
    "load_footage": "footage",
}

__all__ = list(_HOMES)


if not TYPE_CHECKING:  # or any name at all would pass a type checker
    __getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
