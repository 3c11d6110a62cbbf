"""Senders that share a store, on a few tiny pictures; and what their S3-compatible server does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffc_benchmarks import bulk_senders

pytest.importorskip("moto", reason="the extra bench")
pytest.importorskip("s3fs", reason="the extra s3")
from diffc_benchmarks.object_server import Faulty


def test_each_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_senders, "SENDERS", 2)
    monkeypatch.setattr(bulk_senders, "STORES", {"S3": ()})
    shades = [np.full((16, 16, 3), shade, np.uint8) for shade in (50, 150)]
    pictures = [(f"{i}.png", Image.fromarray(shade)) for i, shade in enumerate(shades)]
    [record] = bulk_senders.measured(tmp_path, pictures, size=60, kills=1)
    assert (record.answers, record.wrong, record.tags) == (4, 0, 2)
    assert record.pieces_alone > 0
    assert record.pieces <= 2 * record.pieces_alone


class Bucket:
    """An application with one object."""

    def __init__(self) -> None:
        self.body = b"old"

    def __call__(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        """Answer a request."""
        start("200 OK", [("Length", str(len(self.body)))])
        if environ["REQUEST_METHOD"] == "PUT":
            self.body = environ["body"]
            return []
        return [self.body]


def ask(application: Faulty, method: str, body: bytes = b"") -> tuple[str, bytes]:
    status = []
    environ = {"PATH_INFO": "/a", "REQUEST_METHOD": method, "body": body}
    answer = b"".join(application(environ, lambda said, _: status.append(said)))
    return status[0], answer


def test_a_server_without_faults() -> None:
    server = Faulty(Bucket(), slow=0.0, failing=0.0, stale=0.0)
    assert ask(server, "GET") == ("200 OK", b"old")
    assert ask(server, "PUT", b"new") == ("200 OK", b"")
    assert ask(server, "GET") == ("200 OK", b"new")
    assert server.requests == 3


def test_a_server_that_fails() -> None:
    server = Faulty(Bucket(), slow=0.0, failing=1.0, stale=0.0)
    status, answer = ask(server, "PUT", b"new")
    assert status == "503 Slow Down"
    assert b"SlowDown" in answer


def test_a_server_that_shows_old_data_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("diffc_benchmarks.object_server.time.monotonic", lambda: now[0])
    server = Faulty(Bucket(), slow=0.0, failing=0.0, stale=1.0)
    ask(server, "PUT", b"new")
    assert ask(server, "GET") == ("200 OK", b"old")
    now[0] += 2.0
    assert ask(server, "GET") == ("200 OK", b"new")
