"""What web servers should say of published files."""

from __future__ import annotations

import pytest

from diffc_stream.publishing import headers
from diffc_viewer.assets import MEDIA_TYPES


@pytest.mark.parametrize(
    ("path", "cached", "kind"),
    [
        ("index.html", headers.REVALIDATED, "text/html"),
        ("catalogue.json", headers.REVALIDATED, "application/json"),
        ("streams/a.0123456789abcdef.dfc", headers.FOR_EVER, "application/vnd.diffc"),
        ("-/0123456789abcdef/js/a.mjs", headers.FOR_EVER, "text/javascript"),
        ("streams", headers.REVALIDATED, "application/octet-stream"),
    ],
)
def test_by_path(path: str, cached: str, kind: str) -> None:
    assert headers.cache_control(path) == cached
    assert headers.content_type(path) == kind


def test_files_of_the_viewer_have_the_types_that_a_daemon_gives_them() -> None:
    served = {".css", ".html", ".js", ".json", ".mjs", ".onnx", ".safetensors", ".svg", ".txt"}
    for suffix in served | {".wasm", ".webp"}:
        assert headers.content_type(f"a{suffix}") == MEDIA_TYPES[suffix].partition(";")[0]


def test_the_file_that_hosts_read() -> None:
    text = headers.headers_file().decode()
    rules: dict[str, list[str]] = {}
    path = ""
    for line in text.splitlines():
        if line.startswith("  "):
            rules[path].append(line.strip())
        else:
            path = line
            rules[path] = []
    assert rules["/streams/*"] == rules["/-/*"] == [f"Cache-Control: {headers.FOR_EVER}"]
    assert rules["/catalogue.json"] == rules["/"] == [f"Cache-Control: {headers.REVALIDATED}"]
    # Where two rules apply, hosts join the values of a header: so none is in two.
    assert not [line for line in rules["/*"] if line.startswith("Cache-Control")]
