"""Goodness of fit: whether values are independent standard normals, whatever stands beside them.

Statistics are in units of what chance exceeds once in a thousand times.
"""

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def misfits(noise: Doubles, shift: Doubles) -> dict[str, float]:
    """Return statistics of (n, width) values, below 1 where noise is N(0, I) whatever shift."""
    uniform = np.array([NormalDist().cdf(value) for value in noise.ravel()])
    energy = energy_distribution(noise)
    found = {
        "normal": kolmogorov_smirnov(uniform),
        "normal, binned": chi_square(uniform),
        "mean": abs(noise.mean()) * sqrt(noise.size) / 3.29,
        "variance": abs((noise**2).mean() - 1) * sqrt(noise.size / 2) / 3.29,
        "energy": kolmogorov_smirnov(energy),
        "energy, binned": chi_square(energy),
        "leaning": dependence(noise, shift),
        "energy by shift": dependence(noise**2, shift**2),
        "chunk after chunk": dependence(noise[1:], noise[:-1]),
    }
    if noise.shape[1] > 1:
        found["value by value"] = dependence(noise[:, 1:], noise[:, :-1])
        found["energy by energy"] = dependence(noise[:, 1:] ** 2, noise[:, :-1] ** 2)
    return found


def kolmogorov_smirnov(uniform: Doubles) -> float:
    """Return the distance from the uniform distribution, over its 0.1 % point."""
    ordered, n = np.sort(uniform), len(uniform)
    above = np.arange(1, n + 1) / n - ordered
    return float(max(above.max(), (1 / n - above).max())) * sqrt(n) / 1.95


def chi_square(uniform: Doubles) -> float:
    """Return the chi-square statistic of 20 equal bins, over its 0.1 % point."""
    counts = np.histogram(uniform, 20, (0, 1))[0]
    expected = len(uniform) / 20
    return float(((counts - expected) ** 2 / expected).sum()) / 43.8


def dependence(a: Doubles, b: Doubles) -> float:
    """Return the correlation, over what chance exceeds once in a thousand times."""
    return abs(float(np.corrcoef(a.ravel(), b.ravel())[0, 1])) * sqrt(a.size) / 3.29


def energy_distribution(noise: Doubles) -> Doubles:
    """Return the chi-square distribution function of each row's energy, for 1, 2 or 4 values."""
    half: Doubles = (noise**2).sum(axis=1) / 2
    if noise.shape[1] == 1:
        return np.array([2 * NormalDist().cdf(sqrt(2 * h)) - 1 for h in half])
    beyond: Doubles = np.exp(-half) * (1 if noise.shape[1] == 2 else 1 + half)
    return 1 - beyond
