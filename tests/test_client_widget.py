"""The widget for notebooks, without a notebook: what its page is told and asks for."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest
import sources
from fakes import FakeDecoders, FakeOpener
from PIL import Image
from serving import Background, pictures
from traitlets import TraitError

from diffc_client import ModelDecoders
from diffc_client.notebook import PictureWidget
from diffc_stream.errors import AddressError

STREAM = sources.stream(1500)
MODELS = ModelDecoders(sources.collection(sources.model()))


def shown(widget: PictureWidget) -> Image.Image:
    return Image.open(io.BytesIO(widget.image))


def test_a_stream_or_a_file_of_it(tmp_path: Path) -> None:
    path = tmp_path / "photo.dfc"
    path.write_bytes(STREAM)
    for source in (STREAM, path, str(path)):
        widget = PictureWidget(source, decoders=MODELS)
        widget.wait(60)
        assert (widget.status, widget.received, widget.size) == ("complete", 1500, [64, 64])
        assert shown(widget).size == (64, 64)
        assert widget.shown["bytes"] == 1500
        assert len(widget.offsets) == len(widget.psnr) > 10
        assert widget.psnr == sorted(widget.psnr)
        widget.close()


def test_the_axis_and_the_dial() -> None:
    widget = PictureWidget(STREAM, decoders=MODELS)
    widget.wait(60)
    whole = widget.image
    widget.prefix = 300
    widget.wait(60)
    assert widget.shown["bytes"] == 300
    assert widget.image != whole
    blurred = widget.image
    widget.realism = 1.0
    widget.wait(60)
    assert (widget.shown["bytes"], widget.shown["realism"]) == (300, 1.0)
    assert widget.image != blurred
    widget.realism, widget.prefix = 0.0, 0
    widget.wait(60)
    assert widget.image == whole
    for name, value in (("realism", 1.5), ("prefix", -1)):
        with pytest.raises(TraitError):
            setattr(widget, name, value)
    with pytest.raises(TraitError):
        widget.received = 5
    widget.close()


def test_a_picture_that_arrives(tmp_path: Path) -> None:
    with Background(pictures(tmp_path)) as url:
        widget = PictureWidget(f"{url}/a.png", bytes=2000, decoders=FakeDecoders())
        widget.wait(60)
        assert (widget.status, widget.received, widget.shown["bytes"]) == ("complete", 2000, 2000)
        assert widget.image
        widget.close()
        lost = PictureWidget(f"{url}/none.png", decoders=FakeDecoders())
        with pytest.raises(Exception, match="none"):
            lost.wait(60)
        assert "none" in lost.status
        lost.close()


@pytest.mark.parametrize(("prefix", "shows"), [(300, 300), (1900, 1900), (5000, 2000)])
def test_a_prefix_that_is_set_before_it_is_there(tmp_path: Path, prefix: int, shows: int) -> None:
    gate = threading.Semaphore(0)
    with Background(pictures(tmp_path), FakeOpener(gate=gate)) as url:
        widget = PictureWidget(f"{url}/a.png", bytes=2000, decoders=FakeDecoders())
        widget.prefix = prefix
        gate.release(100)
        widget.wait(60)
        assert (widget.status, widget.received) == ("complete", 2000)
        assert widget.shown["bytes"] == shows
        assert widget.image
        widget.close()


@pytest.mark.parametrize("scheme", ["ws", "wss", "http", "https", "mqtt", "mqtts"])
def test_addresses_are_no_files(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Mock()
    monkeypatch.setattr("diffc_client.notebook.widget.watch", watch)
    widget = PictureWidget(f"{scheme}://hub/cam//a.png", decoders=FakeDecoders())
    assert watch.call_args.args[0] == f"{scheme}://hub/cam//a.png"
    widget.close()


def test_what_cannot_be_shown(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        PictureWidget(tmp_path / "none.dfc", decoders=MODELS)
    with pytest.raises(AddressError):
        PictureWidget("ws://localhost", decoders=MODELS)
    broken = PictureWidget(b"no stream" * 20, decoders=MODELS)
    broken.wait(60)
    assert "stream" in broken.status
    assert broken.image == b""
    broken.close()
    short = PictureWidget(STREAM[:12], decoders=MODELS)
    short.wait(60)
    assert short.status
    short.close()
