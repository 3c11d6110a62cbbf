"""<diffc-picture> of streams that start from a picture that the site has beside them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import camera
import numpy as np
import pytest
from playwright.async_api import Browser, WebSocket
from serving import serving
from static_site import static_site
from test_viewer_picture_element import HEARD, PICTURE, SIDE, STRICT, dist, heard, page_of, visit
from viewing import scene

from diffc_server.catalogue.cameras import Cameras
from diffc_server.encoding.source import FileOpener
from diffc_stream.codec import Decoder, Encoder, extent
from diffc_stream.diffusion.collection import Collection, default_model
from diffc_stream.picture import png_bytes
from diffc_stream.references import References, among, held

pytestmark = pytest.mark.asyncio(loop_scope="session")
__all__ = ["dist"]

COLOURS = """canvas => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return btoa(String.fromCharCode(...data));
}"""


@pytest.fixture(scope="module")
def days() -> dict[str, bytes]:
    """A picture, and streams of two pictures that are like it: one starts from the other."""
    model, before = default_model(), scene(SIDE, 1)
    files = {"früh 1.png": png_bytes(before)}
    pictures = [before.copy(), before.copy()]
    for number, picture in enumerate(pictures):
        picture[8 : 20 + 8 * number, 30:44] = (250, 10, 60 * number)
    for picture, name, start in zip(
        pictures, ("noon.dfc", "night.dfc"), ("früh 1.png", "noon.dfc"), strict=True
    ):
        reference = held(files[start], [model], name=start, find=among(files.values()))
        encoder = Encoder(picture, model, target_bytes=300, reference=reference)
        files[name] = b"".join(encoder)
    return files


def shown(days: dict[str, bytes], name: str) -> Any:
    """Return the picture that Python shows of a stream."""
    models = [default_model()]
    decoder = Decoder(models, references=References(models, among(days.values())))
    decoder.feed(days[name])
    return decoder.render().image.astype(int)


async def test_what_a_stream_starts_from_is_found_beside_it(
    browser: Browser, dist: Path, days: dict[str, bytes]
) -> None:
    elements = [
        f'<diffc-picture src="days/{name}.dfc" alt=""></diffc-picture>'
        for name in ("noon", "night")
    ]
    files: dict[str, Any] = {"/": page_of(*elements)}
    files |= {f"/days/{quote(name)}": data for name, data in days.items()}
    async with static_site(
        files=files, folders={"/diffc/": dist}, fields={"Content-Security-Policy": STRICT}
    ) as site:
        page, complaints = await visit(browser, site)
        await heard(page, "load", 2)
        for place, name in enumerate(("noon.dfc", "night.dfc")):
            canvas = page.locator("diffc-picture canvas").nth(place)
            data = np.frombuffer(base64.b64decode(await canvas.evaluate(COLOURS)), np.uint8)
            pixels = data.reshape(SIDE, SIDE, 4)[:, :, :3].astype(int)
            assert np.abs(pixels - shown(days, name)).max() <= 1
        assert complaints.heard == []
        # Once, whichever picture asks for it.
        assert len([line for line in site.asked if "png" in line]) == 1
        await page.context.close()


async def test_what_is_missing_is_said_and_tried_again(
    browser: Browser, dist: Path, days: dict[str, bytes]
) -> None:
    files: dict[str, Any] = {
        "/": page_of('<diffc-picture src="noon.dfc" alt="Noon">'),
        "/noon.dfc": days["noon.dfc"],
    }
    async with static_site(files=files, folders={"/diffc/": dist}) as site:
        page, _ = await visit(browser, site)
        [[_, message]] = await heard(page, "error")
        assert "a picture that is not here (früh 1.png, " in message
        files[f"/{quote('früh 1.png')}"] = days["früh 1.png"]
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await heard(page, "load")
        await page.context.close()


async def test_a_sender_has_what_its_streams_start_from(
    browser: Browser, dist: Path, tmp_path: Path
) -> None:
    model, scene_ = default_model(), scene(SIDE, 1)
    noon = b"".join(Encoder(scene_, model, target_bytes=300))
    reference = held(noon, [model], name="noon.dfc")
    night = b"".join(Encoder(scene_, model, target_bytes=400, reference=reference))
    folder = tmp_path / "pictures" / "by day"
    folder.mkdir(parents=True)
    for name, data in (("noon.dfc", noon), ("night.dfc", night)):
        (folder / name).write_bytes(data)
    files: dict[str, Any] = {}
    async with (
        static_site(files=files, folders={"/diffc/": dist}) as site,
        serving(folder.parent, FileOpener(Collection.at_hand()), origins=[site.url]) as sender,
    ):
        src = f"{sender.url}/by%20day/night.dfc"
        files["/"] = page_of(f'<diffc-picture src="{src}" alt="Night">')
        page, _ = await visit(browser, site)
        assert (await heard(page, "load"))[-1] == ["load"]
        assert await page.evaluate(f"{PICTURE}.shown.bytes") == len(night)
        await page.context.close()


async def test_a_sender_that_follows_a_camera(
    browser: Browser, dist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pictures as small as these are too coarse for each other at half a bit per pixel.
    monkeypatch.setattr(extent, "MOST_BPP", 1.5)
    camera.photograph(tmp_path, 3)
    files: dict[str, Any] = {}
    opener = FileOpener(Collection.at_hand())
    async with (
        static_site(files=files, folders={"/diffc/": dist}) as site,
        serving(tmp_path, opener, cameras=Cameras(3600), origins=[site.url]) as sender,
    ):
        files["/"] = page_of(f'<diffc-picture src="{sender.url}/2.png" bytes="700" alt="Now">')
        context = await browser.new_context()
        page, sent = await context.new_page(), bytearray()

        def note(data: str | bytes) -> None:
            sent.extend(data if isinstance(data, bytes) else b"")

        def listen(socket: WebSocket) -> None:
            socket.on("framesent", note)

        page.on("websocket", listen)
        await context.add_init_script(HEARD)
        await page.goto(site.url)
        assert (await heard(page, "load"))[-2:] == [["progress", 700, 700], ["load"]]
        # It says that it can follow, and asks for those that come before.
        for part in (b"dfc4", b"2.png", b"1.png", b"0.png"):
            assert part in sent
        await context.close()
