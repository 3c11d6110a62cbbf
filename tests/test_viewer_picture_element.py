"""<diffc-picture> in a browser, on a site of plain files, as those who know only HTML use it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from browser import PATIENCE, Complaints, do_without
from playwright.async_api import Browser, Page, expect
from serving import serving
from static_site import Gate, StaticSite, static_site
from test_viewer_page_accessible import accessibility
from viewing import scene, streamed

from diffc_server.encoding.source import FileOpener
from diffc_stream.diffusion.collection import Collection

pytestmark = pytest.mark.asyncio(loop_scope="session")
expect.set_options(timeout=PATIENCE)
PACKAGE = Path(__file__).parent.parent / "client" / "viewer" / "js"
SIDE = 64
HEARD = """
window.heard = [];
const looking = [];
window.until = (kind, count) => new Promise((resolve) => {
  const look = () => heard.filter(([type]) => type === kind).length >= count && resolve(heard);
  looking.push(look);
  look();
});
for (const type of ["progress", "load", "error"]) {
  document.addEventListener(type, ({ target, loaded, total, message }) => {
    if (target.localName !== "diffc-picture") return;
    heard.push([type, ...(type === "progress" ? [loaded, total] : message ? [message] : [])]);
    looking.forEach((look) => look());
  }, true);
}
"""
STRICT = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
    "connect-src 'self' ws:"
)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a site copies, as it is published."""
    node = shutil.which("node")
    if node is None or not (PACKAGE / "node_modules" / "esbuild").is_dir():
        do_without("run npm ci in client/viewer/js first")
    folder = tmp_path_factory.mktemp("site") / "diffc"
    command = [node, "scripts/dist.js", str(folder)]
    subprocess.run(command, cwd=PACKAGE, check=True, timeout=120, env=os.environ)
    return folder


@pytest.fixture(scope="module")
def harbour() -> bytes:
    return streamed(scene(SIDE, 1), 0.9)


def page_of(*elements: str, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><title>Pictures</title>{head}'
        '<script type="module" src="diffc/picture.js"></script><main>'
        f"{''.join(elements)}</main></html>"
    )


async def visit(browser: Browser, site: StaticSite, path: str = "/") -> tuple[Page, Complaints]:
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE)
    await context.add_init_script(HEARD)
    page, complaints = await context.new_page(), Complaints()
    complaints.listen(page)
    await page.goto(f"{site.url}{path}")
    return page, complaints


async def heard(page: Page, kind: str, count: int = 1) -> list[list[Any]]:
    """Wait until an element has dispatched so many events of a kind, and return all events."""
    async with asyncio.timeout(PATIENCE / 1000):
        found: list[list[Any]] = await page.evaluate(
            "([kind, count]) => until(kind, count)", [kind, count]
        )
    return found


async def box(page: Page) -> tuple[float, float]:
    found = await page.locator("diffc-picture").first.bounding_box()
    assert found is not None
    return found["width"], found["height"]


PICTURE = "document.querySelector('diffc-picture')"


async def test_one_tag_is_enough(browser: Browser, dist: Path, harbour: bytes) -> None:
    page_text = page_of(
        '<diffc-picture src="harbour.dfc" bytes="300" realism="0.3" alt="A harbour">'
        "<p>Not seen</p></diffc-picture>",
    )
    files: dict[str, Any] = {"/": page_text, "/harbour.dfc": harbour}
    async with static_site(
        files=files, folders={"/diffc/": dist}, fields={"Content-Security-Policy": STRICT}
    ) as site:
        page, complaints = await visit(browser, site)
        events = await heard(page, "load")
        assert events[-2:] == [["progress", 300, 300], ["load"]]
        assert await box(page) == (SIDE, SIDE)
        facts = f"[{PICTURE}.complete, {PICTURE}.naturalWidth, {PICTURE}.shown.method]"
        assert await page.evaluate(facts) == [True, SIDE, 0.3]
        canvas = page.get_by_role("img", name="A harbour")
        await expect(canvas).to_have_attribute("aria-busy", "false")
        await expect(page.get_by_text("Not seen")).to_be_hidden()
        colours = "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, 64, 64).data).size"
        assert await canvas.evaluate(colours) > 50
        assert site.of(".dfc") == ["/harbour.dfc 0-299"]
        assert len(site.of(".wasm")) == len(site.of(".safetensors")) == 1
        nodes = await accessibility(page)
        assert {"role": "image", "name": "A harbour"} in nodes
        assert complaints.heard == []
        await page.context.close()


async def test_nothing_is_loaded_until_it_is_near(
    browser: Browser, dist: Path, harbour: bytes
) -> None:
    far = '<div style="height: 9000px"></div><diffc-picture src="harbour.dfc" bytes="200">'
    async with static_site(
        files={"/": page_of(far), "/harbour.dfc": harbour}, folders={"/diffc/": dist}
    ) as site:
        page, _ = await visit(browser, site)
        await page.evaluate("customElements.whenDefined('diffc-picture').then(() => true)")
        await page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        assert site.of(".dfc") == site.of("worker.js") == site.of(".wasm") == []
        await page.locator("diffc-picture").scroll_into_view_if_needed()
        await heard(page, "load")
        assert site.of(".dfc") == ["/harbour.dfc 0-199"]
        assert not any("sender" in line for line in site.asked)  # files take no WebSocket code
        await page.context.close()


async def test_it_sharpens_follows_its_attributes_and_stops(
    browser: Browser, dist: Path, harbour: bytes
) -> None:
    sized = '<diffc-picture src="harbour.dfc" alt="" width="128">'
    gate, last = Gate(after=250), Gate(after=150)
    async with static_site(
        files={"/": page_of(sized), "/harbour.dfc": harbour, "/last.dfc": harbour},
        folders={"/diffc/": dist},
        gates={"/harbour.dfc": gate, "/last.dfc": last},
    ) as site:
        page, _ = await visit(browser, site)
        events = await heard(page, "progress")
        assert events[0][1] <= 250
        assert await box(page) == (128, 128)
        canvas = page.locator("diffc-picture canvas")
        await expect(canvas).to_have_attribute("aria-busy", "true")
        await expect(canvas).to_have_attribute("role", "presentation")
        gate.opened.set()
        events = await heard(page, "load")
        assert events[-2] == ["progress", len(harbour), 0]
        await page.evaluate(f"{PICTURE}.bytes = 300")
        await heard(page, "load", 2)
        await page.evaluate(f"{PICTURE}.realism = 1")
        await heard(page, "load", 3)
        seen = f"[{PICTURE}.shown.bytes, {PICTURE}.shown.method]"
        assert await page.evaluate(seen) == [300, 1]
        assert site.of(".dfc") == ["/harbour.dfc"]
        # Moved, it goes on; removed, it stops.
        shown = len([event for event in await page.evaluate("heard") if event[0] == "progress"])
        # At once: a moment later the first bytes of the other may be shown.
        changed = f"(picture => {{ picture.src = 'last.dfc'; return picture.shown; }})({PICTURE})"
        assert await page.evaluate(changed) is None
        await page.evaluate(f"document.body.append({PICTURE})")
        await heard(page, "progress", shown + 1)
        await page.evaluate(f"{PICTURE}.remove()")
        await last.left.wait()
        assert site.of("last.dfc") == ["/last.dfc 0-299"]
        await page.context.close()


async def test_more_bytes_are_asked_for_from_where_it_was(
    browser: Browser, dist: Path, harbour: bytes
) -> None:
    element = '<diffc-picture src="harbour.dfc" bytes="200" loading="eager">'
    async with static_site(
        files={"/": page_of(element), "/harbour.dfc": harbour}, folders={"/diffc/": dist}
    ) as site:
        page, _ = await visit(browser, site)
        await heard(page, "load")
        await page.evaluate(f"{PICTURE}.setAttribute('bytes', '400')")
        await heard(page, "load", 2)
        assert site.of(".dfc") == ["/harbour.dfc 0-199", "/harbour.dfc 200-399"]
        await page.context.close()


async def test_errors_are_said_and_tried_again_by_keyboard(
    browser: Browser, dist: Path, harbour: bytes
) -> None:
    element = '<diffc-picture src="harbour.dfc" bytes="200" alt="A harbour">'
    files: dict[str, Any] = {"/": page_of(element), "/broken.dfc": b"not a stream" * 9}
    async with static_site(files=files, folders={"/diffc/": dist}) as site:
        page, _ = await visit(browser, site)
        [[kind, message]] = await heard(page, "error")
        assert (kind, message) == ("error", "there is no /harbour.dfc (404)")
        await expect(page.get_by_role("status")).to_contain_text("404")
        await expect(page.get_by_text("A harbour. The picture could not")).to_be_visible()
        files["/harbour.dfc"] = harbour
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await heard(page, "load")
        await expect(page.get_by_role("button")).to_be_hidden()
        await page.evaluate(f"{PICTURE}.src = 'broken.dfc'")
        assert "dfc" in (await heard(page, "error", 2))[-1][1]
        await page.evaluate(f"{PICTURE}.src = 'ftp://x/a.dfc'")
        assert "http or ws" in (await heard(page, "error", 3))[-1][1]
        await page.context.close()


async def test_a_sender_in_place_of_a_file(
    browser: Browser, dist: Path, harbour: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    (folder / "by day").mkdir(parents=True)
    (folder / "by day" / "harbour.dfc").write_bytes(harbour)
    files: dict[str, Any] = {}
    async with (
        static_site(files=files, folders={"/diffc/": dist}) as site,
        serving(folder, FileOpener(Collection.at_hand()), origins=[site.url]) as sender,
    ):
        src = f"{sender.url}/by%20day/harbour.dfc"
        files["/"] = page_of(f'<diffc-picture src="{src}" bytes="300" alt="A harbour">')
        page, _ = await visit(browser, site)
        assert (await heard(page, "load"))[-2] == ["progress", 300, 300]
        await page.evaluate(f"{PICTURE}.bytes = 400")
        assert (await heard(page, "load", 2))[-2] == ["progress", 400, 400]
        await page.evaluate(f"{PICTURE}.src += 'x'")
        assert "unknown" in (await heard(page, "error"))[-1][1]
        await page.context.close()


async def test_the_example_as_its_comment_says(
    browser: Browser, dist: Path, harbour: bytes
) -> None:
    example = PACKAGE.parents[2] / "examples" / "picture.html"
    async with static_site(
        files={"/picture.html": example.read_text(), "/photo.dfc": harbour},
        folders={"/diffc/": dist},
    ) as site:
        page, _ = await visit(browser, site, "/picture.html")
        await page.locator("diffc-picture").last.scroll_into_view_if_needed()
        await heard(page, "load", 3)
        widths = "[...document.querySelectorAll('diffc-picture')].map((p) => p.offsetWidth)"
        assert len(set(await page.evaluate(widths))) == 1
        assert not await page.evaluate("heard.some(([type]) => type === 'error')")
        await page.context.close()


async def test_the_default_model_is_in_the_folder(dist: Path) -> None:
    fingerprint = Collection.at_hand().preferred.fingerprint
    assert {file.name for file in (dist / "models").iterdir()} == {
        f"{fingerprint}.onnx",
        f"{fingerprint}.safetensors",
    }
    notice = (dist / "THIRD-PARTY.txt").read_text()
    assert re.findall(r"^\S+ [\d.]+ \(MIT\)", notice, re.MULTILINE)
