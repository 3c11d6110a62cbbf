"""What a sender that dials shows, and whom it believes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes import FakeOpener
from serving import settled

from diffc_server import Catalogue, Dialler, Pipeline
from diffc_server.websocket import dialler
from diffc_server.websocket.dialler import bearer_headers
from diffc_stream.errors import SafetyError


def test_a_token_is_shown_where_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("abc-123\n")
    headers = {"Authorization": "Bearer abc-123"}
    for url in ("wss://hub:1/camera", "ws://localhost:1/camera", "ws://127.0.0.1:1/camera"):
        assert bearer_headers(url, path, exposed=False) == headers
    with pytest.raises(SafetyError, match="is not encrypted"):
        bearer_headers("ws://hub:1/camera", path, exposed=False)
    assert bearer_headers("ws://hub:1/camera", path, exposed=True) == headers


@pytest.mark.parametrize("text", ["", "two tokens", "one\ntwo", "\u00e4", "x" * 300, "a\x00b"])
def test_what_is_no_token_is_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "token"
    path.write_text(text)
    with pytest.raises(SafetyError) as caught:
        bearer_headers("wss://hub", path, exposed=False)
    assert str(caught.value) == f"{path} holds no token, or more than one"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(SafetyError, match="cannot be read: No such file"):
        bearer_headers("wss://hub", gone, exposed=False)


@pytest.mark.asyncio
@pytest.mark.virtual_time
@pytest.mark.parametrize("failure", [RuntimeError("can't start new thread"), MemoryError()])
async def test_whatever_happens_it_tries_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
) -> None:
    tries = [0]

    async def fail(*_: object, **__: object) -> None:
        tries[0] += 1
        raise failure

    monkeypatch.setattr(dialler, "connect", fail)
    catalogue, pipeline = Catalogue(tmp_path), Pipeline(FakeOpener())
    async with Dialler("ws://hub:1/camera", catalogue, pipeline, draw=lambda: 1.0):
        await settled(lambda: tries[0] == 1)
        await asyncio.sleep(300)
        assert tries[0] > 5
    assert caplog.text.count("cannot be connected to at the moment") == 1
    assert not [record for record in caplog.records if record.exc_info]
    pipeline.close()


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_a_bug_is_told_and_is_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(dialler, "connect", fail)
    pipeline = Pipeline(FakeOpener())
    async with Dialler("ws://hub:1/camera", Catalogue(tmp_path), pipeline):
        await settled(lambda: "trying again" in caplog.text)
    assert "connecting failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    pipeline.close()
