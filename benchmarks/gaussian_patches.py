"""The Gaussian that has the covariance of patches of photographs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffc_stream.destination import writing
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.gaussian import Gaussian
from diffc_stream.errors import UnreadablePicture
from diffc_stream.picture import load_picture

SIDE = 16
"""Of a patch, in pixels, as in the paper's analysis (arXiv 2206.08889, section 4)."""
MOST_OF_A_PICTURE = 64
"""Patches, evenly chosen, so that a large picture does not outvote the others."""
LUMA = (0.299, 0.587, 0.114)
MOST_BYTES = 1_000_000
"""Of a file of eigenvalues."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A Gaussian fitted to photographs, and to how many."""

    gaussian: Gaussian
    patches: int
    pictures: int

    def save(self, path: Path) -> None:
        """Write the eigenvalues, which hold no picture, as JSON, wholly or not at all."""
        entries = {
            "what": f"eigenvalues of the covariance of {SIDE}x{SIDE} patches of luma",
            "unit": "values are 2 (v / 127.5 - 1)",
            "patches": self.patches,
            "pictures": self.pictures,
            "variances": self.gaussian.variances.tolist(),
        }
        with writing(path) as file:
            file.write(f"{json.dumps(entries, indent=1)}\n".encode())


def fitted(paths: Sequence[Path]) -> Fit:
    """Fit the patches of photographs, the means of patches kept.

    Raises UnreadablePicture if they are no pictures, or have fewer patches than a patch has values.
    """
    found = np.concatenate([patches(load_picture(path)) for path in paths])
    if len(found) < SIDE * SIDE:
        raise UnreadablePicture(f"{len(found)} patches are too few for {SIDE * SIDE} variances")
    try:
        gaussian = Gaussian.fitted(found.astype(np.float64))
    except ValueError as error:
        raise UnreadablePicture(f"the patches leave {error}") from error
    return Fit(gaussian, patches=len(found), pictures=len(paths))


def saved(path: Path) -> Fit:
    """Read what :meth:`Fit.save` wrote; without a basis, so that components are all there is.

    Raises UnreadablePicture if it is something else, OSError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            entries = json.loads(file.read(MOST_BYTES))
        variances = np.array(entries["variances"], np.float64)
        return Fit(Gaussian(variances), int(entries["patches"]), int(entries["pictures"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadablePicture(f"{path}: not a file of eigenvalues") from error


def patches(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return patches of the luma of ``picture``, (H, W, 3), as rows of (count, 256).

    They lie side by side and are those that fit, or :data:`MOST_OF_A_PICTURE` of them.
    """
    luma = np.tensordot(np.asarray(LUMA, np.float32), octaves.signal(picture), axes=1)
    return cut(luma[None], SIDE)


def cut(x: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return patches of ``x``, (C, H, W), as rows of (count, C * side * side), channel by channel.

    They lie side by side and are those that fit, or :data:`MOST_OF_A_PICTURE` of them.
    """
    rows, columns = (length // side for length in x.shape[1:])
    blocks = x[:, : rows * side, : columns * side].reshape(len(x), rows, side, columns, side)
    found = blocks.transpose(1, 3, 0, 2, 4).reshape(rows * columns, len(x) * side**2)
    count = min(len(found), MOST_OF_A_PICTURE)
    return np.ascontiguousarray(found[np.arange(count) * len(found) // max(count, 1)])
