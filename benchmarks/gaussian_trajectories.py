"""What it costs to send a chain of observations step by step, rather than all of it jointly.

The paper codes z_T, ..., z_t jointly in theory, at C + log2(C + 1) + 5 bits or fewer for a total
information of C bits, and step by step in practice, where every step pays the logarithm anew
(arXiv 2206.08889, section 3).  Here both are run on a few components: an index of candidates is
chosen by the Poisson functional representation (Li & El Gamal, arXiv 1701.02827), once among whole
trajectories of the receiver's chain, or once for each of its steps.

The chain is exact: the receiver's prior of a step is as wide as noise and error of its estimate
together, component by component.  So the ratio of posterior and prior of a whole trajectory, a
product over its steps, is that of its end alone, and the divergences of the steps add up to the
information.  Other priors pay for that too: :func:`sums`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import e, inf, log2

import numpy as np

from diffc_stream.diffusion.gaussian import Array, Gaussian

MOST_CANDIDATES = 2**20
"""A search that long ends with the best so far; how many did is told."""

_BLOCK = 2048
"""Candidates drawn at once, from a generator of their own so that any can be drawn again."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """A trajectory chosen among candidates."""

    index: int
    """From 1; all that has to be sent."""
    trajectory: Array
    """eta after every step, (steps, N)."""
    exact: bool
    """Whether the search could show that no later candidate would have been chosen."""


def schedule(gaussian: Gaussian, bits: float, steps: int) -> list[Array]:
    """Return the precisions before, between and after ``steps`` steps of equal information.

    The noise is isotropic; the whole chain has ``bits`` bits.
    """
    ends = [
        gaussian.precisions_at(bits * (step + 1) / steps, gaussian.isotropic)
        for step in range(steps)
    ]
    return [np.zeros(gaussian.components), *ends]


def choose(
    gaussian: Gaussian, x: Array, eta: Array, precisions: Sequence[Array], key: tuple[int, ...]
) -> Choice:
    """Choose a trajectory through ``precisions``, beginning at ``eta``, to tell of ``x``.

    ``x`` and ``eta`` have shape (N,).  ``key`` is what both ends seed their generators with.
    The candidate i minimises T_i / w_i, T_i the arrivals of a Poisson process and w_i the ratio of
    posterior and prior; as w_i has a bound, the search ends.
    """
    bound = _largest(gaussian, x, eta, precisions)
    arrival, least, found = 0.0, inf, (0, 0)
    for block in range(MOST_CANDIDATES // _BLOCK):
        trajectories, ratios, gaps = _drawn(gaussian, x, eta, precisions, (*key, block))
        arrivals = arrival + np.cumsum(gaps)
        scores = np.log(arrivals) - ratios
        best = int(scores.argmin())
        if scores[best] < least:
            least, found, chosen = float(scores[best]), (block, best), trajectories[:, best].copy()
        arrival = float(arrivals[-1])
        if np.log(arrival) - bound >= least:
            break
    index = found[0] * _BLOCK + found[1] + 1
    return Choice(index, chosen, exact=bool(np.log(arrival) - bound >= least))


def rebuilt(
    gaussian: Gaussian, eta: Array, precisions: Sequence[Array], key: tuple[int, ...], index: int
) -> Array:
    """Return the trajectory, (steps, N), that ``index`` names, as the receiver does without x."""
    block, place = divmod(index - 1, _BLOCK)
    return _candidates(gaussian, eta, precisions, (*key, block))[0][:, place]


def index_bits(index: int, information: float) -> float:
    """Return the length in bits of an index under the code for ``information`` bits.

    A zeta distribution of exponent 1 + 1 / (information + log2(e) / e + 1), the choice of Li & El
    Gamal, section 2; lengths as an arithmetic coder reaches them, not rounded up to whole bits.
    """
    exponent = 1.0 + 1.0 / (information + log2(e) / e + 1.0)
    return exponent * log2(index) + log2(_zeta(exponent))


@dataclass(frozen=True, slots=True)
class Sums:
    """What the steps of a chain cost in bits, expected, by the receiver's prior."""

    exact: float
    """As wide as noise and error are, component by component: the information."""
    one_width: float
    """As wide as noise and error are on average: the codec's."""
    noise_alone: float
    """As wide as the noise: that of DDPM and of the paper's bound."""


def sums(gaussian: Gaussian, precisions: Sequence[Array]) -> Sums:
    """Return the expected sum of the divergences of the steps through ``precisions``."""
    exact = one_width = noise_alone = 0.0
    for before, after in pairwise(precisions):
        energies = (after - before) * gaussian.posterior(before)
        exact += float(np.log1p(energies).sum())
        one_width += float(len(energies) * np.log1p(energies.mean()))
        noise_alone += float(energies.sum())
    unit = 1.0 / (2.0 * np.log(2.0))
    return Sums(exact * unit, one_width * unit, noise_alone * unit)


def log_ratio(gaussian: Gaussian, x: Array, eta: Array, precisions: Array) -> Array:
    """Return ln q(eta | x) / p(eta), shape (M,), of observations from nothing, (M, N)."""
    noise = (eta - precisions * x) ** 2 / precisions
    wide = 1.0 + precisions * gaussian.variances
    ratios: Array = 0.5 * (np.log(wide) + eta**2 / (precisions * wide) - noise).sum(axis=-1)
    return ratios


def _drawn(
    gaussian: Gaussian, x: Array, eta: Array, precisions: Sequence[Array], key: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """Return a block's trajectories, the logarithms of their ratios, and the gaps of arrivals."""
    trajectories, gaps = _candidates(gaussian, eta, precisions, key)
    ratios = np.zeros(len(gaps))
    before = np.broadcast_to(eta, trajectories.shape[1:])
    for (known, goal), after in zip(pairwise(precisions), trajectories, strict=True):
        gained = goal - known
        error = gaussian.posterior(known)
        x_hat = before * error
        y = (after - before - gained * x_hat) / np.sqrt(gained)
        wide = 1.0 + gained * error
        shift = np.sqrt(gained) * (x - x_hat)
        ratios += 0.5 * (np.log(wide) + y**2 / wide - (y - shift) ** 2).sum(axis=1)
        before = after
    return trajectories, ratios, gaps


def _candidates(
    gaussian: Gaussian, eta: Array, precisions: Sequence[Array], key: tuple[int, ...]
) -> tuple[Array, Array]:
    """Return a block of trajectories, (steps, block, N), and the gaps between their arrivals."""
    rng = np.random.default_rng(key)
    gaps = rng.standard_exponential(_BLOCK)
    trajectories = np.empty((len(precisions) - 1, _BLOCK, gaussian.components))
    before = np.broadcast_to(eta, trajectories.shape[1:])
    for (known, goal), after in zip(pairwise(precisions), trajectories, strict=True):
        gained = goal - known
        error = gaussian.posterior(known)
        y = rng.standard_normal(before.shape) * np.sqrt(1.0 + gained * error)
        after[:] = before * (1.0 + gained * error) + np.sqrt(gained) * y
        before = after
    return trajectories, gaps


def _largest(gaussian: Gaussian, x: Array, eta: Array, precisions: Sequence[Array]) -> float:
    """Return the logarithm of the largest ratio that any trajectory may have."""
    error = gaussian.posterior(precisions[0])
    gained = precisions[-1] - precisions[0]
    missed = x - eta * error
    return float(0.5 * (np.log1p(gained * error) + missed**2 / error).sum())


def _zeta(exponent: float) -> float:
    """Return Riemann's zeta of a real number above 1, by Euler and Maclaurin."""
    n = 32
    head = sum(k**-exponent for k in range(1, n))
    tail = n ** (1 - exponent) / (exponent - 1) + n**-exponent / 2
    return float(head + tail + exponent * n ** (-exponent - 1) / 12)
