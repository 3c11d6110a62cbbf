"""What the widget for notebooks shows, in a browser, before a model that stands for a notebook."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from browser import PATIENCE, Complaints, opened
from PIL import Image
from playwright.async_api import Browser, Page, expect
from static_site import static_site
from test_viewer_page_accessible import accessibility

import diffc_client

pytestmark = pytest.mark.asyncio(loop_scope="session")
expect.set_options(timeout=PATIENCE)
HERE = Path(diffc_client.__file__).parent / "notebook"
PAGE = """<!doctype html>
<html lang="en">
  <title>A notebook</title>
  <link rel="icon" href="data:," />
  <link rel="stylesheet" href="widget.css" />
  <main id="cell"></main>
  <script type="module">
    import widget from "./widget.js";
    const values = {
      image: new DataView(new ArrayBuffer(0)), size: [], received: 0, prefix: 0, realism: 0,
      alt: "A harbour", offsets: [], psnr: [], shown: {}, status: "receiving",
    };
    const events = new EventTarget();
    const heard = new Map();
    window.saved = [];
    const model = {
      get: (name) => values[name],
      set(name, value) {
        values[name] = value;
        events.dispatchEvent(new Event(`change:${name}`));
      },
      save_changes: () => saved.push([values.prefix, values.realism]),
      on: (name, listener) => (heard.set(listener, name), events.addEventListener(name, listener)),
      off: (name, listener) => (heard.delete(listener), events.removeEventListener(name, listener)),
    };
    window.tell = async (changes, png) => {
      if (png) changes.image = new DataView(await (await fetch(png)).arrayBuffer());
      for (const [name, value] of Object.entries(changes)) model.set(name, value);
    };
    const leave = widget.render({ model, el: document.getElementById("cell") });
    window.leave = () => (leave(), heard.size);
  </script>
</html>
"""


def png(grey: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((40, 60, 3), grey, np.uint8)).save(file, "PNG")
    return file.getvalue()


@asynccontextmanager
async def shown(browser: Browser) -> AsyncIterator[Page]:
    files: dict[str, bytes | str] = {"/": PAGE, "/1.png": png(50), "/2.png": png(200)}
    for name in ("widget.js", "widget.css"):
        files[f"/{name}"] = (HERE / name).read_text()
    async with static_site(files=files) as site:
        page, complaints = await opened(browser), Complaints()
        complaints.listen(page)
        await page.goto(site.url)
        yield page
        assert complaints.heard == []
        await page.context.close()


async def test_a_picture_sharpens_in_its_place(browser: Browser) -> None:
    async with shown(browser) as page:
        image = page.get_by_role("img", name="A harbour")
        await expect(image).to_have_attribute("aria-busy", "true")
        axis = page.get_by_role("slider", name="Bytes")
        await expect(axis).to_be_disabled()
        facts = "{ bytes: 400, bpp: 1.333, predicted_psnr: 25.04, realism: 0 }"
        await page.evaluate(
            f"tell({{ size: [60, 40], received: 400, offsets: [100, 400], psnr: [20, 25], "
            f"shown: {facts} }}, '1.png')"
        )
        await expect(axis).to_have_attribute("max", "400")
        assert await axis.get_attribute("aria-valuetext") == "all 400 bytes"
        await expect(
            page.get_by_text("400 bytes, 1.33 bits per pixel, about 25.0 dB")
        ).to_be_visible()
        await expect(image).to_have_js_property("naturalWidth", 60)
        assert await page.locator("polyline").get_attribute("points") == "25,20 100,0"
        first = await image.get_attribute("src")
        await page.evaluate("tell({ status: 'complete', received: 900 }, '2.png')")
        await expect(image).not_to_have_attribute("src", first or "")
        await expect(image).to_have_attribute("aria-busy", "false")
        await expect(page.get_by_role("status")).to_have_text("complete")
        await page.evaluate("tell({ status: 'there is no such picture' })")
        await expect(page.locator("[data-failed]")).to_have_text("there is no such picture")
        assert await page.evaluate("leave()") == 0


async def test_axis_and_dial_by_keyboard(browser: Browser) -> None:
    async with shown(browser) as page:
        await page.evaluate("tell({ received: 400, size: [60, 40] })")
        newest = page.get_by_role("checkbox", name="All that is here")
        await expect(newest).to_be_checked()
        await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowLeft")
        await expect(newest).not_to_be_checked()
        assert (await page.evaluate("saved"))[-1] == [399, 0]
        # What arrives now does not move it.
        await page.evaluate("tell({ received: 800 })")
        await expect(page.get_by_role("slider", name="Bytes")).to_have_value("399")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
        assert (await page.evaluate("saved"))[-1] == [0, 0]
        await page.keyboard.press("Tab")
        await page.keyboard.press("End")
        assert (await page.evaluate("saved"))[-1] == [0, 1]
        nodes = await accessibility(page)
        named = {(node["role"], node["name"]) for node in nodes}
        assert named >= {
            ("image", "A harbour"),
            ("slider", "Bytes"),
            ("slider", "Realism"),
            ("checkbox", "All that is here"),
        }
