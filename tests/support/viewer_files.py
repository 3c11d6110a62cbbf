"""A small page of the viewer's, as files."""

from __future__ import annotations

from pathlib import Path


def viewer(home: Path) -> Path:
    """Make a folder with a small page, as ``make viewer`` leaves one."""
    for name in (
        *("page/index.html", "page/main.js", "page/icons/icon.svg", "js/src/index.js"),
        *("js/src/codec/chain.js", "js/package.json", "js/test/chain.test.js"),
        *("vendor/onnxruntime-web/ort.wasm.min.mjs", "vendor/onnxruntime-web/ort.wasm"),
        *("vendor/onnxruntime-web/ort.wasm.br", "vendor/onnxruntime-web/ort.wasm.gz"),
        *("page/.secret.js", "page/.git/x.js", "page/notes.bak", "js/src/README"),
    ):
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return home
