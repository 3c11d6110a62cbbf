"""Send a photograph to three receivers that each lose a third of the packets, and never answer.

    make broadcast                                 scikit-image's coffee, 8,000 bytes
    make broadcast IMAGE=photo.jpg BYTES=4000      your own photograph, another budget
    python -m examples.broadcast --mesh --size 230 over a mesh of radios, Meshtastic's packets

It draws what each receiver has, and what the three have together, beside a JPEG in as many packets
as SSDV sends it, with the same packets lost.  Packets and pictures are in demo/.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from diffc_stream import Encoder, default_model, load_picture, save_png
from diffc_stream.codec import Patchwork
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import DiffcError, NothingDecodable
from diffc_stream.metrics import psnr
from diffc_stream.packets import Broadcast, Plan, Receiver
from diffc_stream.threads import wait_asleep
from examples import mesh, ssdv
from examples.demo import default_photo
from examples.filmstrip import INK, MARGIN, PALE, PAPER

RECEIVERS = 3
WIDTH = 360
"""Of a picture in the strip, in pixels."""
Pixels = NDArray[np.uint8]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return its exit code."""
    options = _parser().parse_args(arguments)
    wait_asleep()
    try:
        original = load_picture(options.image or default_photo())
        options.out.mkdir(parents=True, exist_ok=True)
        show(original, default_model(), options)
    except DiffcError as error:
        print(f"broadcast: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def show(original: Pixels, model: Model, options: argparse.Namespace) -> None:
    """Send, lose, receive, and draw."""
    stream = b"".join(Encoder(original, model, target_bytes=options.bytes))
    plan = Plan.for_loss(options.loss)
    broadcast = Broadcast(stream, size=options.size, budget=options.bytes, plan=plan)
    packets = list(broadcast)
    if options.mesh:
        kept = mesh.arrivals(len(packets), options.seed)
    else:
        kept = arrivals(len(packets), options.loss, options.seed)
    pooled = [any(column) for column in zip(*kept, strict=True)]
    jpeg = ssdv.packed(original, len(packets), options.size)
    print(
        f"{len(packets)} packets of {options.size} bytes, {broadcast.stream_bytes} bytes of stream;"
        f" {options.loss:.0%} are expected to be lost"
    )
    titles = [f"receiver {number + 1}" for number in range(RECEIVERS)] + ["all three together"]
    if options.mesh:
        titles = [f"{number + 1} hops away" for number in range(RECEIVERS)] + titles[RECEIVERS:]
    columns = []
    for title, arrived in zip(titles, [*kept, pooled], strict=True):
        ours = received(packets, arrived, model, original)
        theirs = np.full_like(original, ssdv.GREY) if jpeg is None else jpeg.received(arrived)
        reached = psnr(ours, original), psnr(theirs, original)
        print(f"{title}: {sum(arrived)} packets, {reached[0]:.2f} dB; as SSDV {reached[1]:.2f} dB")
        columns.append((f"{title}: {sum(arrived)} of {len(packets)}", ours, theirs, reached))
    lost = "a mesh of radios" if options.mesh else f"{options.loss:.0%} lost"
    save_png(options.out / "broadcast.png", drawn(columns, lost))
    print(f"the pictures are in {options.out / 'broadcast.png'}")


def arrivals(packets: int, loss: float, seed: int) -> list[list[bool]]:
    """Return which packets each receiver gets: all but a share ``loss`` of them, each others."""
    drawn = np.random.default_rng(seed)
    lost = round(loss * packets)
    return [list(drawn.permutation(packets) >= lost) for _ in range(RECEIVERS)]


def received(
    packets: Sequence[bytes], arrived: Sequence[bool], model: Model, original: Pixels
) -> Pixels:
    """Return the picture of the packets that arrived, grey if they give none."""
    receiver = Receiver()
    for packet, there in zip(packets, arrived, strict=True):
        if there:
            receiver.take(packet)
    parts = receiver.newest.parts() if receiver.newest else ()
    try:
        return Patchwork([model]).decoder(parts).render().image
    except NothingDecodable:
        return np.full_like(original, ssdv.GREY)


def drawn(columns: Sequence[tuple[str, Pixels, Pixels, tuple[float, float]]], title: str) -> Pixels:
    """Draw ours above SSDV's, a column for each receiver."""
    height, width = columns[0][1].shape[:2]
    tall = max(1, round(height * WIDTH / width))
    font, small = ImageFont.load_default(24), ImageFont.load_default(20)
    size = (MARGIN + len(columns) * (WIDTH + MARGIN), 3 * MARGIN + 60 + 2 * (tall + 34))
    strip = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(strip)
    draw.text((MARGIN, MARGIN), f"{title}: ours above, JPEG as SSDV below", INK, font=font)
    for index, (label, ours, theirs, reached) in enumerate(columns):
        left, top = MARGIN + index * (WIDTH + MARGIN), MARGIN + 36
        draw.text((left, top), label, INK, font=small)
        for picture, value in zip((ours, theirs), reached, strict=True):
            image = Image.fromarray(picture).resize((WIDTH, tall), Image.Resampling.LANCZOS)
            strip.paste(image, (left, top + 30))
            draw.text((left, top + 32 + tall), f"{value:.2f} dB", PALE, font=small)
            top += tall + 34
    return np.asarray(strip).copy()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.broadcast",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--image", type=Path, help="a photograph (scikit-image's coffee)")
    add("--bytes", type=int, default=8000, help="to send (8000)")
    add("--size", type=int, default=200, help="of a packet (200)")
    add("--loss", type=float, default=1 / 3, help="share of the packets that each loses (1/3)")
    add("--mesh", action="store_true", help="receivers one to three hops away in a simulated mesh")
    add("--seed", type=int, default=0, help="of what is lost (0)")
    add("--out", type=Path, default=Path("demo"), help="folder (demo)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
