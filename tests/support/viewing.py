"""A sender, a bad link, and the viewer's page before it: what the page's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffc_client.remote.address import Address
from diffc_client.web.app import View
from diffc_server import Catalogue, Pipeline, SenderDaemon
from diffc_server.encoding.source import FileOpener
from diffc_server.http.comparison import Comparison
from diffc_stream.clips import ClipEncoder
from diffc_stream.codec import Encoder
from diffc_stream.diffusion.collection import Collection
from diffc_stream.session import Terms
from diffc_stream.transport.impaired_link import Link
from diffc_viewer import Assets, Facts, Site


def scene(side: int, seed: int) -> NDArray[np.uint8]:
    """Return a picture of discs before a gradient, (side, side, 3)."""
    y, x = np.mgrid[0:side, 0:side] / side
    sky = [0.5 + 0.4 * np.sin(3 * x + 2 * y + seed), 0.5 + 0.3 * np.cos(4 * y - x), 0.4 + x * y / 2]
    picture = np.stack(sky, axis=-1)
    values = np.random.default_rng(seed)
    for _ in range(14):
        across, down, radius = *values.uniform(0, 1, 2), values.uniform(0.04, 0.2)
        disc = (x - across) ** 2 + (y - down) ** 2 < radius**2
        picture[disc] = 0.3 * picture[disc] + 0.7 * values.uniform(0, 1, 3)
    return np.asarray(255 * np.clip(picture, 0, 1), np.uint8)


def streamed(picture: NDArray[np.uint8], bpp: float) -> bytes:
    """Return the stream of a picture, with the model that ships."""
    height, width = picture.shape[:2]
    model = Collection.at_hand().preferred
    return b"".join(Encoder(picture, model, target_bytes=int(bpp * height * width / 8)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A sender's pictures, on a page."""

    url: str
    """Where the page is."""
    link: Link
    """What the page's bytes come over; the page itself does not."""
    daemon: SenderDaemon


@asynccontextmanager
async def viewing(
    folder: Path, *, window: int | None = None, compare: bool = False
) -> AsyncIterator[Served]:
    """Serve the pictures and streams in ``folder``, and a page for them."""
    models = Collection.at_hand()
    catalogue = Catalogue(folder)
    daemon = SenderDaemon(
        catalogue,
        Pipeline(FileOpener(models)),
        terms=Terms(window=window) if window else None,
        site=Site(Assets(models.files), Facts(compare=compare)),
        comparison=Comparison(catalogue) if compare else None,
    )
    async with (
        daemon,
        Link("127.0.0.1", daemon.port) as link,
        View(
            Address.parse(f"ws://127.0.0.1:{link.port}"),
            Site(Assets(models.files)),
            compare=compare,
        ) as view,
    ):
        yield Served(url=view.url, link=link, daemon=daemon)


def moving(side: int, pictures: int, nbytes: int) -> bytes:
    """Return the stream of a clip of a camera that moves before a scene, of 100 ms a picture."""
    wide = scene(side + 4 * pictures, 5)
    shown = [wide[:side, 4 * n : 4 * n + side].copy() for n in range(pictures)]
    model = Collection.at_hand().preferred
    return b"".join(ClipEncoder(shown, model, milliseconds=100, target_bytes=nbytes))
