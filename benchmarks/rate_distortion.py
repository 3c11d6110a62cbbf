"""Rate and distortion on a folder of photographs, beside the codecs people use.

    python -m benchmarks.rate_distortion --images DIR [--every 3] [--out FOLDER] [--json [FILE]]

(``diffc bench rd`` where installed.)  One stream per picture, cut at every rate, in every rendering
and over the realism dial; each peer's best files at the same rates; what the beginnings of files
show.  From real bytes on disk.  Leaves in FOLDER: record.json (everything), table.md, curves.svg,
dial.svg, beginnings.svg, rows.jpg, our streams in streams/ and the peers' files in peers/.

What a peer reached on a picture is kept in peers/ and used again until the picture, the peer's
version or settings, or the rates change; ours is always measured anew.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path

import numpy as np

from diffc_stream.destination import writing
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model, load_model
from diffc_stream.errors import UnreadablePicture
from diffc_stream.picture import load_picture

from . import contest, ours, plots, progressive, realism, rows, tables
from .command import count, exit_code
from .contest import Figure
from .ours import Streamed
from .peers import PEERS, Peer, enlarged
from .pictures import commit, cores, machine, pictures
from .progressive import Beginning
from .quality import WINDOW
from .record import PeerRecord, Record
from .workers import spread

RATES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
BEGINNING_RATE = 0.4
ROW_RATE = 0.1
"""Bits per pixel of the pictures shown, or the nearest there is."""
ROW_PEERS = ("JPEG XL", "AVIF", "VVC")
ROW_COUNT = 3
STREAM_SEED = 0
LIBRARIES = ("onnxruntime", "numpy", "Pillow", "ssimulacra2", "scipy", "matplotlib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is to be compared."""

    paths: Sequence[Path]
    model: Callable[[], Model]
    peers: Sequence[Peer] = PEERS
    rates: tuple[float, ...] = RATES
    out: Path
    """Folder of all that is left behind."""
    jobs: int = 1
    """Processes."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def threads(self) -> int:
        """Of each process."""
        return max(1, cores() // self.jobs)


def main(arguments: Sequence[str] | None = None, *, prog: str | None = None) -> int:
    """Run the comparison and return the exit code; errors are one line on stderr."""
    parsed = _parser(prog or "python -m benchmarks.rate_distortion").parse_args(arguments)
    return exit_code(
        "rate_distortion",
        lambda: _run(parsed),
        interrupted="interrupted; what the peers reached is kept",
    )


def _run(parsed: argparse.Namespace) -> None:
    comparison = Comparison(
        paths=pictures(parsed.images, parsed.every),
        model=partial(load_model, parsed.model) if parsed.model else default_model,
        peers=PEERS,
        rates=tuple(sorted(set(parsed.rates))),
        out=parsed.out,
        jobs=parsed.jobs or cores(),
    )
    record = compare(comparison)
    if parsed.json == "-":
        print(record.json())
        return
    if parsed.json is not None:
        record.save(Path(parsed.json))
    print(f"{parsed.out / 'table.md'}")


def compare(comparison: Comparison) -> Record:
    """Measure everything and leave it in the comparison's folder."""
    for path in comparison.paths:
        if min(load_picture(path).shape[:2]) < WINDOW:
            raise UnreadablePicture(f"{path}: a side of fewer than {WINDOW} pixels is too small")
    for name in ("streams", "peers"):
        (comparison.out / name).mkdir(parents=True, exist_ok=True)
    ready = [peer for peer in comparison.peers if peer.version() is not None]
    found = _peers(comparison, ready)
    # Arrays of what is shown take more than the files do, and nobody needs them afterwards.
    with tempfile.TemporaryDirectory(prefix="diffc-bench-") as temporary:
        shown = Path(temporary)
        streamed = _ours(comparison, shown)
        beginnings = _beginnings(comparison, ready)
        model = comparison.model()
        record = Record(
            commit=commit(),
            machine=machine(),
            versions=_versions(),
            seed=STREAM_SEED,
            model=f"{model.name} {model.fingerprint}",
            rates=comparison.rates,
            notes=_notes(comparison, ready),
            seconds=comparison.seconds,
            streamed=streamed,
            pooled=_pooled(comparison, streamed, shown),
            peers=found,
            beginnings=beginnings,
            beginning_rate=_nearest(BEGINNING_RATE, comparison.rates),
        )
        # First of all, so that nothing measured is lost to what a plot trips over.
        record.save(comparison.out / "record.json")
        with writing(comparison.out / "table.md") as file:
            file.write(tables.markdown(record).encode())
        rows.save(_rows(comparison, record, shown), comparison.out / "rows.jpg")
    plots.draw(record, comparison.out)
    return record


def _peers(comparison: Comparison, ready: Sequence[Peer]) -> list[PeerRecord]:
    folder = comparison.out / "peers"
    tasks = [(path, peer, comparison.rates, folder) for peer in ready for path in comparison.paths]
    with _timed(comparison, "peers"):
        results = spread("peers", _figures, tasks, jobs=comparison.jobs, threads=1)
        count = len(comparison.paths)
        figures = [results[i * count : (i + 1) * count] for i in range(len(ready))]
        distances = spread(
            "peers' patches",
            _peers_patches,
            [
                (comparison.paths, peer, entry, folder)
                for peer, entry in zip(ready, figures, strict=True)
            ],
            jobs=comparison.jobs,
            threads=1,
        )
    names = [path.name for path in comparison.paths]
    return [
        PeerRecord(
            name=peer.name,
            version=peer.version() or "",
            settings=peer.settings,
            figures=dict(zip(names, entry, strict=True)),
            pooled=pooled,
        )
        for peer, entry, pooled in zip(ready, figures, distances, strict=True)
    ]


def _figures(task: tuple[Path, Peer, tuple[float, ...], Path]) -> list[Figure]:
    return contest.figures(*task)


def _peers_patches(
    task: tuple[Sequence[Path], Peer, Sequence[Sequence[Figure]], Path],
) -> dict[float, float]:
    return contest.pooled(*task)


def _ours(comparison: Comparison, shown: Path) -> list[Streamed]:
    tasks = [
        ours.Task(
            path=path,
            model=comparison.model,
            rates=comparison.rates,
            streams=comparison.out / "streams",
            shown=shown,
            seed=STREAM_SEED,
        )
        for path in comparison.paths
    ]
    with _timed(comparison, "streams and renderings"):
        return spread(
            "streams", ours.streamed, tasks, jobs=comparison.jobs, threads=comparison.threads
        )


def _pooled(
    comparison: Comparison, streamed: Sequence[Streamed], shown: Path
) -> dict[str, dict[float, float]]:
    """Return, by rendering and rate, the distance between patches of all pictures."""
    arrays: dict[tuple[str, float], list[Path]] = {}
    for entry in streamed:
        for point in entry.points:
            arrays.setdefault((point.rendering, point.rate), []).append(shown / point.shown)
    whole = {key: files for key, files in arrays.items() if len(files) == len(streamed)}
    tasks = [(comparison.paths, files) for files in whole.values()]
    with _timed(comparison, "patches"):
        distances = spread(
            "patches", ours.pooled, tasks, jobs=comparison.jobs, threads=comparison.threads
        )
    pooled: dict[str, dict[float, float]] = {}
    for (rendering, rate), distance in zip(whole, distances, strict=True):
        pooled.setdefault(rendering, {})[rate] = distance
    return pooled


def _beginnings(comparison: Comparison, ready: Sequence[Peer]) -> dict[str, list[Beginning]]:
    rate = _nearest(BEGINNING_RATE, comparison.rates)
    tasks = [
        (path, comparison.model, tuple(ready), rate, comparison.out) for path in comparison.paths
    ]
    with _timed(comparison, "beginnings"):
        found = spread(
            "beginnings", _begun, tasks, jobs=comparison.jobs, threads=comparison.threads
        )
    return dict(zip([path.name for path in comparison.paths], found, strict=True))


def _begun(
    task: tuple[Path, Callable[[], Model], tuple[Peer, ...], float, Path],
) -> list[Beginning]:
    path, model, peers, rate, out = task
    stream = out / "streams" / f"{path.name}.dfc"
    found = progressive.of_stream(load_picture(path), stream, model(), rate)
    for peer in peers:
        found += progressive.kept_of_peer(path, peer, rate, out / "peers")
    return found


def _rows(comparison: Comparison, record: Record, shown: Path) -> list[rows.Row]:
    """Return the pictures of the sheet: evenly chosen, at one low rate."""
    rate = _nearest(ROW_RATE, comparison.rates)
    count = min(ROW_COUNT, len(comparison.paths))
    chosen = [comparison.paths[i * len(comparison.paths) // count] for i in range(count)]
    found: list[rows.Row] = []
    for path in chosen:
        original = load_picture(path)
        row = [("original", original)]
        for peer in record.peers:
            if peer.name not in ROW_PEERS:
                continue
            for measure in ("ssimulacra2", "psnr"):
                files = [
                    figure
                    for figure in peer.figures[path.name]
                    if (figure.measure, figure.rate) == (measure, rate)
                ]
                if files:
                    data = (comparison.out / "peers" / files[0].file).read_bytes()
                    caption = f"{peer.name}, {files[0].bytes:,} bytes"
                    row.append((caption, enlarged(data, *original.shape[:2])))
                    break
        for entry in record.streamed:
            for point in entry.points:
                if (entry.image, point.rate) == (path.name, rate) and point.rendering in (
                    "mmse",
                    "flow",
                ):
                    caption = f"{point.rendering}, {point.bytes:,} bytes"
                    row.append((caption, np.load(shown / point.shown)))
        found.append(row)
    return found


def _notes(comparison: Comparison, ready: Sequence[Peer]) -> list[str]:
    notes = [peer.missing() for peer in comparison.peers if peer not in ready]
    if "ssimulacra2" not in _versions():
        notes.append("SSIMULACRA2 is left out: pip install ssimulacra2")
    return notes


def _versions() -> dict[str, str]:
    versions = {"Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    versions["seed of patches"] = str(realism.SEED)
    return versions


def _nearest(wanted: float, rates: Sequence[float]) -> float:
    return min(rates, key=lambda rate: abs(rate - wanted))


@contextmanager
def _timed(comparison: Comparison, part: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    comparison.seconds[part] = round(time.monotonic() - began, 1)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--every", type=count, default=1, help="take every N-th picture")
    parser.add_argument(
        "--out", type=Path, default=Path("rate_distortion"), metavar="FOLDER", help="of results"
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write the record there too, or to standard output",
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="instead of the default model")
    parser.add_argument("--rates", type=_rate, nargs="+", default=RATES, metavar="BPP")
    parser.add_argument("--jobs", type=count, help="processes (default: one per core)")
    return parser


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value <= 24:
        raise argparse.ArgumentTypeError(f"{text} is not a number of bits per pixel")
    return value


if __name__ == "__main__":
    sys.exit(main())
