"""Whether connected senders would still be admitted is asked again and again."""

from __future__ import annotations

import http
import logging
from pathlib import Path

import pytest
from serving import pictures
from test_client_listener import dialling, until
from websockets.http11 import Request

from diffc_client import Listener

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


async def test_who_is_welcome_is_still_asked_after_a_bug(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answers = {"camera": "camera"}

    def admit(request: Request) -> str | http.HTTPStatus:
        return answers[request.path.removeprefix("/")]

    async with (
        Listener(tmp_path / "kept", authenticate=admit) as listener,
        dialling(f"ws://127.0.0.1:{listener.port}/camera", pictures(tmp_path)),
    ):
        await until(lambda: listener.senders == ("camera",))
        answers.clear()
        await until(lambda: "is admitted failed" in caplog.text)
        assert listener.senders == ("camera",)
        answers["camera"] = "nobody"
        await until(lambda: "is no longer admitted" in caplog.text)
