"""The viewer's page: a rectangle that is dragged over the picture sharpens first."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Browser, Page, expect
from viewer_page import has, screenshot, visit
from viewing import scene, streamed, viewing

from diffc_stream import save_png
from diffc_stream.metrics import psnr

pytestmark = pytest.mark.asyncio(loop_scope="session")
SIDE = 128
SIZE = "64 \u00d7 64"
VALUES = """() => {
  // A copy, since browsers advise against reading a canvas that is shown again and again.
  const canvas = document.getElementById("canvas");
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return [...data].filter((_, place) => place % 4 < 3);
}"""
TOUCH = """([type, x, y]) => {
  const at = document.elementFromPoint(x, y);
  const facts = { pointerId: 7, pointerType: "touch", isPrimary: true, button: 0 };
  const event = { ...facts, clientX: x, clientY: y, bubbles: true, cancelable: true };
  at.closest(".frame").setPointerCapture = () => {};
  at.dispatchEvent(new PointerEvent(type, event));
}"""


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture, of which parts can be encoded, and with a stream."""
    home = tmp_path_factory.mktemp("photograph")
    save_png(home / "harbour.png", scene(SIDE, 1))
    (home / "ready.dfc").write_bytes(streamed(scene(64, 2), 0.4))
    return home


async def painted(page: Page) -> NDArray[np.uint8]:
    return np.array(await page.evaluate(VALUES), np.uint8).reshape(SIDE, SIDE, 3)


async def ready(page: Page) -> None:
    """Wait until the picture is there as far as it is wanted at first."""
    await has(page, "#stage", "data-state", re.compile("target|complete"))
    nbytes = await page.locator("#stage").get_attribute("data-bytes")
    await has(page, "#canvas", "data-bytes", nbytes or "")
    await expect(page.get_by_role("button", name="Sharpen a region")).to_be_enabled()


async def corners(page: Page, *places: tuple[float, float]) -> list[tuple[float, float]]:
    """Return places of the picture, in shares of its sides, as places of the window."""
    box = await page.locator("#canvas").bounding_box()
    assert box is not None
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in places]


async def test_what_a_mouse_drags_sharpens(browser: Browser, photograph: Path) -> None:
    original = scene(SIDE, 1)
    async with (
        viewing(photograph) as served,
        visit(browser, f"{served.url}#/harbour.png") as page,
    ):
        await ready(page)
        before = await painted(page)
        start, end = await corners(page, (0.05, 0.05), (0.45, 0.45))
        await page.mouse.move(*start)
        await page.mouse.down()
        await page.mouse.move(*end, steps=4)
        await page.mouse.up()
        await has(page, "#selection", "data-state", "asked")
        button = page.get_by_role("button", name="Sharpen a region")
        await expect(button).to_have_attribute("aria-pressed", "true")
        await has(page, "#stage", "data-region", "target")
        length = await page.locator("#stage").get_attribute("data-region-length")
        await has(page, "#stage", "data-region-bytes", length or "")
        await expect(page.locator("#facts")).to_contain_text(SIZE)
        place, rest = np.s_[:64, :64], np.s_[:, 64:]
        after = await painted(page)
        assert psnr(after[place], original[place]) > psnr(before[place], original[place]) + 2
        assert np.array_equal(after[rest], before[rest])
        await screenshot(page, "region-light")
        # What it has brought stays when it is dropped, and Escape does not leave the picture.
        await page.keyboard.press("Escape")
        await expect(page.locator("#selection")).to_be_hidden()
        await expect(button).to_have_attribute("aria-pressed", "false")
        await expect(page.locator("#title")).to_have_text("harbour.png")
        kept = await painted(page)
        assert psnr(kept[place], original[place]) > psnr(before[place], original[place]) + 2
        await page.keyboard.press("Escape")
        await expect(page.locator("#stage")).to_be_hidden()


async def test_by_keyboard(browser: Browser, photograph: Path) -> None:
    async with (
        viewing(photograph) as served,
        visit(browser, f"{served.url}#/harbour.png") as page,
    ):
        await ready(page)
        button = page.get_by_role("button", name="Sharpen a region")
        await button.press("Enter")
        selection = page.locator("#selection")
        await expect(selection).to_be_focused()
        await has(page, "#selection", "data-rectangle", "32,32,32,32")
        for key in ("ArrowLeft", "ArrowUp", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowDown"):
            await page.keyboard.press(key)
        await has(page, "#selection", "data-rectangle", "0,0,64,64")
        name = "What sharpens first: 64 by 64 pixels at 0, 0. Arrow keys move it"
        await expect(page.get_by_role("application", name=name)).to_be_visible()
        assert await page.evaluate("location.hash") == "#/harbour.png"
        await page.keyboard.press("Enter")
        await has(page, "#selection", "data-state", "asked")
        await expect(page.locator("#facts")).to_contain_text(SIZE)
        await page.keyboard.press("Escape")
        await expect(selection).to_be_hidden()
        await expect(button).to_be_focused()


async def test_by_touch(browser: Browser, photograph: Path) -> None:
    async with (
        viewing(photograph) as served,
        visit(browser, f"{served.url}#/harbour.png", has_touch=True) as page,
    ):
        await ready(page)
        start, middle, end = await corners(page, (0.6, 0.6), (0.7, 0.8), (0.95, 0.95))
        # A finger scrolls the page until it is told to draw.
        for kind, place in (("pointerdown", start), ("pointermove", end), ("pointerup", end)):
            await page.evaluate(TOUCH, [kind, *place])
        await expect(page.locator("#selection")).to_be_hidden()
        await page.get_by_role("button", name="Sharpen a region").tap()
        for kind, place in (
            ("pointerdown", start),
            ("pointermove", middle),
            ("pointermove", end),
            ("pointerup", end),
        ):
            await page.evaluate(TOUCH, [kind, *place])
        await has(page, "#selection", "data-state", "asked")
        await expect(page.locator("#facts")).to_contain_text(SIZE)


async def test_not_of_streams_that_are_ready(browser: Browser, photograph: Path) -> None:
    async with viewing(photograph) as served, visit(browser, f"{served.url}#/ready.dfc") as page:
        await has(page, "#stage", "data-state", re.compile("target|complete"))
        await expect(page.locator("#facts")).to_contain_text("Link")
        await expect(page.locator("#regions")).to_be_hidden()
