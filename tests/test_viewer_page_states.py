"""The viewer's page while things change: pictures come and go, and work takes its time."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect
from viewer_page import PIXELS, TARGET, finished, folder, has, visit
from viewing import scene, streamed, viewing

from diffc_stream.transport.impairment import Impairment

__all__ = ["folder"]
pytestmark = pytest.mark.asyncio(loop_scope="session")

LEFT = """() => ["caption", "cost", "said", "work"].map(
  (id) => document.getElementById(id).textContent,
)"""


async def test_the_page_follows_the_folder(browser: Browser, folder: Path, tmp_path: Path) -> None:
    small, other = ((folder / f"{name}.dfc").read_bytes() for name in ("meadow", "harbour"))
    async with viewing(tmp_path) as served, visit(browser, served.url) as page:
        await expect(page.locator("#nothing")).to_contain_text("they appear here")
        (tmp_path / "a.dfc").write_bytes(small)
        names = page.locator(".tile .name")
        await expect(names).to_have_text(["a.dfc"])
        await expect(page.locator("#nothing")).to_be_hidden()
        (tmp_path / "b.dfc").write_bytes(small)
        await expect(names).to_have_text(["a.dfc", "b.dfc"])
        await page.goto(f"{served.url}#/b.dfc")
        await finished(page)
        (tmp_path / "a.dfc").unlink()
        await expect(page.locator("#previous")).not_to_have_attribute("href", re.compile("."))
        before = await page.evaluate(PIXELS)
        (tmp_path / "b.dfc").write_bytes(other)
        await expect(page.get_by_role("alert")).to_contain_text("a newer picture of this name")
        await finished(page)
        assert await page.evaluate(PIXELS) != before
        (tmp_path / "b.dfc").unlink()
        await expect(page.get_by_role("alert")).to_contain_text("no longer has this picture")
        await page.locator("#home").click()
        await expect(page.locator("#nothing")).to_contain_text("no pictures yet")
        await expect(page.get_by_role("alert")).to_have_text("")


async def test_a_small_picture_that_is_another_by_now_starts_over(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.dfc").write_bytes((folder / "harbour.dfc").read_bytes())
    async with viewing(tmp_path) as served, visit(browser, served.url) as page:
        tile = page.locator(".tile")
        await expect(tile).to_have_attribute("data-shown", re.compile(r"\d+"))
        await expect(tile).to_have_attribute("data-state", re.compile("target|complete"))
        (tmp_path / "a.dfc").write_bytes(streamed(scene(48, 5), 0.3))
        await expect(tile.locator("canvas")).to_have_attribute("width", "48")


async def test_what_is_being_computed_is_said(browser: Browser, folder: Path) -> None:
    release = asyncio.Event()

    async def hold(route: Route) -> None:
        await release.wait()
        await route.continue_()

    async with viewing(folder) as served, visit(browser, "about:blank", complaints=False) as page:
        await page.route("**/*.safetensors", hold)
        await page.goto(served.url)
        await expect(page.locator("#speed")).to_contain_text("computing 3 pictures")
        tile = page.locator(".tile").first
        await expect(tile).to_have_attribute("data-computing", "")
        await expect(tile.locator(".detail")).to_have_text(re.compile(r"bytes\s·\scomputing\s…$"))
        await page.goto(f"{served.url}#/harbour.dfc")
        await expect(page.locator("#waiting")).to_contain_text("bytes are here. Loading")
        await expect(page.locator("#work")).to_have_text(re.compile(r"^Loading the decoder … \d"))
        await expect(page.locator("#speed")).to_contain_text("computing 1 picture")
        release.set()
        await finished(page)
        await expect(page.locator("#work")).to_have_text("")
        await expect(page.locator("#speed")).not_to_contain_text("computing")


async def test_nothing_of_the_picture_before_is_left(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, f"{served.url}#/harbour.dfc") as page:
        await finished(page)
        save = page.get_by_role("button", name="Save picture")
        await expect(save).to_be_enabled()
        await expect(page.locator("#said")).to_contain_text("enough for now")
        served.link.impair(down=Impairment(rate=1))
        await page.goto(f"{served.url}#/meadow.dfc")
        await expect(page.locator("#title")).to_have_text("meadow.dfc")
        assert await page.evaluate(LEFT) == ["", "", "", ""]
        await expect(save).to_be_disabled()
        await expect(page.locator("#waiting")).to_have_text("Waiting for the first bytes …")
        assert await page.locator("#axis polyline").count() == 0
        assert await page.locator("#canvas").get_attribute("aria-label") is None
        assert "Size" not in await page.locator("#facts").inner_text()


async def caption(page: Page) -> str:
    return (await page.locator("#caption").inner_text()).replace("\u00a0", " ")


async def test_a_caption_is_of_what_is_shown(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, f"{served.url}#/harbour.dfc") as page:
        await finished(page)
        assert re.search(r"· (about \d\d\.\d|\d\d\.\d to \d\d\.\d) dB$", await caption(page))
        await page.locator("#realism").fill("1")
        await has(page, "#canvas", "data-realism", re.compile("^(1|flow)$"))
        assert await caption(page) == f"{TARGET} bytes · 0.20 bits per pixel"
        await expect(page.get_by_text("Detail is synthesised")).to_be_visible()
        await page.get_by_role("switch", name="Show what was sent").check()
        await has(page, "#canvas", "data-state", "observation")
        assert (await caption(page)).endswith("· as it was sent")
