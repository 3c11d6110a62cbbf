"""A browser without a window, for looking at the viewer as people do."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright

from diffc_viewer import Assets

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 120_000.0
"""Milliseconds for whatever a test waits for, where other programs have the cores."""
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@dataclass(slots=True)
class Complaints:
    """What is to be said against a page: errors, policies violated, files not found, strangers.

    A stranger is whoever the page, or a worker of it, asks beside where it comes from.
    """

    heard: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        """Note what is said of ``page`` from now on."""
        page.on("request", lambda request: self._look(page, request.url))
        page.on("websocket", lambda socket: self._look(page, socket.url))
        page.on("pageerror", lambda error: self.heard.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                self.heard.append(f"{message.type}: {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.on(
            "response",
            lambda response: (
                self.heard.append(f"{response.status}: {response.url}")
                if response.status >= 400
                else None
            ),
        )

    def _look(self, page: Page, url: str) -> None:
        own = {urlsplit(page.url).netloc, ""}  # what is made in the page has no host
        asked = urlsplit(url).netloc
        if page.url != "about:blank" and asked not in own:
            self.heard.append(f"a stranger is asked: {url}")


def chromium() -> str:
    """Return where Chromium is; skip the test if it is nowhere, but in CI fail."""
    if not Assets().complete:
        do_without("the viewer's files are not here: run make viewer")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        do_without("no Chromium here: install one to run the tests of the viewer")
    return found


def do_without(reason: str) -> NoReturn:
    """Skip the test; in CI fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Run a browser."""
    path = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, args=list(QUIET), timeout=PATIENCE
        )
        try:
            yield browser
        finally:
            await browser.close()


async def opened(browser: Browser, **options: Any) -> Page:
    """Open a page that is patient."""
    page = await browser.new_page(**options)
    page.set_default_timeout(PATIENCE)
    return page
