"""What a sender that dials shows, and whom it believes."""

from __future__ import annotations

from pathlib import Path

import pytest

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
