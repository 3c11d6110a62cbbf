"""The schemes of the paper's analysis, in closed form and as coded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np

from diffc_stream.diffusion.gaussian import Array, Gaussian, Precisions

from .gaussian_coding import Measured, Transmission, decibels, squared_error

GROWTH = 1.25
"""Largest factor by which a step changes snr or level, where both change the precisions."""
BEGINNING = 0.002
"""Bits per component of the first step, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A family of observations, by one parameter, and what is reconstructed from them."""

    name: str
    precisions: Callable[[Gaussian], Precisions]
    falling: bool
    """Whether a larger parameter, a level, means fewer bits."""
    sampled: str | None
    """Name of the scheme whose reconstruction is a sample of the posterior."""
    transported: str | None
    """Name of the scheme whose reconstruction is the probability flow, or Z itself."""
    scaled: bool = False
    """Whether that is Z itself."""

    def at(self, gaussian: Gaussian, rate: float) -> Array:
        """Return the precisions at ``rate`` bits per component."""
        bits = rate * gaussian.components
        return gaussian.precisions_at(bits, self.precisions(gaussian), falling=self.falling)


ISOTROPIC = Noise(
    name="isotropic",
    precisions=lambda gaussian: gaussian.isotropic,
    falling=False,
    sampled="DiffC-A",
    transported="DiffC-F",
)
PINK = Noise(
    name="pink",
    precisions=lambda gaussian: gaussian.pink,
    falling=False,
    sampled="DiffC-A, pink",
    transported="DiffC-F, pink",
)
WATER = Noise(
    name="reverse water-filling",
    precisions=lambda gaussian: gaussian.water_filling,
    falling=True,
    sampled="DiffC-A*",
    transported=None,
)
REALISTIC = Noise(
    name="of DiffC-F*",
    precisions=lambda gaussian: gaussian.realistic,
    falling=True,
    sampled=None,
    transported="DiffC-F*",
    scaled=True,
)
NOISES = (ISOTROPIC, PINK, WATER, REALISTIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Rate and error of a scheme, or of a bound, in closed form."""

    name: str
    rates: Sequence[float]
    """Bits per component."""
    errors: Sequence[float]
    """Mean squared errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariance:
    """How the covariance of M reconstructions compares with the source's, component by component.

    In units of the standard error that a sample of M leaves, all would be standard normal if the
    covariances were equal.
    """

    total: float
    """Mean variance over the source's."""
    deviation: float
    """Largest relative deviation of a component's variance."""
    largest: float
    """The same, in standard errors."""
    spread: float
    """Root mean square of the deviations, in standard errors."""
    correlation: float
    """Largest correlation between two components, in standard errors."""
    correlations: float
    """Root mean square of the correlations, in standard errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A scheme at one rate: what was coded, and what theory says of the precisions reached.

    Rates are bits per component.
    """

    scheme: str
    wanted: float
    """The rate that the closed form was solved for."""
    information: float
    """Of an ideal observation at the precisions reached."""
    ideal_bits: float
    payload_bits: float
    steps: int
    noise: float
    """Variance of the observation's noise, ideally 1."""
    error: Measured
    theory: float
    bound: float
    """R(D / 2) of the measured error, in bits per component."""
    covariance: Covariance
    gain: Measured | None
    """By how many dB a flow is better than a posterior sample of the same stream."""
    gain_theory: float | None
    ratios: Sequence[float]
    """Measured signal-to-noise ratio of every component, 0 where nothing was sent."""
    ratios_theory: Sequence[float]
    variances: Sequence[float]
    """Of the reconstruction's components."""


def curves(gaussian: Gaussian, rates: Sequence[float]) -> list[Curve]:
    """Return all closed forms at ``rates``, and the bounds R(D) and R(D / 2)."""
    bits = [rate * gaussian.components for rate in rates]
    least = [gaussian.error(rate) for rate in bits]
    found = [("R(D)", least), ("R(D/2)", [2 * error for error in least])]
    for noise in NOISES:
        known = [noise.at(gaussian, rate) for rate in rates]
        if noise.sampled:
            found.append((noise.sampled, [gaussian.posterior_error(p) for p in known]))
        if noise.transported:
            found.append((noise.transported, [gaussian.flow_error(p) for p in known]))
    return [Curve(name=name, rates=list(rates), errors=errors) for name, errors in found]


def coded(
    gaussian: Gaussian, noise: Noise, rates: Sequence[float], count: int, seed: int
) -> Iterator[Point]:
    """Code ``count`` samples with one stream, and yield what it gives at ``rates``, ascending."""
    rng = np.random.default_rng((seed, NOISES.index(noise)))
    x = gaussian.sample(rng, count)
    transmission = Transmission(gaussian, x, seed=seed)
    before = BEGINNING
    for rate in rates:
        for goal in _path(gaussian, noise, before, rate):
            transmission.refine(goal)
        before = rate
        yield from _points(transmission, x, noise, rate, rng)


def covariance(gaussian: Gaussian, shown: Array) -> Covariance:
    """Compare the covariance of ``shown``, components (M, N) of mean zero, with the source's."""
    count = len(shown)
    white = shown / np.sqrt(gaussian.variances)
    products = white.T @ white / count
    deviations = np.diag(products) - 1.0
    pairs = products[np.triu_indices(gaussian.components, 1)] * np.sqrt(count)
    scores = deviations * np.sqrt(count / 2)
    return Covariance(
        total=float((shown**2).mean() / gaussian.variance),
        deviation=float(np.abs(deviations).max()),
        largest=float(np.abs(scores).max()),
        spread=float(np.sqrt((scores**2).mean())),
        correlation=float(np.abs(pairs).max()),
        correlations=float(np.sqrt((pairs**2).mean())),
    )


def _path(gaussian: Gaussian, noise: Noise, before: float, rate: float) -> Iterator[Array]:
    """Yield the precisions after every step from one rate to another, the first rate included."""
    family = noise.precisions(gaussian)
    start, end = (_parameter(gaussian, noise, r) for r in (before, rate))
    steps = max(1, ceil(abs(log(end / start)) / log(GROWTH)))
    yield from (family(start * (end / start) ** (step / steps)) for step in range(steps + 1))


def _parameter(gaussian: Gaussian, noise: Noise, rate: float) -> float:
    return gaussian.parameter_at(
        rate * gaussian.components, noise.precisions(gaussian), falling=noise.falling
    )


def _points(
    transmission: Transmission, x: Array, noise: Noise, rate: float, rng: np.random.Generator
) -> Iterator[Point]:
    gaussian, known = transmission.gaussian, transmission.precisions
    drawn = transmission.drawn(rng)
    if noise.sampled:
        theory = gaussian.posterior_error(known)
        yield _point(noise.sampled, transmission, x, rate, drawn, theory)
    if noise.transported:
        shown = transmission.scaled() if noise.scaled else transmission.flowed()
        theory = gaussian.flow_error(known)
        gain = decibels(x, drawn, shown)
        expected = 10 * np.log10(gaussian.posterior_error(known) / theory)
        yield _point(noise.transported, transmission, x, rate, shown, theory, gain, float(expected))


def _point(
    scheme: str,
    transmission: Transmission,
    x: Array,
    rate: float,
    shown: Array,
    theory: float,
    gain: Measured | None = None,
    gain_theory: float | None = None,
) -> Point:
    gaussian, known = transmission.gaussian, transmission.precisions
    error = squared_error(x, shown)
    return Point(
        scheme=scheme,
        wanted=rate,
        information=gaussian.information(known) / gaussian.components,
        ideal_bits=transmission.ideal_bits / x.size,
        payload_bits=transmission.payload_bits / x.size,
        steps=transmission.steps,
        noise=transmission.noise(),
        error=error,
        theory=theory,
        bound=gaussian.rate(error.value / 2) / gaussian.components,
        covariance=covariance(gaussian, shown),
        gain=gain,
        gain_theory=gain_theory,
        ratios=transmission.ratios().tolist(),
        ratios_theory=(known * gaussian.variances).tolist(),
        variances=(shown**2).mean(axis=0).tolist(),
    )
