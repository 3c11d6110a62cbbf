"""Exact sources and their pictures, for tests that need no weights."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec import Encoder
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.analytic import GaussianSource
from diffc_stream.diffusion.field import WHITE, Field, transformed, untransformed
from diffc_stream.diffusion.model import Model

Floats = NDArray[np.float32]

SOURCE = GaussianSource(height=64, width=64)
"""Three octaves: 64, 32 and 16 pixels."""
LARGE = GaussianSource(height=128, width=128)
"""Four; a sender has to look ahead to see all of its stream."""


def model(source: GaussianSource = SOURCE) -> Model:
    """Return ``source`` as a model that streams can name."""
    return Model(name="gaussian", fingerprint=source.fingerprint, denoiser=source)


def picture(seed: int = 0, source: GaussianSource = SOURCE) -> NDArray[np.uint8]:
    """Return an 8-bit sample of ``source``."""
    return octaves.picture(source.sample(np.random.default_rng(seed)))


@cache
def stream(target: int | None = 1500, seed: int = 0) -> bytes:
    """Return the stream of ``picture()``."""
    return b"".join(Encoder(picture(), model(), target_bytes=target, seed=seed))


@cache
def long_stream() -> bytes:
    """Return the stream of ``picture()`` of LARGE, 12,000 bytes of it."""
    return b"".join(Encoder(picture(0, LARGE), model(LARGE), target_bytes=12_000))


def golden_stream() -> bytes:
    """Return the stream of the golden vectors, of 64x64 pixels."""
    vectors = Path(__file__).parent.parent / "vectors" / "stream.json"
    return bytes.fromhex(json.loads(vectors.read_text())["stream"])


def collection(*models: Model) -> Mapping[str, Model]:
    """Return models by fingerprint, the preferred one first."""
    return {model.fingerprint: model for model in models}


class _Independent:
    """The denoiser of white values of variance 4/3, which is that of uniform ones; any size."""

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE) -> Floats:
        return eta / np.float32(snr + 0.75)


def independent(fingerprint: str = "00000001") -> Model:
    """Return a model for pictures of any size."""
    return Model(name="independent", fingerprint=fingerprint, denoiser=_Independent())


class _ByScale:
    """The denoiser of detail that knows nothing of the rest, weaker from scale to scale; any size.

    It knows noise of any field.  The means have the variance 0.3, the coarsest detail 0.05 and the
    next finer one half of that, each in the octave that it is the detail of.
    """

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE) -> Floats:
        size = (eta.shape[1], eta.shape[2])
        scales = len(octaves.sizes(*size)) - 1
        variances = [0.05 * 0.5 ** (scales - 1 - scale) * 4.0**scale for scale in range(scales)]
        estimate = []
        bands = zip(
            transformed(eta, scales),
            [*variances, 0.3 * 4.0**scales],
            field.precisions(scales),
            field.precisions(scales, whole=True),
            strict=True,
        )
        for seen, variance, precision, whole in bands:
            v = np.float32(variance)
            estimate.append(v * whole / (1 + v * np.float32(snr) * precision) * seen)
        return untransformed(estimate, size)


def by_scale() -> Model:
    """Return a model that knows noise of any field, for pictures of any size."""
    return Model(name="by-scale", fingerprint="00000002", denoiser=_ByScale(), shaped=True)


def odd_picture() -> NDArray[np.uint8]:
    """Return a picture whose octaves have odd sides, three of them."""
    return octaves.picture(SOURCE.sample(np.random.default_rng(3))[:, :50, :61])
