"""Large files of the page are read in pieces, and what they are called once."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
from viewer_files import viewer

from diffc_viewer import Assets, Site, SiteRequest
from diffc_viewer.bodies import MOST_UNPACKED, SMALL, Bodies, Body

DATA = bytes(range(256)) * 512


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "large.wasm"
    found.write_bytes(DATA)
    return found


def test_pieces(path: Path) -> None:
    body = Body.at(path)
    assert body.size == len(DATA)
    assert body.read(100, 50) == DATA[100:150]
    link = path.with_name("link")
    link.symlink_to(path)
    assert Body.at(link) == body
    path.unlink()
    path.write_bytes(DATA[1:])
    with pytest.raises(OSError, match="replaced"):
        body.read(0, 1)


def test_a_tag_is_found_out_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies, body = Bodies(), Body.at(path)
    tag = f'"{hashlib.sha256(DATA).hexdigest()[:32]}"'
    assert bodies.tag(body) == tag
    with monkeypatch.context() as patch:
        patch.delattr(Body, "read")
        assert bodies.tag(body) == tag
    path.write_bytes(DATA[1:])
    assert bodies.tag(Body.at(path)) != tag
    assert len(bodies._tags) == 1


def test_what_is_unpacked_is_one_for_all(tmp_path: Path) -> None:
    bodies = Bodies()
    paths = [tmp_path / f"{number}.gz" for number in range(MOST_UNPACKED + 1)]
    for path in paths:
        path.write_bytes(gzip.compress(DATA))
        assert bodies.unpacked(path) == DATA
        assert bodies.unpacked(path) is bodies.unpacked(path)
    assert len(bodies._unpacked) == MOST_UNPACKED


def test_a_site_leaves_large_ones_where_they_are(tmp_path: Path) -> None:
    home = viewer(tmp_path)
    place = "/-/vendor/onnxruntime-web/ort.wasm"
    (home / "vendor/onnxruntime-web/ort.wasm").write_bytes(DATA)
    site = Site(Assets(home=home))
    whole = site.answer(SiteRequest(path=place))
    parted = site.answer(SiteRequest(path=place), whole=False)
    assert (whole.body, whole.file) == (DATA, None)
    assert parted.body == b""
    assert parted.file is not None
    assert parted.file.read(0, len(DATA)) == DATA
    assert parted.fields == whole.fields
    known = site.answer(SiteRequest(path=place, known=whole.fields["ETag"]), whole=False)
    assert (known.status, known.file) == (304, None)
    small = site.answer(SiteRequest(path="/-/page/main.js"), whole=False)
    assert small.file is None
    assert 0 < len(small.body) <= SMALL
    (home / "vendor/onnxruntime-web/ort.wasm").unlink()
    (home / "vendor/onnxruntime-web/ort.wasm.gz").write_bytes(gzip.compress(DATA))
    bodies = [site.answer(SiteRequest(path=place), whole=False).body for _ in range(2)]
    assert bodies[0] == DATA
    assert bodies[0] is bodies[1]
