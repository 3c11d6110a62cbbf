"""The codec's chain on samples of a known Gaussian: real payloads, then reconstructions.

What :mod:`diffc_stream.codec.chain` does with pictures, for vectors whose components are observed
at precisions of their own (:mod:`diffc_stream.diffusion.gaussian`).  Many samples are coded at
once, as the values of one picture are: one step runs over the components of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, log, log2

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel import trellis
from diffc_stream.channel.rotation import Rotation
from diffc_stream.channel.simulator import Address, Simulator
from diffc_stream.channel.trellis import Trellis
from diffc_stream.codec.encode_report import ideal_bits
from diffc_stream.diffusion.gaussian import Array, Gaussian

Floats = NDArray[np.float32]

CLEAN = 1e3
"""Signal-to-noise ratio of the faintest component at which the posterior mean is as good as x."""
FLOW_STEP = 0.1
"""Length of the flow's steps in ln s, s the width of the noise; the first one is shorter."""
FIRST_STEP = 0.04
DRAWS = 24
"""Steps of ancestral sampling; exact on a Gaussian with any number."""


class Transmission:
    """Samples of a Gaussian on their way, and what the receiver knows of them.

    ``x`` has shape (M, N), components of ``gaussian``; ``simulator`` brings the steps across, the
    trellis unless another is given.
    """

    def __init__(
        self, gaussian: Gaussian, x: Array, *, seed: int = 0, simulator: Simulator | None = None
    ) -> None:
        self.gaussian = gaussian
        self.precisions = np.zeros(gaussian.components)
        """Of the observation, shape (N,)."""
        self.eta = np.zeros_like(x)
        """precision * x + sqrt(precision) * n, shape (M, N)."""
        self.steps = 0
        self.payload_bits = 0
        self.ideal_bits = 0.0
        """Sum over the steps of -(D/2) log2(1 - r^2), r the cosine between sample and shift."""
        self._simulator = simulator or Trellis()
        self._x = x
        self._seed = seed

    def refine(self, goal: Array) -> None:
        """Send what takes the precisions, shape (N,), to about ``goal``.

        Components that gain nothing are left out.  The step is as long as it takes for the energy
        that both ends expect of the error; how much precision it brought tells the simulator.
        """
        gains = goal - self.precisions
        active = gains > 0
        if not active.any():
            return
        gains = np.where(active, gains, 0.0)
        x_hat = self.estimate()
        shift = (np.sqrt(gains) * (self._x - x_hat))[:, active].astype(np.float32).ravel()
        energy = float((gains * self.gaussian.posterior(self.precisions))[active].mean())
        rotation = Rotation(shift.size, seed=self._seed, address=self.steps)
        rotated = rotation.forward(shift)
        address = Address(seed=self._seed, step=self.steps)
        length = length_for(energy, shift.size)
        simulation = self._simulator.simulate(rotated, length, address)
        y = np.zeros_like(self.eta)
        y[:, active] = rotation.inverse(simulation.sample.values).reshape(len(y), -1)
        gained = simulation.gain**2 * gains
        self.eta += gained * x_hat + np.sqrt(gained) * y
        self.precisions = self.precisions + gained
        self.steps += 1
        self.payload_bits += 8 * len(simulation.payload)
        self.ideal_bits += ideal_bits(rotated, simulation.sample.values)

    def estimate(self) -> Array:
        """Return the posterior mean, (M, N)."""
        return self.eta * self.gaussian.posterior(self.precisions)

    def noise(self) -> float:
        """Return the variance of what is noise in eta over what it should be, ideally 1."""
        sent = self.precisions > 0
        noise = (self.eta - self.precisions * self._x)[:, sent]
        return float((noise**2 / self.precisions[sent]).mean())

    def ratios(self) -> Array:
        """Return the signal-to-noise ratio of every component as measured, (N,), 0 if not sent."""
        noise = ((self.eta - self.precisions * self._x) ** 2).mean(axis=0)
        signal = self.precisions**2 * self.gaussian.variances
        return np.asarray(np.divide(signal, noise, where=noise > 0, out=np.zeros_like(signal)))

    def drawn(self, rng: np.random.Generator, draws: int = DRAWS) -> Array:
        """Return a sample of the posterior, (M, N), by ancestral sampling (DiffC-A, DiffC-A*).

        The chain goes on with samples that the receiver draws from its own prior, which is as wide
        as noise and error of the estimate together.
        """
        eta, precisions = self.eta.copy(), self.precisions
        variances = self.gaussian.variances
        first, last = 1.0 / variances.max(), CLEAN / variances.min()
        before = 0.0
        for added in np.geomspace(first, last, draws):
            delta = float(added) - before
            before = float(added)
            error = self.gaussian.posterior(precisions)
            y = rng.standard_normal(eta.shape) * np.sqrt(1.0 + delta * error)
            eta += delta * (eta * error) + np.sqrt(delta) * y
            precisions = precisions + delta
        return np.asarray(eta * self.gaussian.posterior(precisions))

    def flowed(self, step: float = FLOW_STEP) -> Array:
        """Return where the probability flow ends, (M, N) (DiffC-F); every component must be sent.

        The equation du / d ln s = u - x_hat is integrated as the codec does
        (:mod:`diffc_stream.codec.continuation`, DPM-Solver++(2M)), all precisions growing alike.
        """
        u, precisions = self.eta / self.precisions, self.precisions
        goal = CLEAN / float((precisions * self.gaussian.variances).min())
        past: tuple[Array, float] | None = None
        for length in _lengths(0.5 * log(max(goal, 1.0)), step):
            x_hat = self.gaussian.estimate(u, precisions)
            ahead = x_hat
            if past is not None:
                ahead = x_hat + length / (2 * past[1]) * (x_hat - past[0])
            past = x_hat, length
            u = exp(-length) * u + (1 - exp(-length)) * ahead
            precisions = precisions * exp(2 * length)
        return self.gaussian.estimate(u, precisions)

    def scaled(self) -> Array:
        """Return Z, (M, N): u scaled to the source's variance (DiffC-F*)."""
        ratios = self.precisions * self.gaussian.variances
        u = np.divide(self.eta, self.precisions, where=self.precisions > 0, out=0.0 * self.eta)
        return np.asarray(u * np.sqrt(ratios / (1.0 + ratios)))


@dataclass(frozen=True, slots=True)
class Measured:
    """A mean over samples, and its standard error."""

    value: float
    error: float


def measured(each: Array) -> Measured:
    """Return the mean of independent values, (M,), M at least 2."""
    return Measured(float(each.mean()), float(each.std(ddof=1) / len(each) ** 0.5))


def squared_error(x: Array, shown: Array) -> Measured:
    """Return the mean squared error of ``shown``, (M, N), over samples."""
    return measured(((x - shown) ** 2).mean(axis=1))


def decibels(x: Array, worse: Array, better: Array) -> Measured:
    """Return by how many dB ``better`` is nearer to ``x`` than ``worse``, over paired samples."""
    first, second = (((x - shown) ** 2).mean(axis=1) for shown in (worse, better))
    unit = 10 / log(10)
    spread = first / first.mean() - second / second.mean()
    value = unit * log(first.mean() / second.mean())
    return Measured(value, float(unit * spread.std(ddof=1) / len(spread) ** 0.5))


def length_for(energy: float, dims: int) -> int:
    """Return how many bytes the trellis takes for a shift of mean square ``energy`` on ``dims``."""
    ideal = dims / 2 * log2(1.0 + energy)
    bits = ideal
    for _ in range(8):
        bits = ideal * trellis.excess(8 * max(1, round(bits / 8)), dims)
    return min(max(trellis.fewest_bits(dims), 8 * round(bits / 8)), max(8, dims)) // 8


def _lengths(distance: float, step: float) -> Sequence[float]:
    """Return lengths of steps that cover ``distance``, equal but for a shorter first one."""
    count = max(1, ceil(distance / step))
    first = min(FIRST_STEP, distance / (count + 1))
    return [first, *[(distance - first) / count] * count]
