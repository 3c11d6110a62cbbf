"""What precision that falls from scale to scale gains on a Gaussian, where theory is exact.

    python -m benchmarks.gaussian_scales --images DIR [--every 3]

Fits a Gaussian to 16x16 patches of photographs, in colour, and prints, as Markdown, the PSNR of the
posterior mean at ideal bits: of the rate-distortion function R(D), and of observations of octaves
(docs/decisions/0028) by the ratio of precision between neighbouring scales.  At each rate the
octave is observed that leaves the least error; "finest only" is white noise in the picture itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from math import isqrt, log10, prod
from pathlib import Path

import numpy as np

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.field import Field, shapes, transformed
from diffc_stream.diffusion.gaussian import Array, Gaussian
from diffc_stream.errors import UnreadablePicture
from diffc_stream.picture import load_picture

from .command import count, exit_code
from .gaussian_patches import SIDE, cut
from .pictures import pictures

RATES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Bits per pixel."""
RATIOS = (1.0, 0.8, 0.6, 0.4)
_HALVINGS = 30
_LEAST, _MOST = 1e-6, 1e6
"""Between these the signal-to-noise ratio is looked for."""


@dataclass(frozen=True, eq=False)
class Patches:
    """A Gaussian of colour patches, zero mean, by the covariance of their values, (N, N).

    Values are in signal units, channel by channel and row by row.  Sides are a power of two.
    """

    covariance: Array

    @property
    def side(self) -> int:
        """Of a patch, in pixels."""
        return isqrt(len(self.covariance) // octaves.CHANNELS)

    @property
    def octaves(self) -> int:
        """How many a patch has, down to its mean."""
        return self.side.bit_length()

    @classmethod
    def of(cls, paths: Sequence[Path]) -> Patches:
        """Fit the patches of photographs.

        Raises UnreadablePicture if they are no pictures, or hold fewer patches than a patch values.
        """
        cuts = [cut(octaves.signal(load_picture(path)), SIDE) for path in paths]
        found = np.concatenate(cuts).astype(np.float64)
        if len(found) < found.shape[1]:
            raise UnreadablePicture(f"{len(found)} patches are too few for {found.shape[1]} values")
        colours = found.reshape(len(found), octaves.CHANNELS, -1)
        centred = (colours - colours.mean(axis=(0, 2), keepdims=True)).reshape(found.shape)
        return cls(centred.T @ centred / len(centred))

    @cached_property
    def gaussian(self) -> Gaussian:
        """The same by its independent components."""
        return Gaussian.of_covariance(self.covariance)

    def bound(self, bits: float) -> float:
        """Return the mean squared error that R(D) allows at ``bits`` per pixel."""
        return self.gaussian.error(bits * self.side**2)

    def error(self, bits: float, ratio: float, octave: int) -> float:
        """Return that of the posterior mean, of an ideal observation of ``octave``.

        Each scale's precision is ``ratio`` times that of the next coarser one.
        """
        low, high = _LEAST, _MOST
        for _ in range(_HALVINGS):
            snr = (low * high) ** 0.5
            if self._bits(snr, ratio, octave) < bits:
                low = snr
            else:
                high = snr
        return self._left((low * high) ** 0.5, ratio, octave)

    def best(self, bits: float, ratio: float) -> float:
        """Return the error of the octave that leaves the least."""
        return min(self.error(bits, ratio, octave) for octave in range(self.octaves))

    def _bits(self, snr: float, ratio: float, octave: int) -> float:
        """Return the information of an observation, in bits per pixel."""
        seen, root = self._seen(snr, ratio, octave)
        _, nats = np.linalg.slogdet(np.eye(len(seen)) + root[:, None] * seen * root)
        return float(nats / np.log(4) / self.side**2)

    def _left(self, snr: float, ratio: float, octave: int) -> float:
        """Return the mean squared error that an observation leaves."""
        seen, root = self._seen(snr, ratio, octave)
        across = self._spread[-len(seen) :]
        known = np.linalg.solve(seen + np.diag(root**-2), across)
        removed = float((across * known).sum())
        return (float(np.trace(self.covariance)) - removed) / len(self.covariance)

    def _seen(self, snr: float, ratio: float, octave: int) -> tuple[Array, Array]:
        """Return the covariance of what is observed, and the roots of its precisions."""
        side, scales = self.side >> octave, self.octaves - 1 - octave
        precisions = Field(ratio=ratio).precisions(scales)
        counts = [prod(shape) for shape in shapes((side, side), scales)]
        root = np.sqrt(snr * np.repeat(np.array(precisions, np.float64), counts))
        return self._spread[-len(root) :] @ _haar(self.side)[-len(root) :].T, root

    @cached_property
    def _spread(self) -> Array:
        """The covariance of Haar coefficients, finest first, with values, (N, N)."""
        return np.asarray(_haar(self.side) @ self.covariance)


def table(patches: Patches) -> str:
    """Return the PSNR in dB at :data:`RATES`, as Markdown."""
    rows = [("R(D)", [patches.bound(rate) for rate in RATES])]
    rows.append(("white noise, finest only", [patches.error(rate, 1.0, 0) for rate in RATES]))
    for ratio in RATIOS:
        name = "white noise, by octaves" if ratio == 1.0 else f"by octaves, ratio {ratio:g}"
        rows.append((name, [patches.best(rate, ratio) for rate in RATES]))
    lines = [["bits per pixel", *(f"{rate:g}" for rate in RATES)], ["---", *["---:"] * len(RATES)]]
    for name, errors in rows:
        lines.append([name, *(f"{10 * log10(16 / error):.2f}" for error in errors)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and return the exit code; errors are one line on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gaussian_scales",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=Path, metavar="DIR", required=True, help="photographs")
    parser.add_argument("--every", type=count, default=1, help="take every N-th picture")
    parsed = parser.parse_args(arguments)
    return exit_code(
        "gaussian_scales",
        lambda: print(table(Patches.of(pictures(parsed.images, parsed.every)))),
    )


@cache
def _haar(side: int) -> Array:
    """Return the orthonormal Haar transform of a patch, (N, N), finest coefficients first."""
    rows = []
    for value in np.eye(octaves.CHANNELS * side**2, dtype=np.float32):
        bands = transformed(value.reshape(octaves.CHANNELS, side, side), side.bit_length() - 1)
        rows.append(np.concatenate([band.reshape(-1) for band in bands]))
    return np.array(rows, np.float64).T


if __name__ == "__main__":
    sys.exit(main())
