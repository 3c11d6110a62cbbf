"""Who looks at the beginnings of a stream finds what it starts from, too."""

from __future__ import annotations

from pathlib import Path

import camera
import pytest
import sources
from fakes import FakeDecoders
from serving import Background

from diffc_client import ModelDecoders
from diffc_client.notebook import PictureWidget
from diffc_client.notebook.remembering import RememberingDecoders
from diffc_stream.errors import MissingReference
from diffc_stream.references import among


def models() -> ModelDecoders:
    """Return decoders that have made no picture yet."""
    return ModelDecoders(sources.collection(camera.MODEL))


def test_those_after_find_what_the_first_found(tmp_path: Path) -> None:
    data = camera.streams(2)
    remembering = RememberingDecoders(models())
    assert remembering.fingerprints == (camera.MODEL.fingerprint,)
    with pytest.raises(MissingReference):
        remembering.new().feed(data[1])
    remembering.starting(among(data)).feed(data[1])
    remembering.new().feed(data[1])
    with pytest.raises(MissingReference):
        RememberingDecoders(models(), file=tmp_path / "1.dfc").new().feed(data[1])
    camera.write(tmp_path, 2)
    RememberingDecoders(models(), file=tmp_path / "1.dfc").new().feed(data[1])
    other = RememberingDecoders(FakeDecoders())  # which knows no references
    other.starting(among(data)).feed(b"D")
    other.new().feed(b"D")


def test_a_widget_shows_all_beginnings(tmp_path: Path) -> None:
    folder = camera.write(tmp_path, 2)
    with Background(folder) as url:
        for source in (folder / "1.dfc", f"{url}/1.dfc"):
            widget = PictureWidget(source, decoders=models())
            widget.wait(60)
            assert (widget.status, widget.shown["bytes"]) == ("complete", 1200)
            widget.prefix = 300
            widget.wait(60)
            assert widget.shown["bytes"] == 300
            widget.close()
