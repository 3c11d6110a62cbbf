"""Pictures that are written as PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from picture_files import plain
from PIL import Image

from diffc_stream.picture import load_picture, png_bytes, save_png


def test_png_and_its_text() -> None:
    data = png_bytes(plain(), {"bytes": "1234", "render": "mmse", "Titre": "caf\u00e9 \u2615"})
    assert data.index(b"tEXtbytes\x001234") < data.index(b"IDAT")
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        assert dict(image.info) == {"bytes": "1234", "render": "mmse", "Titre": "caf\u00e9 \u2615"}
    assert np.array_equal(load_picture(data), plain())
    assert data == png_bytes(
        plain(), {"bytes": "1234", "render": "mmse", "Titre": "caf\u00e9 \u2615"}
    )


def test_png_of_a_view_into_another_array() -> None:
    assert np.array_equal(load_picture(png_bytes(plain()[::-2, ::3])), plain()[::-2, ::3])


@pytest.mark.parametrize("keyword", ["", 80 * "k"])
def test_png_keywords_have_a_length(keyword: str) -> None:
    with pytest.raises(ValueError, match="1 to 79"):
        png_bytes(plain(), {keyword: "value"})


def test_save_png_replaces_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    save_png(path, plain(), text={"bytes": "7"})
    assert path.read_bytes() == png_bytes(plain(), {"bytes": "7"})
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


def test_saved_files_are_as_readable_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    save_png(tmp_path / "out.png", plain())
    assert (tmp_path / "out.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_failed_save_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "folder.png"
    target.mkdir()
    with pytest.raises(OSError, match=r"folder\.png"):
        save_png(target, plain())
    assert [p.name for p in tmp_path.iterdir()] == ["folder.png"]
    with pytest.raises(FileNotFoundError):
        save_png(tmp_path / "nowhere" / "out.png", plain())


def test_long_names_can_be_saved(tmp_path: Path) -> None:
    save_png(tmp_path / (250 * "x"), plain())
    assert len(list(tmp_path.iterdir())) == 1
