"""The viewer's page with pictures of a fixed camera, each of which starts from the one before."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from viewer_page import finished, visit
from viewing import scene, viewing

from diffc_stream.codec import Encoder
from diffc_stream.diffusion.collection import default_model
from diffc_stream.references import among, held

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIDE = 64


def frames(count: int) -> dict[str, bytes]:
    """Return the streams of a scene in which something moves."""
    model, files = default_model(), dict[str, bytes]()
    before = None
    for number in range(count):
        picture = scene(SIDE, 1)
        picture[20:32, 8 * number : 8 * number + 12] = (250, 10, 60)
        encoder = Encoder(picture, model, target_bytes=400, reference=before)
        name = f"{number}.dfc"
        files[name] = b"".join(encoder)
        assert files[name][3] >> 4 == (4 if number else 2)
        before = held(files[name][:300], [model], name=name, find=among(files.values()))
    return files


async def test_pictures_that_start_from_one_another(browser: Browser, tmp_path: Path) -> None:
    for name, data in frames(4).items():
        (tmp_path / name).write_bytes(data)
    async with viewing(tmp_path) as served, visit(browser, served.url) as page:
        await expect(page.locator(".tile")).to_have_count(4)
        for tile in await page.locator(".tile").all():
            await expect(tile).to_have_attribute("data-shown", re.compile(r"\d+"))
        await page.goto(f"{served.url}#/3.dfc")
        await finished(page)
        await expect(page.get_by_role("alert")).to_have_text("")
