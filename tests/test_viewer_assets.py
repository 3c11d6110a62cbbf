"""Which file is at which path."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from viewer_files import viewer

from diffc_stream.diffusion.collection import DEFAULT, ModelFile
from diffc_viewer import Assets
from diffc_viewer.assets import MEDIA_TYPES, codings


def test_what_is_served_is_listed(tmp_path: Path) -> None:
    assets = Assets(home=viewer(tmp_path))
    assert assets.complete
    assert sorted(assets) == [
        "/",
        "/-/js/codec/chain.js",
        "/-/js/index.js",
        "/-/page/icons/icon.svg",
        "/-/page/index.html",
        "/-/page/main.js",
        "/-/vendor/onnxruntime-web/ort.wasm",
        "/-/vendor/onnxruntime-web/ort.wasm.min.mjs",
    ]
    index = assets.get("/")
    assert index is not None
    assert index == assets.get("/-/page/index.html")
    assert (index.path, index.media_type) == (assets.index, MEDIA_TYPES[".html"])


@pytest.mark.parametrize(
    "path",
    [
        *(
            "",
            "//",
            "/-/",
            "/-/page",
            "/-/page/",
            "/-/page/../js/index.js",
            "/-/js/../package.json",
        ),
        *("/-/page/%2e%2e/x", "/-/page//main.js", "/-/page/main.js/", "/-/page/MAIN.js"),
        *("/-/page/.secret.js", "/-/js/test/chain.test.js", "/etc/passwd", "/-/models.json"),
        *("/-/page/main.js\0", "/-/vendor/onnxruntime-web/ort.wasm.br"),
    ],
)
def test_paths_are_looked_up_and_name_no_files(path: str, tmp_path: Path) -> None:
    assert Assets(home=viewer(tmp_path)).get(path) is None


def test_something_may_be_missing(tmp_path: Path) -> None:
    empty = Assets(home=tmp_path)
    assert not empty.complete
    assert list(empty) == []
    viewer(tmp_path)
    (tmp_path / "vendor").rename(tmp_path / "elsewhere")
    without = Assets(home=tmp_path)
    assert not without.complete
    assert without.get("/") is None
    assert without.get("/-/page/main.js") is not None


def test_models_with_a_graph_are_offered(tmp_path: Path) -> None:
    weights = tmp_path / DEFAULT.name
    weights.write_bytes(DEFAULT.read_bytes())
    file = ModelFile.at(weights)
    fingerprint = file.description.fingerprint
    assets = Assets([file], home=tmp_path)
    assert json.loads(assets.models) == []
    assert list(assets) == []
    graph = weights.with_suffix(".onnx")
    graph.write_bytes(b"a graph")
    assets = Assets([file], home=tmp_path)
    assert json.loads(assets.models) == [
        {
            "fingerprint": fingerprint,
            "name": file.description.name,
            "bytes": weights.stat().st_size,
            "weights": DEFAULT.name,
        }
    ]
    for end, path in ((".onnx", graph), (".safetensors", weights)):
        asset = assets.get(f"/-/models/{fingerprint}{end}")
        assert asset is not None
        assert asset.path == path
    weights.unlink()
    assert json.loads(Assets([file], home=tmp_path).models) == []


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip, deflate, br", "br"),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", "br"),
        ("gzip;q=0.001", "gzip"),
        ("gzip, br;q=0", "gzip"),
        ("br; q=0.000", None),
        ("GZIP", "gzip"),
        ("deflate", None),
        ("identity", None),
        ("", None),
        (",;,;;=q,", None),
    ],
)
def test_compressed_copies(accepts: str, coding: str | None, tmp_path: Path) -> None:
    asset = Assets(home=viewer(tmp_path)).get("/-/vendor/onnxruntime-web/ort.wasm")
    assert asset is not None
    assert asset.media_type == "application/wasm"
    data, found = asset.read(accepts)
    assert found == coding
    assert data.decode().endswith({"br": ".br", "gzip": ".gz", None: ".wasm"}[coding])


def test_what_is_there_compressed_alone_is_unpacked_for_who_wants_it_plain(tmp_path: Path) -> None:
    file = viewer(tmp_path) / "vendor/onnxruntime-web/ort.wasm"
    file.unlink()
    file.with_name("ort.wasm.gz").write_bytes(gzip.compress(b"all of it"))
    assets = Assets(home=tmp_path)
    assert "/-/vendor/onnxruntime-web/ort.wasm.gz" not in list(assets)
    asset = assets.get("/-/vendor/onnxruntime-web/ort.wasm")
    assert asset is not None
    assert asset.media_type == "application/wasm"
    assert asset.read("identity") == (b"all of it", None)
    assert asset.read("br")[1] == "br"
    # Gone while the daemon runs.
    file.with_name("ort.wasm.gz").unlink()
    with pytest.raises(FileNotFoundError):
        asset.read("gzip")


def test_a_coding_is_a_word() -> None:
    assert list(codings("br;q=0, gzip ;q=0.5,, x")) == ["gzip", "", "x"]
