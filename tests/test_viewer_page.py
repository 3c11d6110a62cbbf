"""The viewer's page as people see it: real sender, link, browser and model."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from browser import PATIENCE, Complaints, browsing
from PIL import Image
from playwright.async_api import Browser, Page, expect
from viewing import scene, streamed, viewing

from diffc_stream.codec.curve import Curve
from diffc_stream.metrics import psnr
from diffc_stream.transport.impairment import PERFECT, Impairment

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCREENSHOTS = Path(__file__).parent.parent / "build" / "screenshots"
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
ENOUGH = """() => {
  document.getElementById("enough").click();
  return Number(document.getElementById("stage").dataset.bytes);
}"""
PIXELS = "document.getElementById('canvas').toDataURL()"

VALUES = """() => {
  const canvas = document.getElementById("canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [...data].filter((_, place) => place % 4 < 3);
}"""

CONTRASTS = """() => {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility() || element.matches(":disabled, noscript *")) continue;
    const style = getComputedStyle(element);
    const colour = channels(element instanceof SVGElement ? style.fill : style.color);
    const [dark, light] = [luminance(colour), luminance(behind(element))].sort((a, b) => a - b);
    found.push([text, (light + 0.05) / (dark + 0.05)]);
  }
  return found;
}"""


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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as browser:
        yield browser


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
        closest, sent = await page.evaluate(PIXELS), served.daemon.figures.payload
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
        assert served.daemon.figures.payload == sent  # of a slow test it has signs of life, too


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


async def test_all_of_it_by_keyboard(browser: Browser, folder: Path) -> None:
    async with viewing(folder) as served, visit(browser, served.url) as page:
        await expect(page.locator(".tile")).to_have_count(3)
        keyboard = page.keyboard
        focused = "document.activeElement.id || document.activeElement.closest('li')?.dataset.name"
        order = []
        for _ in range(5):
            await keyboard.press("Tab")
            order.append(await page.evaluate(focused))
        assert order == ["skip", "home", "cliffs/east side.dfc", "harbour.dfc", "meadow.dfc"]
        await keyboard.press("Shift+Tab")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert await page.evaluate(outline) == "solid"
        await keyboard.press("Enter")
        await expect(page).to_have_url(re.compile("#/harbour.dfc$"))
        await expect(page.locator("#title")).to_have_text("harbour.dfc")
        await finished(page)
        await keyboard.press("ArrowLeft")
        await expect(page).to_have_url(re.compile("#/cliffs/east%20side.dfc$"))
        await has(page, "#canvas", "data-bytes", re.compile(r"^\d+$"))
        reached = set()
        for _ in range(12):
            await keyboard.press("Tab")
            reached.add(await page.evaluate(focused))
        assert reached >= {"axis", "live", "more", "realism", "observation", "save", "next"}
        await keyboard.press("Escape")
        await expect(page.locator("#stage")).to_be_hidden()
        assert await page.evaluate(focused) == "cliffs/east side.dfc"
        await page.go_back()
        await expect(page.locator("#stage")).to_be_visible()


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_use_it(browser: Browser, folder: Path, scheme: str) -> None:
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
    phone |= {"color_scheme": scheme}
    async with (
        viewing(folder) as served,
        visit(browser, f"{served.url}#/harbour.dfc", **phone) as page,
    ):
        await finished(page)
        await page.locator("#realism").fill("0.5")
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        faint = {text: ratio for text, ratio in await page.evaluate(CONTRASTS) if ratio < 4.5}
        assert faint == {}
        nodes = await accessibility(page)
        controls = [n for n in nodes if n["role"] in ("button", "link", "slider", "switch")]
        assert len(controls) > 8
        assert [n for n in controls if not n["name"]] == []
        assert {"main", "banner", "navigation"} <= {n["role"] for n in nodes}
        await screenshot(page, f"picture-phone-{scheme}")
        await page.goto(f"{served.url}#/")
        await expect(page.locator(".tile[data-shown]")).to_have_count(3)
        faint = {text: ratio for text, ratio in await page.evaluate(CONTRASTS) if ratio < 4.5}
        assert faint == {}
        await screenshot(page, f"gallery-phone-{scheme}")


async def accessibility(page: Page) -> list[dict[str, str]]:
    """Return role and name of all that assistive technology is told of."""
    session = await page.context.new_cdp_session(page)
    tree = await session.send("Accessibility.getFullAXTree")
    return [
        {"role": node["role"]["value"], "name": node.get("name", {}).get("value", "")}
        for node in tree["nodes"]
        if not node["ignored"]
    ]
