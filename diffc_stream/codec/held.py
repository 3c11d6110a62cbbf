"""A picture that sender and receiver hold before a stream begins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec.comparison import compared
from diffc_stream.codec.motion import moved
from diffc_stream.container import Reference
from diffc_stream.container.reference import digest, nameable, possible
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.reference import ReferencePicture, fitted
from diffc_stream.diffusion.trust import Trust
from diffc_stream.errors import CorruptStream

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """A picture, and the bytes that both ends made it of."""

    picture: NDArray[np.uint8]
    """8-bit sRGB, (H, W, 3)."""
    data: bytes
    """A file, or the beginning of a stream: what names the picture."""
    name: str = ""
    """Where receivers may look for the file, if it is not empty; a stream leaves out one that is
    too long to be said."""

    view: tuple[int, int, int, int] | None = None
    """The part that pictures show which start from it: top, left, height and width in its own
    pixels.  None is all of it."""

    def used_for(self, picture: NDArray[np.uint8]) -> tuple[Reference, ReferencePicture] | None:
        """Return what a stream of ``picture``, 8-bit sRGB, says of this one, and what it is worth.

        None if it is of no use for that picture, or is beyond what a stream can say.
        """
        height, width = picture.shape[:2]
        sizes = octaves.sizes(height, width)
        top, left, rows, columns = self.view or (0, 0, *self.picture.shape[:2])
        if rows < sizes[-1][0] or columns < sizes[-1][1]:
            return None
        shift = -top, -left
        cut = self.picture.shape[0] - rows, self.picture.shape[1] - columns
        if not possible(len(self.data), shift, cut):
            return None
        x = octaves.all_of(octaves.signal(picture), len(sizes))
        reference = fitted(self.picture, sizes, shift, cut)
        if self.view is None and self.picture.shape == picture.shape:
            shift = moved(x, [octave for octave in reference if octave is not None])
            if shift != (0, 0):
                reference = fitted(self.picture, sizes, shift)
        trust = compared(x, reference)
        if trust is None:
            return None
        said = Reference(
            size=len(self.data),
            digest=digest(self.data),
            name=self.name if nameable(self.name) else "",
            shift=shift,
            cut=cut,
            trust=trust.encode(),
        )
        return said, ReferencePicture(reference, trust)


def found(said: Reference, picture: NDArray[np.uint8], height: int, width: int) -> ReferencePicture:
    """Return the reference of a stream whose picture has ``height`` x ``width`` pixels.

    ``picture`` is the reference, 8-bit sRGB.  Raises CorruptStream if what the stream says of it
    makes no sense.
    """
    sizes = octaves.sizes(height, width)
    try:
        trust = Trust.parse(said.trust, sizes)
        return ReferencePicture(fitted(picture, sizes, said.shift, said.cut), trust)
    except ValueError as error:
        raise CorruptStream(str(error), offset=0) from error
