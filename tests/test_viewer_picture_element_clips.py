"""<diffc-picture> in a browser: clips play in a loop, and sharpen."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE, Complaints
from playwright.async_api import Browser, expect
from static_site import static_site
from test_viewer_page_accessible import accessibility
from test_viewer_picture_element import HEARD, PICTURE, STRICT, box, dist, heard, page_of
from viewing import moving

pytestmark = pytest.mark.asyncio(loop_scope="session")
__all__ = ["dist"]
SIDE, PICTURES, LENGTH = 64, 3, 900
LOOK = "canvas => canvas.toDataURL()"

CHANGED = f"""shown => new Promise((done) => {{
  const look = () => {{
    const canvas = {PICTURE}.shadowRoot.querySelector("canvas");
    if (({LOOK})(canvas) !== shown) done(true);
    else requestAnimationFrame(look);
  }};
  look();
}})"""


@pytest.fixture(scope="module")
def harbour() -> bytes:
    return moving(SIDE, PICTURES, LENGTH)


async def test_a_clip_plays_in_one_tag(browser: Browser, dist: Path, harbour: bytes) -> None:
    tag = '<diffc-picture src="harbour.dfc" bytes="600" alt="Boats that pass"></diffc-picture>'
    files: dict[str, Any] = {"/": page_of(tag), "/harbour.dfc": harbour}
    async with static_site(
        files=files, folders={"/diffc/": dist}, fields={"Content-Security-Policy": STRICT}
    ) as site:
        context = await browser.new_context(reduced_motion="reduce")
        await context.add_init_script(HEARD)
        page, complaints = await context.new_page(), Complaints()
        complaints.listen(page)
        await page.goto(site.url)
        events = await heard(page, "load")
        assert events[-2:] == [["progress", 600, 600], ["load"]]
        assert await box(page) == (SIDE, SIDE)
        shown = f"{PICTURE}.shown.clip"
        facts = f"[{PICTURE}.complete, {PICTURE}.paused, {shown}.pictures, {shown}.milliseconds]"
        assert await page.evaluate(facts) == [True, True, PICTURES, 100]
        nodes = await accessibility(page)
        assert {"role": "image", "name": "Boats that pass"} in nodes
        assert {"role": "button", "name": "Play"} in nodes
        canvas = page.locator("diffc-picture canvas")
        first = await canvas.evaluate(LOOK)
        await page.get_by_role("button", name="Play").click()
        async with asyncio.timeout(PATIENCE / 1000):
            await page.evaluate(CHANGED, first)
        assert await page.evaluate(f"{PICTURE}.paused") is False
        await page.get_by_role("button", name="Pause").click()
        await expect(page.get_by_role("button", name="Play")).to_be_visible()
        # More of it is loaded from where it was, and less of it shown from what is here.
        await page.evaluate(f"{PICTURE}.bytes = null")
        assert (await heard(page, "load", 2))[-2] == ["progress", LENGTH, 0]
        await page.evaluate(f"{PICTURE}.bytes = 200")
        assert (await heard(page, "load", 3))[-2] == ["progress", 200, 200]
        assert site.of(".dfc") == ["/harbour.dfc 0-599", "/harbour.dfc 600-"]
        await page.evaluate(f"{PICTURE}.src = 'nothing.dfc'")
        await heard(page, "error")
        await expect(page.get_by_role("button", name="Play")).to_be_hidden()
        assert [line for line in complaints.heard if "404" not in line] == []
        await context.close()
