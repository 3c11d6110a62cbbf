"""What both ends know of all pictures of a clip.

Every picture has a chain of observations of its own (:class:`~diffc_stream.codec.chain.Chain`), so
that a step is what it is for single pictures.  What ties them together are second estimates: at any
place of the stream, a picture can be guessed from what its neighbours have come to.
:meth:`Group.second` is the only definition of that, for both ends.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from diffc_stream.clips.remembering import Remembering
from diffc_stream.codec.chain import Chain
from diffc_stream.container import Header, Motion, Second
from diffc_stream.container.clip import sources
from diffc_stream.container.grammar import ratio
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.model import Model
from diffc_stream.diffusion.motion import Motion as Vectors
from diffc_stream.diffusion.reference import ReferencePicture
from diffc_stream.diffusion.trust import Trust
from diffc_stream.errors import CorruptStream, PictureTooLarge

Floats = NDArray[np.float32]

MOST_PIXELS = 2**23
"""Pixels of all pictures of a clip together: each takes some hundred bytes of memory."""
SECOND_COST = 4
"""Making a second estimate counts as evaluating a picture this many times smaller."""


class Group:
    """The chains of all pictures of a clip.

    Raises PictureTooLarge beyond ``most_pixels`` in all.
    """

    def __init__(self, header: Header, model: Model, *, most_pixels: int = MOST_PIXELS) -> None:
        clip = header.clip
        assert clip is not None
        if header.pixels > most_pixels:
            raise PictureTooLarge(
                f"{clip.pictures} pictures of {header.width}x{header.height} have "
                f"{header.pixels:,} pixels, more than the limit of {most_pixels:,} for a clip"
            )
        self.sources = sources(clip)
        """The earlier and the later source of each picture, in the order of coding."""
        self.chains = [
            Chain(
                Remembering(model.denoiser),
                height=header.height,
                width=header.width,
                seed=(header.seed + number) % 2**32,
                ratio=ratio(header.ratio),
            )
            for number in range(clip.pictures)
        ]
        still = Vectors.still(self.chains[0].sizes)
        self.motions = [(still, still)] * clip.pictures
        """How each picture has moved since its sources."""
        self.made = [0] * clip.pictures
        """Second estimates of each picture so far."""

    @property
    def work(self) -> int:
        """Pixels evaluated so far, and what counts as that."""
        evaluated = sum(chain.work for chain in self.chains)
        return evaluated + sum(self.made) * prod(self.chains[0].sizes[0]) // SECOND_COST

    def begun(self, number: int) -> bool:
        """Return whether anything is known of a picture."""
        chain = self.chains[number]
        return chain.steps > 0 or chain.reference is not None

    def nearest(self, number: int, partly: int | None = None) -> int | None:
        """Return the picture to show for a picture: itself, or the nearest of which there is some.

        That is one that has begun or, if none of those is as near, the one of which a part of a
        step is there, ``partly``.
        """
        begun = [other for other in range(len(self.chains)) if self.begun(other)]
        if partly is not None:
            begun.append(partly)
        return min(begun, key=lambda other: abs(other - number), default=None)

    def state(self, number: int) -> tuple[int, int]:
        """Return what changes when something becomes known of a picture."""
        return self.chains[number].steps, self.made[number]

    def guess(self, number: int) -> Floats:
        """Return what is known of a picture, (3, H, W), without evaluating the denoiser twice."""
        return self.chains[number].guess()

    def seen(self, number: int, *, earlier: bool, later: bool) -> Floats:
        """Return the mean of a picture's sources, (3, H, W), each moved by its motion.

        Raises CorruptStream if there is no such source, or if nothing is known of it.
        """
        total: Floats | None = None
        for place, used in enumerate((earlier, later)):
            if used:
                x = self.motions[number][place].moved(self.guess(self.source(number, place)))
                total = x if total is None else (total + x) * np.float32(0.5)
        assert total is not None
        return total

    def source(self, number: int, place: int) -> int:
        """Return a picture's earlier (0) or later (1) source.

        Raises CorruptStream if there is none, or if nothing is known of it.
        """
        source = self.sources[number][place]
        if source is None or not self.begun(source):
            raise CorruptStream(f"picture {number} starts from one that is not there", offset=0)
        return source

    def moves(self, number: int, motion: Motion) -> None:
        """Take another motion of a picture.  Raises CorruptStream if it makes no sense."""
        self.source(number, motion.source)
        try:
            vectors = Vectors.parse(motion.vectors, self.chains[number].sizes)
        except ValueError as error:
            raise CorruptStream(str(error), offset=0) from error
        both = list(self.motions[number])
        both[motion.source] = vectors
        self.motions[number] = both[0], both[1]

    def second(self, number: int, second: Second) -> None:
        """Take another second estimate of a picture.

        Raises CorruptStream if nothing is known of its sources, or if the description makes no
        sense.
        """
        chain = self.chains[number]
        seen = self.seen(number, earlier=second.earlier, later=second.later)
        try:
            trust = Trust.parse(second.trust, chain.sizes)
        except ValueError as error:
            raise CorruptStream(str(error), offset=0) from error
        chain.seconded(ReferencePicture(octaves.all_of(seen, len(chain.sizes)), trust))
        self.made[number] += 1
