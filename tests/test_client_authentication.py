"""Who may send to a receiver that listens."""

from __future__ import annotations

import os
from http import HTTPStatus
from pathlib import Path

from websockets.datastructures import Headers
from websockets.http11 import Request

from diffc_client.mirror.authentication import Admit, by_token
from diffc_stream.transport.tokens import Tokens, add_token


def asked(admit: Admit, *values: str) -> str | HTTPStatus:
    headers = Headers()
    for value in values:
        headers["Authorization"] = value
    return admit(Request("/camera", headers))


def test_a_token_says_who_somebody_is(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    token = add_token(path, "camera")
    admit = by_token(Tokens(path))
    assert asked(admit, f"Bearer {token}") == "camera"
    for values in ([], ["Bearer"], ["Bearer x"], [f"Basic {token}"], [token], [f"Bearer {token}x"]):
        assert asked(admit, *values) is HTTPStatus.UNAUTHORIZED
    other = add_token(path, "drone")
    assert asked(admit, f"bearer {other}") == "drone"
    path.write_text("[[token")
    assert asked(admit, f"Bearer {token}") == "camera"
    path.write_text("")
    assert asked(admit, f"Bearer {token}") == "camera"  # it may be about to be written
    os.utime(path, (0, 0))
    assert asked(admit, f"Bearer {token}") is HTTPStatus.UNAUTHORIZED
