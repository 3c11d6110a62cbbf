"""The viewer as files of a published folder, for web servers that know nothing of it.

All files except the page itself are in a folder whose name is their hash, so that caches may keep
them for ever, and a page always finds the files that belong to it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from .assets import MODELS, PREFIX, ROOT, Asset, Assets
from .site import FACTS, Facts, import_maps, policy

_COMPRESSIBLE = (".css", ".html", ".js", ".json", ".mjs", ".onnx", ".svg", ".txt", ".wasm")
_WORTH = 0.9
"""A compressed copy is published if it is at most so many times as large."""
_UNUSED = ("page/index.html", "page/tsconfig.json")
_OWN = re.compile(rb'(["(])(\./)?-/')
_CHARSET = b'<meta charset="utf-8" />'


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedViewer:
    """The viewer's files."""

    index: bytes
    """The page."""
    files: dict[str, bytes]
    """All others, by their paths in the published folder; names in ``.gz`` are compressed copies,
    for servers that send those to browsers."""


def published_viewer(assets: Assets) -> PublishedViewer | None:
    """Return the viewer's files; None if ``make viewer`` has not fetched all.  Raises OSError."""
    if not assets.complete:
        return None
    found, packed = dict(_contents(assets)), dict(_packed(assets))
    digest = hashlib.sha256()
    for path, data in sorted(found.items()):
        digest.update(f"{path} {len(data)}\n".encode() + data)
    release = f"-/{digest.hexdigest()[:16]}/"
    files: dict[str, bytes] = {}
    for path, data in found.items():
        files[release + path] = data
        if path.endswith(_COMPRESSIBLE):
            copy = packed.get(path) or gzip.compress(data, mtime=0)
            if len(copy) <= _WORTH * len(data):
                files[f"{release}{path}.gz"] = copy
    return PublishedViewer(index=_page(assets, release.encode()), files=files)


def _contents(assets: Assets) -> Iterator[tuple[str, bytes]]:
    """Yield the viewer's files below PREFIX, and their contents."""
    for path in assets:
        asset = assets.get(path)
        name = path.removeprefix(PREFIX)
        if path != ROOT and name not in _UNUSED and asset is not None:
            yield name, _whole(asset)
    yield MODELS.removeprefix(PREFIX), assets.models
    facts = json.dumps(asdict(Facts(published=True))).encode()
    yield FACTS.removeprefix(PREFIX), facts


def _packed(assets: Assets) -> Iterator[tuple[str, bytes]]:
    """Yield the compressed copies that are there already, by the paths of the files."""
    for path in assets:
        asset = assets.get(path)
        if asset is not None and (copy := asset.copies.get("gzip")) is not None:
            yield path.removeprefix(PREFIX), copy.read_bytes()


def _whole(asset: Asset) -> bytes:
    data, _ = asset.read("identity")
    return data


def _page(assets: Assets, release: bytes) -> bytes:
    """Return the page, with the paths of its files, and with a policy for servers that send none.

    A policy in the page cannot say who may frame it, which takes a header.
    """
    page = _OWN.sub(lambda found: found[1] + (found[2] or b"") + release, assets.index.read_bytes())
    rules = policy("", import_maps(page)).split("; ")
    content = "; ".join(rule for rule in rules if not rule.startswith("frame-ancestors"))
    meta = f'<meta http-equiv="Content-Security-Policy" content="{content}" />'.encode()
    return page.replace(_CHARSET, _CHARSET + b"\n    " + meta, 1)
