"""How far receivers of the same bytes are apart, pair by pair.

    python -m benchmarks.agreement --images DIR --out docs/agreement.md [--streams DIR]
                                   [--browser TITLE FOLDER]

A stream of each picture is decoded, cut at each rate, by every receiver: ONNX Runtime, also on a
single thread, PyTorch in single precision and in bfloat16, and browsers.  What a browser has
decoded lies in FOLDER as PICTURE-RATE-METHOD.png (coffee-0.2-mmse.png; what is missing is left
out), from the streams PICTURE-RATE.dfc in the folder of --streams, which are used if they are there
and written otherwise.  Ends with exit code 1 if a pair is further apart than it should be.
"""

from __future__ import annotations

import argparse
import math
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import combinations, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from diffc_stream import threads
from diffc_stream.codec import Decoder, Encoder, Method
from diffc_stream.destination import writing
from diffc_stream.diffusion.collection import DEFAULT
from diffc_stream.diffusion.engine import Engine, engines
from diffc_stream.diffusion.model import Model, load_model
from diffc_stream.errors import DiffcError, UnreadablePicture
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture

from .pictures import commit, machine, pictures

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]

RATES = (0.05, 0.2, 0.4)
METHODS: tuple[Method, ...] = ("mmse", "flow")
ENOUGH = 60.0
"""PSNR in dB that receivers of single precision shall have of each other, at least."""
ENOUGH_NARROW = 45.0
"""... and where one of the two computes in bfloat16."""

HOW = f"""\
What receivers show of the same bytes, compared with each other: PSNR in dB between the decoded
8-bit pictures, of each pair the lowest of all pictures; "equal" where they are the same to the last
bit, "-" where there is none. Sender and receiver may compute on different hardware: the last bits
of a denoiser's values shift the observation, and never decide how bits are read. At least
{ENOUGH:g} dB are asked for between receivers of single precision, {ENOUGH_NARROW:g} dB where one
computes in bfloat16.

Made by `python -m benchmarks.agreement`, whose `--help` says how a browser comes in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is decoded: a picture's stream cut at ``rate`` bits per pixel, and how it is shown."""

    picture: str
    rate: float
    method: Method

    @property
    def name(self) -> str:
        """What a picture of it is called."""
        return f"{self.picture}-{self.rate:g}-{self.method}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Whoever decodes."""

    title: str
    show: Callable[[Case, bytes], Picture | None]
    """Returns the picture of a case and its stream, if there is one."""
    narrow: bool = False
    """It computes in bfloat16."""


PAIR = " / "
"""Between the titles of two receivers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was measured."""

    cases: Sequence[Case]
    receivers: Sequence[Receiver]
    apart: dict[tuple[str, str], dict[Case, float]]
    """PSNR of pairs of receivers, by their titles."""
    good: dict[str, dict[Case, float]]
    """PSNR of each against the original."""

    def lowest(self, pair: tuple[str, str], rate: float, method: Method) -> float | None:
        """Return the lowest PSNR of a pair over the pictures, if there is any."""
        return min(_chosen(self.apart[pair], rate, method), default=None)

    def mean(self, receiver: str, rate: float, method: Method) -> float | None:
        """Return the mean PSNR of a receiver against the originals, if there is any."""
        found = list(_chosen(self.good[receiver], rate, method))
        return sum(found) / len(found) if found else None

    def short(self) -> Iterator[tuple[str, str]]:
        """Yield pairs that are further apart than they should be."""
        for pair in self.apart:
            lowest = min(self.apart[pair].values(), default=math.inf)
            if lowest < self.enough(pair):
                yield pair

    def enough(self, pair: tuple[str, str]) -> float:
        """Return what is asked of a pair, in dB."""
        narrow = any(entry.narrow for entry in self.receivers if entry.title in pair)
        return ENOUGH_NARROW if narrow else ENOUGH


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write the page and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        outcome = measured(
            pictures(options.images), options.rates, receivers(options.browser), options.streams
        )
        with writing(options.out) as file:
            file.write(page(outcome).encode())
    except DiffcError as error:
        print(f"agreement: {error}", file=sys.stderr)
        return error.exit_code
    short = [PAIR.join(pair) for pair in outcome.short()]
    for pair in short:
        print(f"agreement: too far apart: {pair}", file=sys.stderr)
    return 1 if short else 0


def receivers(browsers: Sequence[tuple[str, str]] = ()) -> list[Receiver]:
    """Return whoever can decode here, and ``browsers``, by title and folder of pictures."""
    found = [
        Receiver(title="ONNX Runtime", show=decoding(load_model(DEFAULT, Engine.ONNXRUNTIME))),
        Receiver(title="... on one thread", show=decoding(_on_one_thread())),
    ]
    if Engine.TORCH in engines(DEFAULT):
        found += [
            Receiver(title="PyTorch", show=decoding(load_model(DEFAULT, Engine.TORCH))),
            Receiver(title="PyTorch, bfloat16", show=decoding(_bfloat16()), narrow=True),
        ]
    found += [Receiver(title=title, show=_kept(Path(folder))) for title, folder in browsers]
    return found


def decoding(model: Model) -> Callable[[Case, bytes], Picture]:
    """Return what a decoder with ``model`` shows."""

    def show(case: Case, stream: bytes) -> Picture:
        decoder = Decoder([model])
        decoder.feed(stream)
        return decoder.render(case.method).image

    return show


def measured(
    paths: Sequence[Path],
    rates: Sequence[float],
    receivers: Sequence[Receiver],
    streams: Path | None = None,
) -> Outcome:
    """Decode all pictures by all receivers; keep the streams in the folder ``streams``."""
    pairs = list(combinations([entry.title for entry in receivers], 2))
    apart: dict[tuple[str, str], dict[Case, float]] = {pair: {} for pair in pairs}
    good: dict[str, dict[Case, float]] = {entry.title: {} for entry in receivers}
    cases = []
    for path in track(paths, description="pictures", console=Console(stderr=True)):
        original = load_picture(path)
        cuts = _streams(path.stem, original, rates, streams)
        for rate, method in product(rates, METHODS):
            case = Case(picture=path.stem, rate=rate, method=method)
            cases.append(case)
            shown = {entry.title: entry.show(case, cuts[rate]) for entry in receivers}
            for title, picture in shown.items():
                if picture is not None:
                    good[title][case] = psnr(original, _fitting(picture, original, case))
            for first, second in pairs:
                one, other = shown[first], shown[second]
                if one is not None and other is not None:
                    apart[first, second][case] = psnr(one, other)
    return Outcome(cases=cases, receivers=receivers, apart=apart, good=good)


def page(outcome: Outcome) -> str:
    """Return the page."""
    names = ", ".join(dict.fromkeys(case.picture for case in outcome.cases))
    packages = ["numpy", *engines(DEFAULT)]
    versions = [f"{package} {metadata.version(package)}" for package in packages]
    columns = list(dict.fromkeys((case.method, case.rate) for case in outcome.cases))
    columns.sort(key=lambda column: METHODS.index(column[0]))
    head = "".join(f" {method}, {rate:g} bpp |" for method, rate in columns)
    rule = "---|" * len(columns)
    lines = ["# Agreement between receivers", "", HOW, ""]
    lines += [f"Commit {commit()}, model {DEFAULT.stem}, {machine()}."]
    lines += [f"Python {platform.python_version()}, {', '.join(versions)}. Pictures: {names}."]
    lines += ["", f"| |{head}", f"|---|{rule}"]
    for pair in outcome.apart:
        cells = [_cell(outcome.lowest(pair, rate, method), 1) for method, rate in columns]
        lines.append(f"| {PAIR.join(pair)} | {' | '.join(cells)} |")
    short = "; ".join(map(PAIR.join, outcome.short()))
    verdict = f"Too far apart: {short}." if short else "No pair is further apart than asked."
    lines += ["", verdict, "", "## Against the original", ""]
    lines += ["PSNR in dB, mean of the pictures.", "", f"| |{head}", f"|---|{rule}"]
    for entry in outcome.receivers:
        cells = [_cell(outcome.mean(entry.title, rate, method), 3) for method, rate in columns]
        lines.append(f"| {entry.title} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _chosen(values: dict[Case, float], rate: float, method: Method) -> Iterator[float]:
    return (value for case, value in values.items() if (case.rate, case.method) == (rate, method))


def _cell(value: float | None, digits: int) -> str:
    if value is None:
        return "-"
    return "equal" if math.isinf(value) else f"{value:.{digits}f}"


def _streams(
    name: str, original: Picture, rates: Sequence[float], folder: Path | None
) -> dict[float, bytes]:
    """Return the stream of a picture, cut at each rate; take what is in ``folder``, or write it."""
    files = {rate: folder / f"{name}-{rate:g}.dfc" for rate in rates} if folder else {}
    if files and all(file.is_file() for file in files.values()):
        return {rate: file.read_bytes() for rate, file in files.items()}
    pixels = original.shape[0] * original.shape[1]
    model = load_model(DEFAULT)
    stream = b"".join(Encoder(original, model, target_bytes=int(max(rates) * pixels / 8)))
    cuts = {rate: stream[: int(rate * pixels / 8)] for rate in rates}
    for rate, file in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        with writing(file) as opened:
            opened.write(cuts[rate])
    return cuts


def _fitting(picture: Picture, original: Picture, case: Case) -> Picture:
    if picture.shape != original.shape:
        raise UnreadablePicture(f"{case.name}: {picture.shape} instead of {original.shape}")
    return picture


def _kept(folder: Path) -> Callable[[Case, bytes], Picture | None]:
    def show(case: Case, stream: bytes) -> Picture | None:  # noqa: ARG001
        file = folder / f"{case.name}.png"
        return load_picture(file) if file.is_file() else None

    return show


def _on_one_thread() -> Model:
    number = threads.count()
    threads.limit(1)
    try:
        return load_model(DEFAULT, Engine.ONNXRUNTIME)
    finally:
        threads.limit(number)


def _bfloat16() -> Model:
    # Late, because it brings torch, without which the others can be compared.
    import torch

    from diffc_stream.diffusion.learned import LearnedDenoiser
    from diffc_stream.diffusion.network import load_network

    network = load_network(DEFAULT)

    @torch.inference_mode()
    def run(z: Floats, features: Floats) -> Floats:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            v: torch.Tensor = network(torch.from_numpy(z), torch.from_numpy(features))
        return v.float().numpy()

    known = load_model(DEFAULT, Engine.TORCH)
    shape = network.architecture
    denoiser = LearnedDenoiser(run, multiple=shape.multiple, halo=shape.halo, shaped=shape.shaped)
    return Model(
        name=known.name,
        fingerprint=known.fingerprint,
        denoiser=denoiser,
        shaped=known.shaped,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agreement",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="PAGE.md")
    parser.add_argument("--bpp", dest="rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--streams", type=Path, metavar="DIR")
    parser.add_argument(
        "--browser", nargs=2, action="append", default=[], metavar=("TITLE", "FOLDER")
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
