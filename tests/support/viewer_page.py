"""The viewer's page in a browser, and what its tests do there."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE, Complaints
from playwright.async_api import Browser, Page, expect
from viewing import scene, streamed

SCREENSHOTS = Path(__file__).parent.parent.parent / "build" / "screenshots"
expect.set_options(timeout=PATIENCE)
SIDE, LARGE = 64, 128
"""Of a picture, and of one whose bytes take their time."""
TARGET, LARGE_TARGET = (int(0.2 * side * side / 8) for side in (SIDE, LARGE))
"""Bytes up to which the page wants the picture at first, where it has the stage."""
WINDOW = 512
SEEN = """
// Threads that wait for each other spin, which other programs' tests would pay for.
Object.defineProperty(navigator, "hardwareConcurrency", { value: 1 });
addEventListener("DOMContentLoaded", () => {
  window.seen = [];
  const canvas = document.getElementById("canvas");
  const note = () => seen.push([Number(canvas.dataset.bytes), Number(canvas.dataset.psnr)]);
  new MutationObserver(note).observe(canvas, { attributeFilter: ["data-bytes"] });
});
"""
PIXELS = "document.getElementById('canvas').toDataURL()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of streams, which are sent as they are: nothing is encoded while a test waits."""
    home = tmp_path_factory.mktemp("pictures")
    (home / "harbour.dfc").write_bytes(streamed(scene(SIDE, 1), 0.9))
    (home / "cliffs").mkdir()
    (home / "cliffs" / "east side.dfc").write_bytes(streamed(scene(64, 2), 0.5))
    (home / "meadow.dfc").write_bytes(streamed(scene(64, 3), 0.5))
    return home


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a larger picture, for tests in which bytes are still under way."""
    home = tmp_path_factory.mktemp("large")
    (home / "harbour.dfc").write_bytes(streamed(scene(LARGE, 1), 0.9))
    return home


@asynccontextmanager
async def visit(
    browser: Browser, url: str, *, complaints: bool = True, **context: Any
) -> AsyncIterator[Page]:
    """Open the page; nothing may be wrong with it when the block ends."""
    opened = await browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | context)
    opened.set_default_timeout(PATIENCE)
    await opened.add_init_script(SEEN)
    page, heard = await opened.new_page(), Complaints()
    heard.listen(page)
    await page.goto(url)
    try:
        yield page
        assert not complaints or heard.heard == []
    finally:
        await opened.close()


async def has(page: Page, selector: str, name: str, value: str | re.Pattern[str]) -> None:
    """Wait until an element has an attribute."""
    await expect(page.locator(selector)).to_have_attribute(name, value)


async def finished(page: Page, nbytes: int = TARGET) -> None:
    """Wait until the large picture is there, and shown."""
    await has(page, "#stage", "data-state", re.compile("target|stopped|complete"))
    await has(page, "#canvas", "data-bytes", str(nbytes))


async def number(page: Page, selector: str, name: str) -> float:
    return float(await page.locator(selector).get_attribute(name) or "nan")


async def screenshot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"{name}.png")
