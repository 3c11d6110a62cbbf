"""The viewer's files as they are published: all there, and found by the page that names them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from diffc_stream.diffusion.collection import Collection
from diffc_viewer import Assets, published_viewer
from diffc_viewer.site import import_maps, policy

PAGE = b"""<html><meta charset="utf-8" />
<link href="-/page/a.css"><script type="importmap">{"a": "./-/js/a.js"}</script></html>
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, data in {
        "page/index.html": PAGE,
        "page/a.css": b"a{}" * 100,
        "js/src/a.js": b"//",
        "vendor/onnxruntime-web/ort.wasm.gz": gzip.compress(b"wasm" * 100),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_all_files_are_there_unpacked_and_packed(home: Path) -> None:
    viewer = published_viewer(Assets(Collection.at_hand().files[:1], home=home))
    assert viewer is not None
    releases = {re.sub(r"^(-/[0-9a-f]{16}/).*", r"\1", path) for path in viewer.files}
    [release] = releases
    names = {path.removeprefix(release) for path in viewer.files}
    assert {"js/a.js", "page/a.css", "vendor/onnxruntime-web/ort.wasm"} <= names
    assert {"viewer.json", "models.json"} <= names
    assert "page/index.html" not in names
    assert viewer.files[f"{release}vendor/onnxruntime-web/ort.wasm"] == b"wasm" * 100
    for path, data in viewer.files.items():
        if path.endswith(".gz"):
            assert gzip.decompress(data) == viewer.files[path.removesuffix(".gz")]
    assert {name for name in names if name.endswith("a.js.gz")} == set()  # too short to gain
    assert b'"published": true' in viewer.files[f"{release}viewer.json"]


def test_the_page_names_its_own_files_and_policy(home: Path) -> None:
    viewer = published_viewer(Assets(home=home))
    assert viewer is not None
    release = next(iter(viewer.files))[:19].encode()
    assert b'href="' + release + b'page/a.css"' in viewer.index
    assert b'"./' + release + b'js/a.js"' in viewer.index
    [content] = re.findall(rb'http-equiv="Content-Security-Policy" content="(.*?)"', viewer.index)
    assert content.decode() in policy("", import_maps(viewer.index))
    assert b"frame-ancestors" not in content


def test_another_file_is_another_folder(home: Path) -> None:
    before = published_viewer(Assets(home=home))
    (home / "js/src/a.js").write_bytes(b"// changed")
    after = published_viewer(Assets(home=home))
    assert before is not None
    assert after is not None
    assert not before.files.keys() & after.files.keys()


def test_there_is_none_before_make_viewer(tmp_path: Path) -> None:
    assert published_viewer(Assets(home=tmp_path)) is None
