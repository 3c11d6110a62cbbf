"""All that a comparison measured, and what the tables and plots show of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from diffc_stream.destination import writing

from .contest import LESS_IS_BETTER, MEASURES, Figure
from .ours import TWICE, Streamed
from .progressive import Beginning

TITLES = {
    "psnr": "PSNR, dB",
    "ms_ssim": "MS-SSIM",
    "ssimulacra2": "SSIMULACRA2",
    "patches": "Distance between patches",
}
OURS = "diffc-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRecord:
    """What one peer reached."""

    name: str
    version: str
    settings: object
    figures: Mapping[str, Sequence[Figure]]
    """By picture."""
    pooled: Mapping[float, float]
    """By rate: the distance between patches of all pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that was measured."""

    commit: str
    machine: str
    versions: Mapping[str, str]
    seed: int
    model: str
    """Name and fingerprint."""
    rates: Sequence[float]
    notes: Sequence[str]
    """What was left out, and why."""
    seconds: Mapping[str, float]
    """What each part took; nothing for what had been kept from an earlier run."""
    streamed: Sequence[Streamed]
    pooled: Mapping[str, Mapping[float, float]]
    """By rendering and rate: the distance between patches of all pictures."""
    peers: Sequence[PeerRecord]
    beginnings: Mapping[str, Sequence[Beginning]]
    """By picture."""
    beginning_rate: float
    """Bits per pixel of the whole files that beginnings are of."""

    def save(self, path: Path) -> None:
        """Write everything as JSON, wholly or not at all."""
        with writing(path) as file:
            file.write(self.json().encode())

    def json(self) -> str:
        """Return everything as JSON; what is not finite is null."""
        return json.dumps(_finite(asdict(self)), indent=1, allow_nan=False)

    @property
    def renderings(self) -> list[str]:
        """Ours, in the order in which they were looked at, the dial's positions left out."""
        found = {point.rendering for entry in self.streamed for point in entry.points}
        return [name for name in ("mmse", TWICE, "flow", "ancestral") if name in found]

    def ours(self, measure: str, rendering: str) -> list[float | None]:
        """Return the mean over pictures at each rate; None where some picture has nothing."""
        if measure == "patches":
            return [self.pooled.get(rendering, {}).get(rate) for rate in self.rates]
        return self._means(
            lambda rate: [
                getattr(point.quality, measure)
                for entry in self.streamed
                for point in entry.points
                if (point.rate, point.rendering) == (rate, rendering)
            ]
        )

    def theirs(self, measure: str, peer: PeerRecord) -> list[float | None]:
        """Return the mean over pictures at each rate; None where some picture has no file."""
        if measure == "patches":
            return [peer.pooled.get(rate) for rate in self.rates]
        return self._means(
            lambda rate: [
                figure.value
                for figures in peer.figures.values()
                for figure in figures
                if (figure.rate, figure.measure) == (rate, measure)
            ]
        )

    def rows(self, measure: str) -> dict[str, list[float | None]]:
        """Return the figures of everybody at each rate, ours first."""
        rows = {f"{OURS} {name}": self.ours(measure, name) for name in self.renderings}
        return rows | {peer.name: self.theirs(measure, peer) for peer in self.peers}

    def ahead(self, measure: str) -> dict[str, dict[float, float]]:
        """Return by how much each peer is ahead of the best of our renderings, by rate.

        Rates at which it is not are left out, and so are peers that never are.
        """
        rows = self.rows(measure)
        ours = [
            best([rows[f"{OURS} {name}"][index] for name in self.renderings], measure)
            for index in range(len(self.rates))
        ]
        leads = {
            peer.name: {
                rate: abs(theirs - own)
                for rate, theirs, own in zip(self.rates, rows[peer.name], ours, strict=True)
                if theirs is not None and own is not None and best([theirs, own], measure) != own
            }
            for peer in self.peers
        }
        return {name: lead for name, lead in leads.items() if lead}

    def _means(self, values: Callable[[float], list[float | None]]) -> list[float | None]:
        means: list[float | None] = []
        for rate in self.rates:
            there = [value for value in values(rate) if value is not None]
            whole = there and len(there) == len(self.streamed)
            means.append(float(np.mean(there)) if whole else None)
        return means


def measured(record: Record) -> list[str]:
    """Return the measures that there are figures of."""
    return [
        measure
        for measure in MEASURES
        if any(value is not None for row in record.rows(measure).values() for value in row)
    ]


def best(values: Sequence[float | None], measure: str) -> float | None:
    """Return the best value there is by a measure, or None."""
    there = [value for value in values if value is not None]
    choose = min if measure in LESS_IS_BETTER else max
    return choose(there, default=None)


def _finite(value: object) -> object:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): _finite(entry) for key, entry in value.items()}
        case list() | tuple() | range():
            return [_finite(entry) for entry in value]
    return value
