"""How fast a browser decodes: Chromium on this machine, with the receiver in JavaScript.

    python -m benchmarks.browser [--image PHOTO] [--bpp 0.2] [--threads 2] [--json]
    python -m benchmarks.browser --streams DIR --save FOLDER

(256x256 from the middle of the photograph, or a computed picture without one; --whole takes all of
it.)  A page from ``diffc-server`` is given the whole stream at once, cold, when runtime and model
have yet to be loaded, and twice warm.  Prints what passes between the first record and the first
picture, and between the first record and the last picture.

With --streams it decodes every PICTURE-RATE.dfc in a folder, once by mmse and once by flow, and
leaves the pictures in FOLDER, for ``python -m benchmarks.agreement --browser TITLE FOLDER``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec import Encoder
from diffc_stream.codec.curve import Curve
from diffc_stream.diffusion.collection import Collection
from diffc_stream.picture import load_picture, save_png
from diffc_viewer import Assets, Site
from diffc_viewer.assets import MODELS

from .pictures import commit, machine

if TYPE_CHECKING:
    from playwright.async_api import Page

SIDE = 256
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-sync")

DECODE = """async ({ stream, first, threads, method, rounds }) => {
  const { Decoding } = await import("/-/js/decoding.js");
  const bytes = Uint8Array.from(atob(stream), (character) => character.charCodeAt(0));
  const runtime = "/-/vendor/onnxruntime-web/";
  const decoding = new Decoding({
    worker: "/-/js/worker.js",
    runtime: { module: `${runtime}ort.wasm.min.mjs`, wasm: runtime },
    provider: "wasm",
    model: (fingerprint) => ({
      graph: `/-/models/${fingerprint}.onnx`,
      weights: `/-/models/${fingerprint}.safetensors`,
    }),
    threads,
  });
  const passes = [];
  let shown;
  for (let round = 0; round < rounds; round++) {
    const picture = decoding.picture();
    const began = performance.now();
    picture.feed(bytes.slice(0, first));
    await picture.render({ method: 0 });
    const seen = performance.now();
    picture.feed(bytes.slice(first));
    shown = await picture.render({ method });
    const done = performance.now();
    passes.push({ first_picture: (seen - began) / 1000, last_picture: (done - began) / 1000 });
    picture.close();
  }
  let text = "";
  for (let place = 0; place < shown.pixels.length; place += 32768) {
    text += String.fromCharCode(...shown.pixels.subarray(place, place + 32768));
  }
  const info = decoding.info();
  decoding.close();
  return { passes, width: shown.width, height: shown.height, pixels: btoa(text), info };
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One stream, decoded; seconds since its first record came."""

    first_picture: float
    last_picture: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a browser took."""

    width: int
    height: int
    bytes: int
    first_record: int
    """Bytes after which there is a first picture."""
    provider: str
    threads: int
    cold: Pass
    warm: Pass
    """The best of those after the first."""


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if (options.streams is None) is not (options.save is None):
        print("benchmarks.browser: --streams and --save go together", file=sys.stderr)
        return 2
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None or find_spec("playwright") is None or not Assets().complete:
        print("benchmarks.browser: it takes Chromium, playwright and make viewer", file=sys.stderr)
        return 1
    if options.streams:
        options.save.mkdir(parents=True, exist_ok=True)
        streams = {path.stem: path.read_bytes() for path in sorted(options.streams.glob("*.dfc"))}
        asyncio.run(decode_all(streams, options.save, options.threads, executable))
        return 0
    stream = _stream(_picture(options.image, whole=options.whole), options.bpp)
    measured = asyncio.run(measure(stream, options.threads, options.realism, executable))
    if options.json:
        print(json.dumps({"commit": commit(), "machine": machine(), **asdict(measured)}))
    else:
        print(table(measured))
    return 0


async def measure(stream: bytes, threads: int, realism: float, executable: str) -> Measured:
    """Have a browser decode ``stream``, cold and warm, and return what that took."""
    curve = Curve()
    curve.feed(stream)
    async with page(executable) as opened:
        answer = await decoded(opened, stream, threads=threads, realism=realism, rounds=3)
    passes = [Pass(**seconds) for seconds in answer["passes"]]
    return Measured(
        width=answer["width"],
        height=answer["height"],
        bytes=len(stream),
        first_record=curve.offsets[1],
        provider=answer["info"]["provider"],
        threads=answer["info"]["threads"],
        cold=passes[0],
        warm=min(passes[1:], key=lambda seconds: seconds.last_picture),
    )


async def decode_all(
    streams: Mapping[str, bytes], folder: Path, threads: int, executable: str
) -> None:
    """Leave in ``folder`` a browser's pictures of ``streams``, by their names."""
    async with page(executable) as opened:
        for (name, stream), method in product(streams.items(), ("mmse", "flow")):
            realism = float(method == "flow")
            answer = await decoded(opened, stream, threads=threads, realism=realism, rounds=1)
            shape = (answer["height"], answer["width"], 4)
            pixels = np.frombuffer(base64.b64decode(answer["pixels"]), np.uint8).reshape(shape)
            path = folder / f"{name}-{method}.png"
            save_png(path, np.ascontiguousarray(pixels[..., :3]))
            print(path, flush=True)


async def decoded(
    page: Page, stream: bytes, *, threads: int, realism: float, rounds: int
) -> dict[str, Any]:
    """Return what the script above returns."""
    curve = Curve()
    curve.feed(stream)
    question = {
        "stream": base64.b64encode(stream).decode(),
        "first": curve.offsets[1],
        "threads": threads,
        "method": realism,
        "rounds": rounds,
    }
    answer: dict[str, Any] = await page.evaluate(DECODE, question)
    return answer


@asynccontextmanager
async def page(executable: str) -> AsyncIterator[Page]:
    """Open a page of a sender's, in which nothing happens yet."""
    from playwright.async_api import async_playwright

    from diffc_server import Catalogue, Pipeline, SenderDaemon
    from diffc_server.encoding.source import FileOpener

    models = Collection.at_hand()
    daemon = SenderDaemon(
        Catalogue(Path(__file__).parent),
        Pipeline(FileOpener(models)),
        site=Site(Assets(models.files)),
    )
    async with daemon, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        opened = await browser.new_page()
        # Not the viewer, which would load a model too.
        await opened.goto(daemon.url.replace("ws:", "http:") + MODELS)
        yield opened
        await browser.close()


def table(measured: Measured) -> str:
    """Return the figures as Markdown."""
    rows = [
        "| seconds since the first record | first picture | last picture |",
        "|---|---|---|",
        f"| cold | {measured.cold.first_picture:.2f} | {measured.cold.last_picture:.2f} |",
        f"| warm | {measured.warm.first_picture:.2f} | {measured.warm.last_picture:.2f} |",
    ]
    how = (
        f"{measured.width}x{measured.height}, {measured.bytes:,} bytes, the first record after "
        f"{measured.first_record}; {measured.provider}, {measured.threads} threads"
    )
    return "\n".join([*rows, "", how])


def _picture(path: Path | None, *, whole: bool) -> NDArray[np.uint8]:
    if path is None:
        return computed(SIDE)
    picture = load_picture(path)
    if whole:
        return picture
    top, left = (max(0, (length - SIDE) // 2) for length in picture.shape[:2])
    return np.ascontiguousarray(picture[top : top + SIDE, left : left + SIDE])


def computed(side: int) -> NDArray[np.uint8]:
    """Return rings before a gradient, with edges and texture enough to be worth bytes."""
    y, x = np.mgrid[0:side, 0:side] / side
    rings = np.sin(40 * np.hypot(x - 0.4, y - 0.5) ** 1.5) > 0
    weave = np.sin(90 * x) * np.sin(70 * y) * (y > 0.7)
    planes = [0.3 + 0.6 * x + 0.1 * rings, 0.2 + 0.5 * y + 0.2 * rings, 0.7 - 0.5 * x * y]
    picture = np.stack(planes, axis=-1) + 0.1 * weave[..., None]
    return np.asarray(255 * np.clip(picture, 0, 1), np.uint8)


def _stream(picture: NDArray[np.uint8], bpp: float) -> bytes:
    height, width = picture.shape[:2]
    model = Collection.at_hand().preferred
    return b"".join(Encoder(picture, model, target_bytes=int(bpp * height * width / 8)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser", description=__doc__)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--bpp", type=float, default=0.2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--realism", type=float, default=0.0, help="0 to 1, of the last picture")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--streams", type=Path, metavar="DIR")
    parser.add_argument("--save", type=Path, metavar="FOLDER")
    return parser


if __name__ == "__main__":
    sys.exit(main())
