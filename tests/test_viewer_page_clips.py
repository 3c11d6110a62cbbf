"""The viewer's page: clips play in a loop, and sharpen."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from browser import PATIENCE
from playwright.async_api import Browser, Page, expect
from viewer_page import PIXELS, has, number, screenshot, visit
from viewing import moving, scene, streamed, viewing

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIDE, PICTURES, LENGTH = 64, 3, 900
CIRCLED = """count => new Promise((done) => {
  const canvas = document.getElementById("canvas");
  const numbers = new Set();
  const observer = new MutationObserver(() => {
    numbers.add(canvas.dataset.number);
    if (numbers.size < count) return;
    observer.disconnect();
    done(true);
  });
  observer.observe(canvas, { attributeFilter: ["data-number"] });
})"""
"""Wait until as many pictures of a clip were shown, one after the other."""
DISPLAYED = """count => new Promise((done) => {
  const wait = () => (count-- ? requestAnimationFrame(wait) : done(true));
  wait();
})"""
"""Wait until the display has shown so many pictures."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip and a picture."""
    home = tmp_path_factory.mktemp("clips")
    (home / "harbour.dfc").write_bytes(moving(SIDE, PICTURES, LENGTH))
    (home / "single.dfc").write_bytes(streamed(scene(SIDE, 1), 0.9))
    return home


async def whole(page: Page) -> None:
    """Wait until all of the clip is there, and rendered."""
    await has(page, "#stage", "data-state", "complete")
    await has(page, "#canvas", "data-every", str(LENGTH))


async def circled(page: Page) -> None:
    """Wait until all pictures of the clip were shown, one after the other."""
    async with asyncio.timeout(PATIENCE / 1000):
        await page.evaluate(CIRCLED, PICTURES)


async def test_a_clip_plays_and_pauses(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, f"{served.url}#/harbour.dfc") as page:
        pause = page.get_by_role("button", name="Pause")
        await expect(pause).to_be_visible()
        await has(page, "#stage", "data-clip", "")
        for control in ("Realism", "Show what was sent"):
            await expect(page.get_by_label(control)).to_be_hidden()
        # At 0.2 bits for each pixel of all its pictures it has enough.
        await page.get_by_role("button", name="More").click()
        while await page.locator("#stage").get_attribute("data-state") != "complete":
            await page.get_by_role("button", name="More").click()
            await has(page, "#stage", "data-state", re.compile("target|complete"))
        await whole(page)
        await circled(page)
        await screenshot(page, "clip-light")
        await expect(page.locator("#caption")).to_contain_text("900 bytes")
        await pause.click()
        play = page.get_by_role("button", name="Play")
        await expect(play).to_be_visible()
        shown = await page.evaluate(PIXELS)
        await page.evaluate(DISPLAYED, 30)
        assert await page.evaluate(PIXELS) == shown
        await play.click()
        await circled(page)
        # A single picture has no such button.
        await page.evaluate("location.hash = '#/single.dfc'")
        await has(page, "#canvas", "data-bytes", re.compile(r"\d+"))
        await expect(page.locator("#motion")).to_be_hidden()
        await expect(page.get_by_label("Realism")).to_be_visible()
        assert await page.locator("#stage").get_attribute("data-clip") is None
        # When it is opened again all that has arrived is there.
        await page.evaluate("location.hash = '#/harbour.dfc'")
        await whole(page)
        await circled(page)


async def test_who_wants_no_motion_sees_a_picture(browser: Browser, folder: Path) -> None:
    async with (
        viewing(folder) as served,
        visit(browser, f"{served.url}#/harbour.dfc", reduced_motion="reduce") as page,
    ):
        await expect(page.get_by_role("button", name="Play")).to_be_visible()
        await has(page, "#stage", "data-state", re.compile("target|complete"))
        await has(page, "#canvas", "data-number", "0")
        await page.get_by_role("button", name="Play").click()
        await expect(page.get_by_role("button", name="Pause")).to_be_visible()
        await has(page, "#canvas", "data-number", "1")


async def test_a_prefix_of_it_is_shown(browser: Browser, folder: Path) -> None:
    async with (
        viewing(folder) as served,
        visit(browser, f"{served.url}#/harbour.dfc", reduced_motion="reduce") as page,
    ):
        await has(page, "#stage", "data-state", re.compile("target|complete"))
        length = int(await number(page, "#stage", "data-bytes"))
        await has(page, "#canvas", "data-every", str(length))
        newest = await page.evaluate(PIXELS)
        axis = page.get_by_role("slider", name="Bytes that the picture is made from")
        for _ in range(2):
            await axis.press("PageDown")
        at = int(await number(page, "#axis", "aria-valuenow"))
        assert 50 < at < length
        await has(page, "#canvas", "data-every", str(at))
        assert await page.evaluate(PIXELS) != newest
        await page.get_by_role("button", name="Live").click()
        await has(page, "#canvas", "data-every", str(length))
        assert await page.evaluate(PIXELS) == newest


async def test_the_gallery_shows_its_first_picture(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, served.url) as page:
        tile = page.get_by_role("link", name=re.compile("harbour.dfc"))
        await expect(tile).to_contain_text(re.compile(r"\d\sbytes · about\s\d"))
        await tile.click()
        await expect(page.get_by_role("button", name="Pause")).to_be_visible()
        await has(page, "#canvas", "data-bytes", re.compile(r"\d+"))
