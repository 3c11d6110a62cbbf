"""Maps the paths that browsers ask for to files.

The files are listed once, at the start.  A path is only looked up in that list, so no request can
name any other file.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from diffc_stream.diffusion.collection import ModelFile

HOME = Path(__file__).parent
"""The folder that contains ``page/``, ``js/src/`` and ``vendor/``."""
ROOT = "/"
"""The path of the page."""
PREFIX = "/-/"
"""The prefix of all other paths."""
MODELS = f"{PREFIX}models.json"
"""The path of the list of models."""

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""Media types by suffix; files with other suffixes are not served."""

CODINGS = {"br": ".br", "gzip": ".gz"}
"""Suffixes of compressed copies, the better one first.  A .gz may also replace the file."""

_FOLDERS = {"page": "page", "js": "js/src", "vendor": "vendor"}
_INDEX = "page/index.html"
_RUNTIME = "vendor/onnxruntime-web"
_REFUSED = re.compile(r"[qQ] *= *0(\.0*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file that is served."""

    path: Path
    """The file; a large one may exist only as its compressed copy."""
    media_type: str
    copies: Mapping[str, Path]
    """The compressed copies, by content coding."""

    @classmethod
    def at(cls, path: Path) -> Asset:
        """Return the asset for a file whose suffix is one of :data:`MEDIA_TYPES`."""
        copies = {coding: path.with_name(path.name + end) for coding, end in CODINGS.items()}
        return cls(
            path=path,
            media_type=MEDIA_TYPES[path.suffix.lower()],
            copies={coding: copy for coding, copy in copies.items() if copy.is_file()},
        )

    def chosen(self, accepts: str) -> tuple[Path, str | None]:
        """Return the file for a request with this Accept-Encoding, and its content coding.

        An uncompressed file may be missing if there is only :attr:`packed`.
        """
        accepted = set(codings(accepts))
        for coding, copy in self.copies.items():
            if coding in accepted:
                return copy, coding
        return self.path, None

    @property
    def packed(self) -> Path | None:
        """The compressed file, if there is no other: clients without gzip need it unpacked."""
        return self.copies.get("gzip") if not self.path.exists() else None

    def read(self, accepts: str) -> tuple[bytes, str | None]:
        """Return the bytes for a request with this Accept-Encoding, and their content coding.

        Raises OSError if it has gone.
        """
        path, coding = self.chosen(accepts)
        if coding is None and self.packed is not None:
            return gzip.decompress(self.packed.read_bytes()), None
        return path.read_bytes(), coding


class Assets:
    """The files that are served, by path."""

    def __init__(self, models: Iterable[ModelFile] = (), *, home: Path = HOME) -> None:
        """List the files below ``home``, and those of ``models`` that have a graph."""
        self.index = home / _INDEX
        """The page's file, which may be missing."""
        self._found = {
            f"{PREFIX}{name}/{path.relative_to(home / folder).as_posix()}": Asset.at(path)
            for name, folder in _FOLDERS.items()
            for path in _files(home / folder)
        }
        self.complete = self.index.is_file() and (home / _RUNTIME).is_dir()
        """Whether all that ``make viewer`` fetches is there."""
        if self.complete:
            self._found[ROOT] = Asset.at(self.index)
        listed = [facts for file in models if (facts := self._add(file)) is not None]
        self.models = json.dumps(listed).encode()
        """The JSON text that is served at :data:`MODELS`."""

    def get(self, path: str) -> Asset | None:
        """Return the asset at ``path``, or None."""
        return self._found.get(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def _add(self, file: ModelFile) -> dict[str, str | int] | None:
        graph, fingerprint = file.graph, file.description.fingerprint
        try:
            size = file.path.stat().st_size
        except OSError:
            return None  # gone meanwhile
        if graph is None:
            return None
        self._found[f"{PREFIX}models/{fingerprint}.onnx"] = Asset.at(graph)
        self._found[f"{PREFIX}models/{fingerprint}.safetensors"] = Asset(
            path=file.path, media_type=MEDIA_TYPES[".safetensors"], copies={}
        )
        return {
            "fingerprint": fingerprint,
            "name": file.description.name,
            "bytes": size,
            # The graph refers to its weights by this name.
            "weights": file.path.name,
        }


def codings(accepts: str) -> Iterator[str]:
    """Yield the content codings that an Accept-Encoding header allows; never raises."""
    for item in accepts.split(","):
        coding, _, parameter = item.partition(";")
        if not _REFUSED.fullmatch(parameter.strip()):
            yield coding.strip().lower()


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder; those with only a compressed copy by their own names."""
    for found in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in found.relative_to(folder).parts)
        alone = found.suffix == CODINGS["gzip"] and not found.with_suffix("").exists()
        path = found.with_suffix("") if alone else found
        if path.suffix.lower() in MEDIA_TYPES and not hidden and found.is_file():
            yield path
