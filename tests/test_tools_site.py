"""The site: it builds without a warning, its links hold, and it loads nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import PATIENCE, Complaints, opened
from playwright.async_api import Browser
from static_site import static_site
from test_viewer_picture_element import HEARD, dist, heard
from viewing import scene, streamed

from tools import docstrings, site

__all__ = ["dist"]
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, made as ``make site`` makes it, but for the files of the page "Live"."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Links(HTMLParser):
    """What a page links to and loads, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.anchors.add(values["id"])
        loads = tag in ("script", "img", "source", "diffc-picture") or (
            tag == "link" and values.get("rel") in ("stylesheet", "icon", "modulepreload")
        )
        for name in ("href", "src"):
            if name in values:
                (self.loaded if loads else self.links).append(values[name])


def test_links_hold_and_nothing_is_loaded_from_elsewhere(built: Path) -> None:
    pages = {path: Links(path) for path in built.rglob("*.html")}
    assert len(pages) > 60
    live = {"diffc/picture.js", site.STREAM}
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                assert link not in page.loaded, f"{path.name} loads {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if path.name == "404.html" or link in live:
                continue
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.relative_to(built)}: {link}"
            if parts.fragment and target in pages and parts.fragment != "__skip":
                known = pages[target].anchors
                assert unquote(parts.fragment) in known, f"{path.relative_to(built)}: {link}"


def test_it_has_the_pages_that_people_look_for(built: Path) -> None:
    for name, words in (
        ("index", "Pictures over thin links"),
        ("for-me", "Is it for me?"),
        ("tutorial", "diffc encode photo.jpg photo.dfc"),
        ("reference/client", "Watch the picture at"),
        ("reference/python", "predicted_psnr"),
        ("reference/javascript", "diffc-picture"),
        ("decisions/index", "Precision that falls from scale to scale"),
    ):
        text = re.sub(r"<[^>]+>", "", (built / f"{name}.html").read_text())
        assert words in text, name


def test_docstrings_are_shown_as_they_are_meant(built: Path) -> None:
    text = (built / "reference" / "client.html").read_text()
    assert not re.search(r":(?:func|class|meth|attr|data|mod):", text)
    assert "<blockquote>" not in text
    said = docstrings.markdown("See :func:`~a.b.c`::\n\n    x\n\n>>> f()\n1\n\n``d``")
    assert said == "See `c`:\n\n    x\n\n```pycon\n>>> f()\n1\n```\n\n`d`"


def test_links_are_those_of_the_place_that_a_page_has() -> None:
    text = "[a](docs/math.md#x) [b](deploy/server.toml) [c](https://d.example) `[e](docs/math.md)`"
    assert site.moved(text, "index.md") == (
        "[a](math.md#x) [b](files/deploy/server.toml) [c](https://d.example) `[e](docs/math.md)`"
    )
    assert site.moved("[a](../README.md#install)", "tutorial.md") == "[a](index.md#install)"
    assert site.moved("[a](../math.md)", "decisions/README.md") == "[a](../math.md)"


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_that_decodes(
    browser: Browser, built: Path, dist: Path, tmp_path: Path
) -> None:
    shutil.copy(built / "live.html", tmp_path / "live.html")
    files: dict[str, bytes | str] = {f"/{site.STREAM}": streamed(scene(64, 1), 0.9)}
    async with static_site(files=files, folders={"/diffc/": dist, "/": built}) as served:
        page, complaints = await opened(browser), Complaints()
        complaints.listen(page)
        await page.add_init_script(HEARD)
        await page.goto(f"{served.url}/live.html", timeout=PATIENCE)
        await heard(page, "load", 5)
        assert complaints.heard == []
        await page.context.close()
