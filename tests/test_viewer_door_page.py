"""The page in a browser, at a sender that wants a token, and at one below a path of a proxy."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from authority import issue
from browser import PATIENCE, Complaints, opened
from playwright.async_api import Browser, Error, expect
from proxying import proxying
from serving import serving
from viewing import scene, streamed

from diffc_server.auth.access_control import AccessControl
from diffc_server.encoding.source import FileOpener
from diffc_stream.diffusion.collection import Collection
from diffc_stream.transport.tokens import Tokens, add_token
from diffc_viewer import Assets, Site


@pytest.mark.asyncio(loop_scope="session")
async def test_the_token_is_the_password(browser: Browser, tmp_path: Path) -> None:
    folder, held = tmp_path / "pictures", tmp_path / "tokens.toml"
    folder.mkdir()
    (folder / "meadow.dfc").write_bytes(streamed(scene(64, 3), 0.5))
    token = add_token(held, "ship")
    models = Collection.at_hand()
    complaints = Complaints()
    async with (
        serving(
            folder,
            FileOpener(models),
            site=Site(Assets(models.files)),
            reception=AccessControl(tokens=Tokens(held), secure=True),
            certificate=issue(tmp_path).certificate,
        ) as sender,
    ):
        url = sender.url.replace("ws", "http", 1)
        stranger = await opened(browser, ignore_https_errors=True)
        with suppress(Error):  # some browsers have no page for it without a window
            answer = await stranger.goto(url)
            assert answer is None or answer.status == 401
        page = await opened(
            browser,
            ignore_https_errors=True,
            http_credentials={"username": "anybody", "password": token},
        )
        page.on("pageerror", lambda error: complaints.heard.append(str(error)))
        await page.goto(url)
        await expect(page.locator("#status")).to_have_text("Connected", timeout=PATIENCE)
        [cookie] = await page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (
            "__Host-diffc",
            True,
            True,
            "Strict",
        )
        assert token not in await page.content()
        assert "ship" not in page.url
        await page.context.close()
        await stranger.context.close()
    assert complaints.heard == []


@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_below_a_path(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "meadow.dfc").write_bytes(streamed(scene(64, 3), 0.5))
    models = Collection.at_hand()
    complaints = Complaints()
    async with (
        serving(folder, FileOpener(models), site=Site(Assets(models.files))) as sender,
        proxying(sender.port, below="/cam1") as proxy,
    ):
        page = await opened(browser)
        page.on("pageerror", lambda error: complaints.heard.append(str(error)))
        await page.goto(f"http://127.0.0.1:{proxy.port}/cam1/#/meadow.dfc")
        await expect(page.locator("#status")).to_have_text("Connected", timeout=PATIENCE)
        shown = expect(page.locator("#canvas"))  # which takes the model
        await shown.to_have_attribute("data-bytes", re.compile(r"^\d+$"), timeout=PATIENCE)
        await page.context.close()
    assert complaints.heard == []
    assert all(line.split(" ")[1].startswith("/cam1/") for line in proxy.asked)
    assert any(".safetensors" in line for line in proxy.asked)
