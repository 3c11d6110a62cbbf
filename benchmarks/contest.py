"""What each peer reaches at each rate, by every measure, with the files that show it.

A peer has several tries at each rate (families of settings, reduced or not), and each figure is
that of the try that is best by that very measure: no single file need reach them all.  Tries whose
PSNR is more than :data:`HOPELESS` below the best at the rate are not looked at by other measures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from diffc_stream.destination import writing
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture

from .kept import kept
from .peers import Attempt, Peer, attempts, enlarged
from .quality import Quality
from .realism import patch_distance

HOPELESS = 1.0
"""dB."""
MEASURES = ("psnr", "ms_ssim", "ssimulacra2", "patches")
LESS_IS_BETTER = {"patches"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The best of a peer at a rate by one measure."""

    rate: float
    """Bits per pixel allowed."""
    measure: str
    value: float
    bytes: int
    settings: str
    file: str
    """In the folder of the peers' files."""


def figures(path: Path, peer: Peer, rates: Sequence[float], folder: Path) -> list[Figure]:
    """Return what ``peer`` reaches on a picture, leaving the files in ``folder``.

    Done before, with the same picture, peer and rates, it is not done again.
    """
    picture = load_picture(path)
    name = f"{path.name}-{slug(peer)}"
    depends_on = (digest(picture), peer.settings, peer.version(), [*rates], HOPELESS, MEASURES)

    def look() -> list[Figure]:
        entries = kept(
            folder / f"{name}.json",
            depends_on,
            lambda: [asdict(figure) for figure in _played(picture, name, peer, rates, folder)],
        )
        return [Figure(**entry) for entry in cast(list[dict[str, Any]], entries)]

    found = look()
    if not all((folder / figure.file).is_file() for figure in found):
        (folder / f"{name}.json").unlink()
        found = look()
    return found


def pooled(
    paths: Sequence[Path], peer: Peer, found: Sequence[Sequence[Figure]], folder: Path
) -> dict[float, float]:
    """Return, by rate, the distance between patches of all pictures and the peer's files.

    ``found`` are the figures of each picture.  Rates at which some picture has no file are left
    out.
    """
    originals = [load_picture(path) for path in paths]
    chosen: dict[float, list[str]] = {}
    for entries in found:
        for figure in entries:
            if figure.measure == "patches":
                chosen.setdefault(figure.rate, []).append(figure.file)
    depends_on = (
        [digest(picture) for picture in originals],
        peer.version(),
        [[asdict(figure) for figure in entries] for entries in found],
    )

    def compute() -> object:
        distances = []
        for rate, names in chosen.items():
            if len(names) == len(originals):
                shown = [
                    enlarged((folder / name).read_bytes(), *picture.shape[:2])
                    for name, picture in zip(names, originals, strict=True)
                ]
                distances.append([rate, patch_distance(originals, shown)])
        return distances

    distances = kept(folder / f"pooled-{slug(peer)}.json", depends_on, compute)
    return dict(cast(list[tuple[float, float]], distances))


def slug(peer: Peer) -> str:
    """Return the peer's name as part of a file's."""
    return peer.name.lower().replace(" ", "-")


def digest(picture: NDArray[np.uint8]) -> str:
    """Return what tells pictures apart."""
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).hexdigest()


def _played(
    picture: NDArray[np.uint8], name: str, peer: Peer, rates: Sequence[float], folder: Path
) -> list[Figure]:
    folder.mkdir(parents=True, exist_ok=True)
    played = []
    for rate, found in zip(rates, attempts(picture, peer, rates), strict=True):
        measured = _measured(picture, found)
        for measure in MEASURES:
            values = [
                (-value if measure in LESS_IS_BETTER else value, attempt)
                for attempt, quality in measured
                if (value := getattr(quality, measure)) is not None
            ]
            if not values:
                continue
            score, attempt = max(values, key=lambda entry: entry[0])
            digest = hashlib.sha256(attempt.data).hexdigest()[:8]
            file = f"{name}-{rate:g}-{digest}{peer.suffix}"
            with writing(folder / file) as out:
                out.write(attempt.data)
            played.append(
                Figure(
                    rate=rate,
                    measure=measure,
                    value=-score if measure in LESS_IS_BETTER else score,
                    bytes=len(attempt.data),
                    settings=attempt.settings,
                    file=file,
                )
            )
    return played


def _measured(
    picture: NDArray[np.uint8], found: Sequence[Attempt]
) -> list[tuple[Attempt, Quality]]:
    by_psnr = [psnr(attempt.picture, picture) for attempt in found]
    return [
        (attempt, Quality.of(attempt.picture, picture))
        for attempt, decibels in zip(found, by_psnr, strict=True)
        if decibels > max(by_psnr) - HOPELESS
    ]
