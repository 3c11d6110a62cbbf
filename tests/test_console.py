"""What a console has no characters for is escaped."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from serving import Background, pictures

from diffc_stream.console import escape_what_cannot_be_shown
from diffc_stream.picture import save_png


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("cp1252", b"\xe4 \\u0424"), ("ascii", b"\\xe4 \\u0424"), ("utf-8", "ä Ф".encode())],
)
def test_what_there_are_no_characters_for_is_escaped(
    encoding: str, shown: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.BytesIO()
    stream = io.TextIOWrapper(out, encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    escape_what_cannot_be_shown()
    sys.stdout.write("ä Ф")
    sys.stdout.flush()
    assert out.getvalue() == shown
    sys.stdout.write("\udce9")
    sys.stdout.flush()  # of a name that is not UTF-8
    assert out.getvalue() == shown + b"\\udce9"


def test_other_streams_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", None)
    escape_what_cannot_be_shown()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_commands_name_any_file(encoding: str, tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    save_png(tmp_path / "Фото.png", np.zeros((16, 16, 3), np.uint8))
    (folder / "a.png").rename(folder / "Фото.png")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}

    def run(*arguments: object) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", *map(str, arguments)],
            capture_output=True,
            check=False,
            env=environment,
            timeout=60,
        )
        return done.returncode, done.stdout.decode(encoding), done.stderr.decode(encoding)

    with Background(folder) as url:
        code, out, err = run("diffc_client", "list", url)
        assert (code, err) == (0, "")
        assert r"\u0424\u043e\u0442\u043e.png" in out
    code, out, err = run(
        *("diffc_stream", "encode", tmp_path / "Фото.png", tmp_path / "Ф.dfc", "--bytes", 40)
    )
    assert (code, err) == (0, "")
    assert r"\u0424.dfc: " in out
    code, out, err = run("diffc_stream", "inspect", tmp_path / "Фу.dfc")
    assert (code, out) == (1, "")
    assert r"\u0424\u0443.dfc: No such file" in err
