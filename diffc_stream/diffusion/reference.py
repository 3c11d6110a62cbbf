"""A picture that both ends hold, as a second estimate beside the denoiser's.

What a reference tells of a picture is combined with what the stream tells by inverse variances, for
each scale of the Haar transform and each cell (:mod:`~diffc_stream.diffusion.trust`): where the
reference is right, the error of the estimate is small from the start, and steps, whose cost is
proportional to the error's energy, cost next to nothing.  Where it is wrong it has no weight, and
everything is as without it.  The denoiser never sees it, so that it need not know of references
(docs/decisions/0039).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.observation import Observation
from diffc_stream.diffusion.trust import Trust

Floats = NDArray[np.float32]


class ReferencePicture:
    """A reference, fitted to the octaves of a picture."""

    def __init__(self, octaves_: Sequence[Floats | None], trust: Trust) -> None:
        """Take what :func:`fitted` returns, and how far it is trusted."""
        self._octaves = octaves_
        self.trust = trust
        self._sizes = trust.sizes

    def corrected(self, x_hat: Floats, observation: Observation) -> Floats:
        """Return an estimate of the coarsest octave, (3, H, W), combined with the reference.

        ``x_hat`` is the denoiser's, or zeros before anything is observed.
        """
        low = self._octaves[-1]
        assert low is not None
        weight = self._weight(len(self._sizes) - 1, observation.snr)
        return x_hat + weight * (low - x_hat)

    def joined(self, observation: Observation, fine: Floats, coarse: Floats) -> Floats:
        """Join estimates of two octaves as :meth:`Observation.joined` does, with the reference.

        ``coarse`` contains what the reference tells of the coarser scales; where that is trusted,
        the fine estimate has nothing to say about them.
        """
        octave = observation.octave
        weight = self._weight(octave, observation.snr * observation.field.share)
        x_hat = observation.joined(fine, coarse, trusted=weight)
        return octaves.synthesis(
            np.float32(2) * octaves.means(x_hat),
            self._combined(octaves.details(x_hat), octave, weight),
            observation.size,
        )

    def foreseen(self, bands: Floats, octave: int) -> Floats:
        """Return the detail to expect in ``octave`` before any is observed, as ``bands`` is."""
        return self._combined(bands, octave, self._weight(octave, 0.0))

    def enlarged(self, x: Floats, octave: int) -> Floats:
        """Enlarge an estimate to ``octave``, the next finer one, (3, H, W)."""
        wide = octaves.upsampled(x, self._sizes[octave])
        bands = self.foreseen(octaves.details(wide), octave)
        return octaves.synthesis(np.float32(2) * x, bands, self._sizes[octave])

    def _weight(self, scale: int, precision: float) -> Floats:
        return self.trust.weight(scale, precision)

    def _combined(self, bands: Floats, octave: int, weight: Floats) -> Floats:
        reference = self._octaves[octave]
        if reference is None or not weight.any():
            return bands
        known = octaves.details(reference)
        known -= bands
        known *= weight
        known += bands
        return known


def fitted(
    picture: NDArray[np.uint8],
    sizes: Sequence[octaves.Size],
    shift: tuple[int, int] = (0, 0),
    cut: tuple[int, int] = (0, 0),
) -> list[Floats | None]:
    """Return the octaves of a reference, finest first: None for those finer than itself.

    ``picture`` is 8-bit sRGB, (H, W, 3), ``sizes`` those of the octaves of the picture that it
    describes.  It is moved by ``shift`` pixels, down and to the right, while its borders repeat,
    and loses ``cut`` rows and columns at the bottom and the right; then it is reduced to the finest
    octave that is not larger, by the means of areas.  Raises ValueError if it is smaller than the
    coarsest octave.
    """
    rows, columns = (
        np.clip(np.arange(side - less) - moved, 0, side - 1)
        for side, less, moved in zip(picture.shape, cut, shift, strict=False)
    )
    height, width = rows.size, columns.size
    fitting = [
        octave for octave, size in enumerate(sizes) if size[0] <= height and size[1] <= width
    ]
    if not fitting:
        raise ValueError(f"a reference of {width}x{height} pixels is too small for this picture")
    first = fitting[0]
    still = shift == cut == (0, 0)
    seen = picture if still else picture[rows][:, columns]
    x = _reduced(_reduced(octaves.signal(seen), sizes[first][0], 1), sizes[first][1], 2)
    return [None] * first + octaves.all_of(x, len(sizes) - first)


def _reduced(x: Floats, size: int, axis: int) -> Floats:
    """Reduce an axis to ``size`` values, each the mean of an interval of the values before."""
    before = x.shape[axis]
    if before == size:
        return x
    x = np.moveaxis(x, axis, -1)
    sums = np.zeros((*x.shape[:-1], before + 1))
    np.cumsum(x, axis=-1, dtype=np.float64, out=sums[..., 1:])
    places = np.arange(size + 1) * (before / size)
    whole = np.minimum(places.astype(np.intp), before - 1)
    integral = sums[..., whole] + (places - whole) * x[..., whole]
    means = np.diff(integral, axis=-1) * (size / before)
    return np.ascontiguousarray(np.moveaxis(means, -1, axis), dtype=np.float32)
