"""The viewer's page by keyboard, on a phone, by those who hear it and those who see badly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from viewer_page import finished, folder, has, screenshot, visit
from viewing import viewing

__all__ = ["folder"]
pytestmark = pytest.mark.asyncio(loop_scope="session")
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
