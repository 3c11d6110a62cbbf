"""Prefix quality: what the beginning of a file shows.

Files of about one rate, cut after a share of their bytes, read by Pillow as far as it gets.  Only
JPEG and JPEG 2000 have something to show; the others are tried too, and say so.  For a JPEG 2000
file that ends early, zeros are put in the place of what is missing, which its decoder takes for
empty packets; Pillow alone shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from diffc_stream.codec import Decoder
from diffc_stream.diffusion.model import Model
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture

from .contest import digest, slug
from .kept import kept
from .peers import Family, Peer, Search, enlarged

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
DROPPED = (0, 16, 64, 256)
"""Bytes that are given up if a decoder does not take a file that ends where it ends."""
LAYERS = 15
"""Of quality in a JPEG 2000 file, each the square root of 2 times as many bytes as the last."""

LAYERED = Family(
    name=f"{LAYERS} quality layers, LRCP",
    options={"quality_mode": "rates", "irreversible": True, "mct": 1, "progression": "LRCP"},
    knob="quality_layers",
    positions=tuple(
        [1200 * 0.93**i * 2 ** (j / 2) for j in range(LAYERS)][::-1] for i in range(76)
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What the first bytes of a file show."""

    codec: str
    share: float
    bytes: int
    psnr: float | None
    """In dB; None where nothing can be shown."""


def of_peer(picture: NDArray[np.uint8], peer: Peer, rate: float) -> list[Beginning]:
    """Return what beginnings of the peer's full-size file of ``rate`` bits per pixel show.

    None if there is no file so small.
    """
    height, width = picture.shape[:2]
    family = LAYERED if peer.format == "JPEG2000" else peer.families[0]
    found = Search(Image.fromarray(picture), peer, family).within(int(rate * height * width / 8))
    if found is None:
        return []
    data = found[0]
    beginnings = []
    for share in SHARES:
        size = round(share * len(data))
        shown = _shown(data, size, peer, height, width)
        beginnings.append(
            Beginning(
                codec=peer.name,
                share=share,
                bytes=size,
                psnr=None if shown is None else psnr(shown, picture),
            )
        )
    return beginnings


def kept_of_peer(path: Path, peer: Peer, rate: float, folder: Path) -> list[Beginning]:
    """Return :func:`of_peer` of a picture's file, or what is kept of it in ``folder``."""
    picture = load_picture(path)
    depends_on = (digest(picture), peer.settings, peer.version(), rate, SHARES, LAYERS, DROPPED)
    entries = kept(
        folder / f"{path.name}-{slug(peer)}-beginnings.json",
        depends_on,
        lambda: [asdict(beginning) for beginning in of_peer(picture, peer, rate)],
    )
    return [Beginning(**entry) for entry in cast(list[dict[str, Any]], entries)]


def of_stream(
    picture: NDArray[np.uint8], stream: Path, model: Model, rate: float
) -> list[Beginning]:
    """Return what beginnings of the first ``rate`` bits per pixel of a stream show (mmse)."""
    height, width = picture.shape[:2]
    limit = int(rate * height * width / 8)
    with stream.open("rb") as file:
        data = file.read(limit)
    decoder, beginnings = Decoder([model]), []
    for share in SHARES:
        size = round(share * len(data))
        decoder.feed(data[decoder.bytes_received : size])
        shown = psnr(decoder.render().image, picture) if decoder.ready else None
        beginnings.append(Beginning(codec="diffc-stream", share=share, bytes=size, psnr=shown))
    return beginnings


def mean(beginnings: Sequence[Beginning]) -> dict[str, dict[float, float | None]]:
    """Return the mean PSNR by codec and share; None where any picture has nothing to show."""
    gathered: dict[str, dict[float, list[float | None]]] = {}
    for entry in beginnings:
        gathered.setdefault(entry.codec, {}).setdefault(entry.share, []).append(entry.psnr)
    return {
        codec: {share: _mean(values) for share, values in shares.items()}
        for codec, shares in gathered.items()
    }


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if len(there) == len(values) else None


def _shown(data: bytes, size: int, peer: Peer, height: int, width: int) -> NDArray[np.uint8] | None:
    for dropped in DROPPED if size < len(data) else [0]:
        beginning = data[: max(0, size - dropped)]
        if peer.format == "JPEG2000" and size < len(data):
            beginning += bytes(len(data) - len(beginning) - 2) + b"\xff\xd9"
        try:
            with _truncated_too():
                shown = enlarged(beginning, height, width)
        except Exception:
            continue  # decoders meet the end of a file with whatever they trip over
        # What a decoder that gave up leaves behind is one colour, black or grey.
        if np.ptp(shown) > 0:
            return shown
    return None


@contextmanager
def _truncated_too() -> Iterator[None]:
    """Let Pillow show what it has of a file that ends early; the setting is its process's own."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
