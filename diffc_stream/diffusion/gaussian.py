"""A Gaussian of known covariance, and what rate-distortion theory says about coding it.

This is the yardstick of the codec: it gives the bits that the best possible code would take for an
error, and those of the schemes of Theis et al. (arXiv 2206.08889, section 4).  In its eigenbasis a
Gaussian consists of independent components of variances l_i, and everything becomes a sum over
them.  A stream gives the receiver an observation of each component,

    u_i = x_i + n_i,    n_i ~ N(0, 1 / p_i),

and the *precisions* p_i determine the rest: a component's signal-to-noise ratio is p_i l_i, its
posterior variance l_i / (1 + p_i l_i), its information 1/2 log2(1 + p_i l_i) bits.  The schemes of
the paper differ in their precisions and in how they reconstruct the source:

    scheme     precisions                        reconstruction
    DiffC-A    isotropic                         a sample of the posterior, P(X | Z)
    DiffC-F    isotropic                         the probability flow
    DiffC-A*   water_filling                     a sample of the posterior
    DiffC-F*   realistic                         Z itself, of the source's variance

All of these reconstructions have the source's distribution.  On a Gaussian, the flow scales u_i to
variance l_i.  That is the optimal transport from u to x, and also what DiffC-F* does, so
:meth:`Gaussian.flow_error` holds for both.

Rates are bits for all components together; errors are means over the components.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Precisions = Callable[[float], Array]
"""A family of precisions: a function from a parameter to the precisions, (N,)."""

_HALVINGS = 200


@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(0, V diag(variances) V^T).

    ``variances`` has shape (N,), all positive; ``basis``, if given, is V, shape (N, N), with
    orthonormal columns.  Raises ValueError otherwise.
    """

    variances: Array
    basis: Array | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.variances.ndim != 1 or not self.variances.size:
            raise ValueError(f"variances of shape {self.variances.shape}")
        if not (np.isfinite(self.variances).all() and (self.variances > 0).all()):
            raise ValueError("a component without variance, or of infinite variance")
        if self.basis is not None and self.basis.shape != 2 * self.variances.shape:
            raise ValueError(
                f"a basis of shape {self.basis.shape} for {self.components} components"
            )

    @classmethod
    def of_covariance(cls, covariance: Array) -> Gaussian:
        """Return the Gaussian of a symmetric ``covariance``, (N, N), largest variance first."""
        variances, basis = np.linalg.eigh(covariance)
        return cls(variances[::-1].copy(), basis[:, ::-1].copy())

    @classmethod
    def fitted(cls, patches: Array) -> Gaussian:
        """Return the Gaussian with the covariance of ``patches``, (M, N), rows being samples.

        All values have the same mean, taken over all rows and columns: a patch may lie anywhere in
        its picture, so its positions do not differ.
        """
        centred = patches - patches.mean()
        return cls.of_covariance(centred.T @ centred / len(centred))

    @property
    def components(self) -> int:
        """N."""
        return len(self.variances)

    @property
    def variance(self) -> float:
        """The mean variance of the components, which is also that of the values."""
        return float(self.variances.mean())

    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """Draw the components of ``count`` samples, (count, N)."""
        drawn = rng.standard_normal((count, self.components))
        return np.asarray(drawn * np.sqrt(self.variances))

    def values(self, components: Array) -> Array:
        """Return the samples, (M, N), that have ``components``, (M, N)."""
        return components if self.basis is None else components @ self.basis.T

    # Precisions for kinds of noise.

    def isotropic(self, snr: float) -> Array:
        """Return the precisions of noise of variance 1 / ``snr`` on every component."""
        return np.full(self.components, snr)

    def pink(self, snr: float, exponent: float = 1.0) -> Array:
        """Return the precisions of noise with a variance proportional to l_i^``exponent``.

        Its mean over the components is 1 / ``snr``.  With exponent 0, noise is isotropic.  With 1,
        it has the spectrum of the source, so that all components have the same signal-to-noise
        ratio.
        """
        spectrum = self.variances**exponent
        return np.asarray(snr * spectrum.mean() / spectrum)

    def water_filling(self, level: float) -> Array:
        """Return the precisions of DiffC-A*: gamma_i^2 = min(1, ``level`` / l_i), level > 0.

        Z_i = sqrt(1 - gamma_i^2) X_i + gamma_i sqrt(l_i) U_i, hence a posterior variance of
        min(l_i, level): the noise of reverse water-filling.  Components below the level have
        precision 0 and are not sent at all.
        """
        return np.maximum(0.0, 1.0 / level - 1.0 / self.variances)

    def realistic(self, level: float) -> Array:
        """Return the precisions of DiffC-F*, ``level`` > 0.

        Z_i = a_i X_i + sqrt(1 - a_i^2) sqrt(l_i) U_i with a_i = (sqrt(l_i^2 + level^2) - level) /
        l_i.  This choice of a_i gives the least error E|X - Z|^2 for its rate: a_i solves
        a / (1 - a^2) = l_i / (2 level), where the derivatives of rate and error are proportional.
        """
        return self.correlations(level) / (2.0 * level)

    def correlations(self, level: float) -> Array:
        """Return a_i of DiffC-F*, the correlation of Z_i with X_i, between 0 and 1."""
        return np.asarray(self.variances / (np.hypot(self.variances, level) + level))

    # Rate and error of an observation with given precisions, shape (N,).

    def information(self, precisions: Array) -> float:
        """Return I[X, Z] in bits: 1/2 sum log2(1 + p_i l_i)."""
        return float(np.log1p(precisions * self.variances).sum() / (2 * np.log(2)))

    def posterior(self, precisions: Array) -> Array:
        """Return the posterior variance of every component, l_i / (1 + p_i l_i)."""
        return np.asarray(self.variances / (1.0 + precisions * self.variances))

    def mean_error(self, precisions: Array) -> float:
        """Return the mean squared error of the posterior mean."""
        return float(self.posterior(precisions).mean())

    def posterior_error(self, precisions: Array) -> float:
        """Return the mean squared error of a posterior sample (DiffC-A, DiffC-A*).

        It is twice that of the posterior mean.
        """
        return 2.0 * self.mean_error(precisions)

    def flow_error(self, precisions: Array) -> float:
        """Return the mean squared error of the probability flow (DiffC-F, DiffC-F*).

        With a_i^2 = p_i l_i / (1 + p_i l_i) the error is 2 l_i (1 - a_i): that of a posterior
        sample divided by 1 + a_i, which is 3.01 dB less where a_i is 1.
        """
        ratios = precisions * self.variances
        share = np.sqrt(ratios / (1.0 + ratios))
        return float((2.0 * self.posterior(precisions) / (1.0 + share)).mean())

    def estimate(self, observed: Array, precisions: Array) -> Array:
        """Return the posterior mean of the components, (M, N), given ``observed`` u, (M, N)."""
        ratios = precisions * self.variances
        return np.asarray(observed * (ratios / (1.0 + ratios)))

    # Bounds.

    def water_level(self, error: float) -> float:
        """Return the level at which reverse water-filling has a mean squared error of ``error``.

        The error at a level is mean(min(l_i, level)), at most the source's variance.
        """
        if error >= self.variance:
            return float(self.variances.max())
        return solved(
            lambda level: float(np.minimum(level, self.variances).mean()),
            error,
            low=min(error, float(self.variances.min())),
            high=float(self.variances.max()),
        )

    def rate(self, error: float) -> float:
        """Return R(D) in bits for a mean squared error of ``error`` > 0 (Cover, Thomas, 10.3.3)."""
        return self.information(self.water_filling(self.water_level(error)))

    def error(self, rate: float) -> float:
        """Return D(R), the least mean squared error at ``rate`` bits, without regard to realism."""
        return self.mean_error(self.precisions_at(rate, self.water_filling, falling=True))

    def precisions_at(self, rate: float, noise: Precisions, *, falling: bool = False) -> Array:
        """Return the member of a family of precisions with a rate of ``rate`` > 0 bits.

        See :meth:`parameter_at`.
        """
        return noise(self.parameter_at(rate, noise, falling=falling))

    def parameter_at(self, rate: float, noise: Precisions, *, falling: bool = False) -> float:
        """Return the parameter at which a family of precisions has a rate of ``rate`` > 0 bits.

        ``noise`` is a method such as :meth:`isotropic`.  ``falling`` says that a larger parameter
        means fewer bits, as it does for a level.
        """
        sign = -1.0 if falling else 1.0
        return solved(
            lambda value: sign * self.information(noise(value)), sign * rate, low=1e-12, high=1e12
        )


def solved(rising: Callable[[float], float], goal: float, *, low: float, high: float) -> float:
    """Return the positive number, between ``low`` and ``high``, at which ``rising`` is ``goal``.

    It is found by bisection of the logarithm, to the last bits of a float.
    """
    for _ in range(_HALVINGS):
        middle = float(np.sqrt(low * high))
        if not low < middle < high:
            break
        if rising(middle) < goal:
            low = middle
        else:
            high = middle
    return float(np.sqrt(low * high))
