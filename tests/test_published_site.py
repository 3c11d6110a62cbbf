"""A published folder behind nginx: what programs and the page get of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import PATIENCE, Complaints, opened
from playwright.async_api import Browser, expect
from publishing import SIDE, files, photographs, published
from web_server import asked, serving_files

import diffc_client
from diffc_client.__main__ import main
from diffc_stream.codec import Decoder
from diffc_stream.diffusion.collection import default_model
from diffc_stream.errors import UnknownImage
from diffc_stream.publishing import headers

expect.set_options(timeout=PATIENCE)
NAMES = ["a b.png", "meadow.dfc", "sub/ü.png"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("published")
    published(photographs(home / "source"), home / "site")
    return home / "site"


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    with serving_files(site) as url:
        yield url


def test_every_file_is_there_with_its_headers(site: Path, url: str) -> None:
    for path, data in files(site).items():
        answer = asked(url, path)
        if path in (headers.HEADERS, headers.NGINX) or path.startswith("."):
            assert answer.status == 404, path
            continue
        assert (answer.status, answer.body) == (200, data), path
        assert answer.fields["cache-control"] == headers.cache_control(path)
        assert answer.fields["content-type"].partition(";")[0] == headers.content_type(path)
        assert answer.fields["cross-origin-opener-policy"] == "same-origin"


def test_compressed_copies_go_to_those_who_take_them(site: Path, url: str) -> None:
    name = next(path for path in files(site) if path.endswith("main.js.gz"))
    answer = asked(url, name.removesuffix(".gz"), {"Accept-Encoding": "gzip"})
    assert answer.fields["content-encoding"] == "gzip"
    assert answer.body == (site / name).read_bytes()


def test_ranges_are_parts_of_the_whole(site: Path, url: str) -> None:
    path = next(path for path in files(site) if path.startswith("streams/a b"))
    whole = (site / path).read_bytes()
    tag = asked(url, path).fields["etag"]
    for first, last in ((0, 0), (0, 9), (5, len(whole) - 1), (7, 10_000)):
        span = {"Range": f"bytes={first}-{last}"}
        for conditions in ({}, {"If-Range": tag}):
            answer = asked(url, path, span | conditions)
            assert (answer.status, answer.body) == (206, whole[first : last + 1])
        # Of another version nobody wants a part.
        answer = asked(url, path, span | {"If-Range": '"another"'})
        assert (answer.status, answer.body) == (200, whole)
    assert asked(url, path, {"Range": f"bytes={len(whole)}-"}).status == 416
    assert asked(url, path, {"If-None-Match": tag}).status == 304


@pytest.mark.parametrize("name", ["sub/%C3%BC.png", "meadow.dfc", "a%20b.png"])
def test_get_by_the_name_of_the_picture(
    site: Path, url: str, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "kept.dfc"
    command = ["get", url + name, "-o", str(tmp_path / "out.png"), "--keep-stream", str(kept)]
    assert main([*command, "--bytes", "60", "--picture", "off"]) == 0
    assert len(kept.read_bytes()) == 60
    assert main([*command, "--picture", "off"]) == 0  # it goes on
    assert kept.read_bytes() in files(site).values()
    capsys.readouterr()


def test_list(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", url]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == NAMES
    assert main(["list", f"{url}sub/"]) == 2
    assert "does not say what it has" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_a_program(url: str) -> None:
    async with diffc_client.connect(url) as sender:
        assert await sender.images() == NAMES
        shown = [refinement.image async for refinement in sender.open("sub/ü.png")]
        assert shown[-1].shape == (SIDE, SIDE, 3)
        with pytest.raises(UnknownImage):
            await anext(aiter(sender.open("gone.png")))


@pytest.mark.asyncio
async def test_many_readers_of_ranges(site: Path, url: str) -> None:
    """As many at once as nginx has connections for here; benchmarks ask with more."""
    streams = {path: data for path, data in files(site).items() if path.endswith(".dfc")}

    async def read(reader: int) -> bool:
        path, data = list(streams.items())[reader % len(streams)]
        first = reader % len(data)
        answer = await asyncio.to_thread(asked, url, path, {"Range": f"bytes={first}-"})
        return answer.body == data[first:]

    assert all(await asyncio.gather(*map(read, range(200))))


@pytest.mark.asyncio(loop_scope="session")
async def test_the_page_shows_a_picture(browser: Browser, site: Path, url: str) -> None:
    page = await opened(browser)
    try:
        complaints = Complaints()
        complaints.listen(page)
        await page.goto(url)
        tiles = page.locator(".tile")
        await expect(tiles).to_have_count(3)
        for place in range(3):
            await expect(tiles.nth(place)).to_have_attribute("data-thumbnail", re.compile("webp"))
            await expect(tiles.nth(place)).to_have_attribute("data-bytes", "0")
        await expect(page.locator("#status")).to_have_text("Connected")
        await tiles.last.locator("a").click()
        await page.get_by_role("button", name="More").click()
        path = next(path for path in files(site) if path.startswith("streams/sub/"))
        stream = (site / path).read_bytes()
        await expect(page.locator("#canvas")).to_have_attribute("data-bytes", str(len(stream)))
        shown = await page.evaluate(
            """() => {
              const canvas = document.getElementById("canvas");
              const { width, height } = canvas;
              const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
              return [...data].filter((_, place) => place % 4 < 3);
            }"""
        )
        decoder = Decoder([default_model()])
        decoder.feed(stream)
        expected = decoder.render().image.astype(int)
        assert np.abs(np.reshape(shown, (SIDE, SIDE, 3)) - expected).max() <= 2
        assert await page.evaluate("crossOriginIsolated")
        assert complaints.heard == []
    finally:
        await page.close()
