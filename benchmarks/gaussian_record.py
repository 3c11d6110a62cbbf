"""All that the analysis of a Gaussian measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from diffc_stream.destination import writing

from .gaussian_coding import Measured
from .gaussian_pictures import Rendered
from .gaussian_schemes import Covariance, Curve, Point
from .gaussian_trajectories import Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Chained:
    """A chain of some total information, coded jointly and step by step, over many trials."""

    information: float
    """Bits; also the sum of the divergences of the steps."""
    steps: int
    joint: Measured
    """Bits of one index for the whole trajectory."""
    stepwise: Measured
    """Bits of an index for every step."""
    joint_bound: float
    stepwise_bound: float
    joint_error: Measured
    """Mean squared error of the posterior mean after the chain."""
    stepwise_error: Measured
    theory: float
    """Of either error."""
    inexact: float
    """Share of joint searches that ended at the most candidates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Priors:
    """What a chain of so many steps costs by the receiver's prior, in closed form."""

    rate: float
    """Bits per component."""
    steps: int
    growth: float
    """By what factor snr grows in the last step; infinite for the first."""
    sums: Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Everything; rates are bits per component, errors mean squares per component."""

    commit: str
    machine: str
    seed: int
    pictures: int
    """That the Gaussian was fitted to."""
    patches: int
    samples: int
    """Coded, of every scheme."""
    trials: int
    """Of every chain."""
    variances: Sequence[float]
    curves: Sequence[Curve]
    points: Sequence[Point]
    source: Covariance
    """Of samples of the source itself, as many as were coded."""
    snr_rate: float
    """Rate of the figures by component."""
    chained: Sequence[Chained]
    chained_variances: Sequence[float]
    priors: Sequence[Priors]
    rendered: Sequence[Rendered]
    seconds: Mapping[str, float]

    @property
    def variance(self) -> float:
        """The mean variance of a component."""
        return sum(self.variances) / len(self.variances)

    def of(self, scheme: str) -> list[Point]:
        """Return the points of a scheme, rates ascending."""
        return [point for point in self.points if point.scheme == scheme]

    def curve(self, name: str) -> Curve:
        """Return a closed form by its name."""
        return next(curve for curve in self.curves if curve.name == name)

    def json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(asdict(self), indent=1)

    def save(self, path: Path) -> None:
        """Write everything as JSON, wholly or not at all."""
        with writing(path) as file:
            file.write(f"{self.json()}\n".encode())
