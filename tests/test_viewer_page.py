"""The viewer's page as people see it: real sender, link, browser and model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.async_api import Browser, expect
from viewer_page import (
    LARGE,
    LARGE_TARGET,
    PIXELS,
    SIDE,
    TARGET,
    WINDOW,
    finished,
    folder,
    has,
    large,
    number,
    screenshot,
    visit,
)
from viewing import scene, streamed, viewing

from diffc_stream.codec.curve import Curve
from diffc_stream.metrics import psnr
from diffc_stream.transport.impairment import PERFECT, Impairment

__all__ = ["folder", "large"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
ENOUGH = """() => {
  document.getElementById("enough").click();
  return Number(document.getElementById("stage").dataset.bytes);
}"""
VALUES = """() => {
  const canvas = document.getElementById("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [...data].filter((_, place) => place % 4 < 3);
}"""


async def test_all_pictures_sharpen(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, served.url) as page:
        tiles = page.locator(".tile")
        await expect(tiles).to_have_count(3)
        for number_of_tile in range(3):
            tile = tiles.nth(number_of_tile)
            await expect(tile).to_have_attribute("data-state", re.compile("target|complete"))
            received = await tile.get_attribute("data-bytes")
            await expect(tile).to_have_attribute("data-shown", received or "")
            await expect(tile.locator(".detail")).to_contain_text("dB")
        await expect(page.locator("#status")).to_have_text("Connected")
        await screenshot(page, "gallery-light")


async def test_only_what_is_in_view_is_received(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    for place in range(200):
        (tmp_path / f"{place:03}.dfc").write_bytes((folder / "meadow.dfc").read_bytes())
    async with viewing(tmp_path) as served, visit(browser, served.url) as page:
        tiles = page.locator(".tile")
        await expect(tiles).to_have_count(200)
        await expect(tiles.first).to_have_attribute("data-shown", re.compile(r"^\d+$"))
        await expect(tiles.last).to_have_attribute("data-bytes", "0")
        await tiles.last.scroll_into_view_if_needed()
        await expect(tiles.last).to_have_attribute("data-shown", re.compile(r"^\d+$"))
        await expect(tiles.nth(100)).to_have_attribute("data-bytes", "0")


async def test_a_picture_gets_better_while_it_arrives(browser: Browser, large: Path) -> None:
    async with (
        viewing(large) as served,
        visit(browser, f"{served.url}#/harbour.dfc") as page,
    ):
        await finished(page, LARGE_TARGET)
        early = await page.evaluate(PIXELS)
        # Slow until it has been seen to change, however slow this machine is.
        served.link.impair(down=Impairment(rate=300))
        await page.get_by_role("button", name="More").click()
        await page.get_by_role("button", name="More").click()
        for _ in range(2):
            shown = str(int(await number(page, "#canvas", "data-bytes")))
            canvas = expect(page.locator("#canvas"))
            await canvas.not_to_have_attribute("data-bytes", shown)
        await screenshot(page, "picture-light")
        served.link.impair(down=PERFECT)
        await finished(page, 4 * LARGE * LARGE // 40)
        seen = await page.evaluate("seen")
        assert len(seen) >= 3
        assert seen == sorted(seen)
        assert seen[-1][1] > seen[0][1] + 2
        assert await page.evaluate(PIXELS) != early
        caption = (await page.locator("#caption").inner_text()).replace("\u00a0", " ")
        assert re.fullmatch(r"1,638 bytes · 0\.80 bits per pixel · about \d\d\.\d dB", caption)
        facts = await page.locator("#facts").inner_text()
        assert "First picture" in facts
        assert "WebAssembly" in facts


async def test_more_of_a_picture_whose_target_is_no_whole_number_of_bytes(
    browser: Browser, tmp_path: Path
) -> None:
    # 0.2 bits per pixel of 48x48 are 57.6 bytes: the 57 that come are 1.04 % less.
    (tmp_path / "stamp.dfc").write_bytes(streamed(scene(48, 1), 0.9))
    async with viewing(tmp_path) as served, visit(browser, f"{served.url}#/stamp.dfc") as page:
        await finished(page, 57)
        await page.get_by_role("button", name="More").click()
        await finished(page, 115)


async def test_the_slider_goes_back_to_what_was_shown(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, f"{served.url}#/harbour.dfc") as page:
        await finished(page)
        newest = await page.evaluate(PIXELS)
        slider = page.get_by_role("slider", name="Bytes")
        await slider.press("Home")
        first = str(int(await number(page, "#axis", "aria-valuemin")))
        await has(page, "#canvas", "data-bytes", first)
        assert await page.evaluate(PIXELS) != newest
        await has(
            page, "#axis", "aria-valuetext", re.compile(rf"^{first} bytes, about \d+\.\d dB$")
        )
        await has(page, "#live", "aria-pressed", "false")
        await slider.press("ArrowRight")
        await expect(page.locator("#canvas")).not_to_have_attribute("data-bytes", first)
        await slider.press("End")
        await has(page, "#live", "aria-pressed", "true")
        await has(page, "#canvas", "data-bytes", str(TARGET))
        assert await page.evaluate(PIXELS) == newest


async def test_looking_differently_asks_for_no_byte(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, f"{served.url}#/harbour.dfc") as page:
        await finished(page)
        closest, sent = await page.evaluate(PIXELS), served.daemon.metrics.payload
        await page.locator("#realism").fill("1")
        await has(page, "#canvas", "data-realism", re.compile("^(1|flow)$"))
        assert await page.evaluate(PIXELS) != closest
        await expect(page.get_by_text("Detail is synthesised")).to_be_visible()
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Save picture").click()
        assert (await download.value).suggested_filename == f"harbour-{TARGET}-synthesised.png"
        with Image.open(await (await download.value).path()) as saved:
            assert saved.size == (SIDE, SIDE)
            assert saved.info["diffc-bytes"] == str(TARGET)
            assert "synthesised" in saved.info["Comment"]
        await page.get_by_role("switch", name="Show what was sent").check()
        await has(page, "#canvas", "data-state", "observation")
        await expect(page.get_by_text("Detail is synthesised")).to_be_hidden()
        assert served.daemon.metrics.payload == sent  # of a slow test it has signs of life, too


async def test_good_enough_stops_within_the_window(browser: Browser, large: Path) -> None:
    async with (
        viewing(large, window=WINDOW) as served,
        visit(browser, f"{served.url}#/harbour.dfc") as page,
    ):
        await finished(page, LARGE_TARGET)
        served.link.impair(down=Impairment(rate=200))
        await page.get_by_role("button", name="More").click()
        await page.get_by_role("button", name="More").click()
        await expect(page.locator("#cost")).to_contain_text("to go")
        # Pressed and read in one go, so that nothing arrives between the two.
        before = await page.evaluate(ENOUGH)
        await has(page, "#stage", "data-state", "stopped")
        received = await number(page, "#stage", "data-bytes")
        assert LARGE_TARGET <= before <= received <= before + WINDOW
        await has(page, "#canvas", "data-bytes", str(int(received)))


async def test_other_formats_of_the_same_bytes(browser: Browser, tmp_path: Path) -> None:
    original = scene(96, 4)
    Image.fromarray(original).save(tmp_path / "garden.png")
    async with (
        viewing(tmp_path, compare=True) as served,
        visit(browser, f"{served.url}#/garden.png", complaints=False) as page,
    ):
        await page.get_by_role("button", name="More").click()
        await page.get_by_role("button", name="More").click()
        await finished(page, int(0.8 * 96 * 96 / 8))
        await page.get_by_role("switch", name="Compare").check()
        jpeg, avif = (page.locator(f"[data-format={name}]") for name in ("jpeg", "avif"))
        await expect(jpeg).to_have_attribute("data-state", "shown")
        await expect(avif).to_have_attribute("data-state", "shown")
        for figure in (jpeg, avif):
            words = (await figure.locator("figcaption").inner_text()).replace("\u00a0", " ")
            found = re.search(r"(\d+) bytes", words)
            assert found
            assert int(found[1]) <= 0.8 * 96 * 96 / 8
            assert re.search(r"\d\d\.\d dB", words)
        # Ours is measured too, on the pixels that are shown.
        await expect(page.locator("#caption")).to_contain_text("to\u00a0compute")
        words = (await page.locator("#caption").inner_text()).replace("\u00a0", " ")
        found = re.search(r"· (\d\d\.\d) dB · (\d+ m?s on the link, )?\d", words)
        assert found
        shown = np.array(await page.evaluate(VALUES), np.uint8).reshape(original.shape)
        assert float(found[1]) == pytest.approx(psnr(shown, original), abs=0.06)
        await screenshot(page, "comparison-light")
        await page.get_by_role("slider", name="Bytes").press("Home")
        await expect(jpeg).to_contain_text("none of")
        await expect(avif).to_contain_text("none of")
        await page.get_by_role("switch", name="Compare").uncheck()
        await expect(page.locator("#caption")).not_to_contain_text("compute")


async def test_a_link_that_was_cut_goes_on_where_it_was(browser: Browser, large: Path) -> None:
    async with viewing(large) as served:
        served.link.impair(down=Impairment(rate=200))
        async with visit(browser, f"{served.url}#/harbour.dfc", complaints=False) as page:
            await has(page, "#canvas", "data-bytes", re.compile(r"^\d{2,}$"))
            served.link.cut()
            await has(page, "#status", "data-state", "waiting")
            served.link.impair(down=PERFECT)
            # By an event, which needs no button: it may have tried by itself meanwhile.
            await page.locator("#retry").dispatch_event("click")
            await finished(page, LARGE_TARGET)
            # Two handshakes, or one more of its own, two greetings, and the payload in frames.
            assert served.link.carried_down < LARGE_TARGET * 1.5 + 3 * 400 + WINDOW / 2
            assert (await page.evaluate("seen"))[-1][0] == LARGE_TARGET


async def test_what_is_wrong_is_said(browser: Browser, folder: Path, tmp_path: Path) -> None:
    whole, curve = (folder / "harbour.dfc").read_bytes(), Curve()
    curve.feed(whole)
    place = curve.offsets[5]
    check_that_fails = bytes([0x30, 0, 0])
    (tmp_path / "torn.dfc").write_bytes(whole[:place] + check_that_fails + whole[place:])
    async with viewing(tmp_path) as served:
        async with visit(browser, f"{served.url}#/torn.dfc") as page:
            await expect(page.get_by_role("alert")).to_contain_text("to start over")
        async with visit(browser, f"{served.url}#/nobody.png", complaints=False) as page:
            await expect(page.get_by_role("alert")).to_contain_text("back to all pictures")
            await page.goto(f"{served.url}#/")
            await expect(page.get_by_role("alert")).not_to_contain_text("back to all")
            await served.daemon.abort()
            await expect(page.get_by_role("status").first).to_contain_text("trying again")
        async with visit(browser, served.url, java_script_enabled=False) as page:
            await expect(page.locator("noscript .notice")).to_be_visible()


async def test_the_next_picture_is_live_again(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, f"{served.url}#/harbour.dfc") as page:
        await finished(page)
        await page.get_by_role("slider", name="Bytes").press("Home")
        await has(page, "#live", "aria-pressed", "false")
        await page.goto(f"{served.url}#/meadow.dfc")
        await expect(page.locator("#title")).to_have_text("meadow.dfc")
        await has(page, "#live", "aria-pressed", "true")


async def test_what_is_held_before_anything_came_is_nothing(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, served.url) as page:
        await expect(page.locator(".tile").first).to_have_attribute("data-state", "target")
        await page.evaluate(
            """() => {
              addEventListener("hashchange", () => document.getElementById("live").click());
            }"""
        )
        await page.goto(f"{served.url}#/harbour.dfc")
        await finished(page)
        await has(page, "#live", "aria-pressed", "true")


async def test_what_is_saved_says_what_it_is(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, f"{served.url}#/harbour.dfc") as page:
        await finished(page)
        await page.locator("#realism").fill("1")
        await has(page, "#canvas", "data-realism", re.compile("^(1|flow)$"))
        async with page.expect_download() as download:
            # Saved before the picture that is wished for is there.
            await page.evaluate(
                """() => {
                  const dial = document.getElementById("realism");
                  dial.value = "0";
                  dial.dispatchEvent(new Event("input"));
                  document.getElementById("save").click();
                }"""
            )
        assert (await download.value).suggested_filename == f"harbour-{TARGET}-synthesised.png"


async def test_what_is_right_again_is_no_longer_said(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, served.url, complaints=False) as page:
        await page.route("**/*.safetensors", lambda route: route.abort())
        await page.goto(f"{served.url}#/harbour.dfc")
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("could not be fetched")
        await page.unroute("**/*.safetensors")
        await page.get_by_role("button", name="More").click()
        await finished(page, 2 * SIDE * SIDE // 40)
        await expect(page.get_by_role("alert")).to_have_text("")


async def test_a_decoder_that_cannot_be_loaded_is_said(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, served.url, complaints=False) as page:
        await page.route("**/worker.js", lambda route: route.abort())
        await page.goto(f"{served.url}#/harbour.dfc")
        await page.reload()
        await expect(page.get_by_role("alert")).to_contain_text("worker failed")


async def test_new_pictures_come_in_their_place(
    browser: Browser, folder: Path, tmp_path: Path
) -> None:
    small = (folder / "meadow.dfc").read_bytes()
    for name in ("a", "c"):
        (tmp_path / f"{name}.dfc").write_bytes(small)
    async with viewing(tmp_path) as served, visit(browser, served.url) as page:
        await expect(page.locator(".tile")).to_have_count(2)
        (tmp_path / "b.dfc").write_bytes(small)
        names = page.locator(".tile .name")
        await expect(names).to_have_text(["a.dfc", "b.dfc", "c.dfc"])


async def test_nobody_wants_more_than_there_can_be(browser: Browser, large: Path) -> None:
    async with viewing(large) as served, visit(browser, f"{served.url}#/harbour.dfc") as page:
        await finished(page, LARGE_TARGET)
        served.link.impair(down=Impairment(rate=100))
        await page.evaluate(
            """() => {
              for (let n = 0; n < 20; n++) document.getElementById("more").click();
            }"""
        )
        await has(page, "#stage", "data-state", "receiving")
        await page.get_by_role("button", name="Good enough").click()


async def test_a_folder_without_pictures_is_no_error(browser: Browser, tmp_path: Path) -> None:
    async with viewing(tmp_path) as served, visit(browser, served.url) as page:
        await expect(page.locator("#nothing")).to_contain_text("no pictures yet")
