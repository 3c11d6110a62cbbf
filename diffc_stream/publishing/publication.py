"""Publish a folder of pictures and streams.

The order is what makes it safe to stop at any byte, and to serve while it runs: streams and
thumbnails come first, then the viewer and the pages of the catalogue, and last the two files that
name them, each replaced as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream.bulk.chain import Chain
from diffc_stream.bulk.encoding import Encoded, Settings, described, encode, is_stream
from diffc_stream.bulk.periods import Period, periods
from diffc_stream.bulk.places import Folder, Found
from diffc_stream.errors import DestinationError, UnreadablePicture, reason
from diffc_stream.publishing import catalogue, headers
from diffc_stream.publishing.catalogue import STREAMS, Published
from diffc_stream.publishing.folder import PublishedFolder
from diffc_stream.publishing.record import Made, Record
from diffc_stream.publishing.thumbnail import SUFFIX, thumbnail
from diffc_viewer import Assets, published_viewer

if TYPE_CHECKING:
    from diffc_stream.diffusion.collection import Collection, ModelFile

INDEX = "index.html"
THUMBNAILS = "-/thumbnails/"
_HASH = 16
"""Hexadecimal digits of a hash in a name."""
_LONGEST = 255
"""Bytes of a file's name, at most, on common file systems."""
_TEMPORARY = 15
"""Bytes that a temporary file's name adds to it."""

Told = Callable[[str, str | None], None]
"""Is called after each picture with its name, and with what is wrong with it, if anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What was published."""

    pictures: int
    bytes: int
    """Of all streams."""
    encoded: int
    """Pictures that were encoded now."""
    written: int
    """Files that were written now."""
    kept: int
    """Files that were there already, whole."""
    pruned: int
    """Files of earlier publications that were deleted."""
    failed: dict[str, str]
    """What is wrong with pictures that were left out, by name."""
    page: bool
    """Whether the viewer is there; it is not, unless ``make viewer`` has been run."""


def publish(
    source: Path,
    destination: Path,
    *,
    models: Collection,
    settings: Settings,
    key_every: float | None = None,
    prune: bool = False,
    told: Told = lambda _name, _wrong: None,
) -> Publication:
    """Publish the pictures and streams below ``source`` into the folder ``destination``.

    With ``key_every``, the pictures of each folder start from one another, with a key picture every
    so many seconds of the clock.
    A picture that cannot be used, or a folder that cannot be read, is left out, and the others go
    on.  With ``prune``, the files of earlier publications that this one does not need are deleted,
    unless a folder could not be read.
    Raises DestinationError if ``source`` is no folder, or a file of another program would have to
    be replaced, and OSError if ``source`` does not answer or ``destination`` cannot be written.
    """
    pictures = Folder(source)
    if source.resolve().is_relative_to(destination.resolve()):
        raise DestinationError(f"{destination} holds the pictures: publish into another folder")
    destination.mkdir(parents=True, exist_ok=True)
    with Record(destination) as record:
        return _Run(PublishedFolder(destination, record), record, models, settings).publish(
            pictures, key_every=key_every, prune=prune, told=told
        )


class _Run:
    def __init__(
        self, folder: PublishedFolder, record: Record, models: Collection, settings: Settings
    ) -> None:
        self._folder = folder
        self._record = record
        self._models = models
        self._settings = settings
        self._chain = Chain(models.preferred)
        """The streams of the period that is being published."""
        self._encoded = 0

    def publish(
        self, source: Folder, *, key_every: float | None, prune: bool, told: Told
    ) -> Publication:
        for path in (INDEX, catalogue.ROOT, headers.HEADERS, headers.NGINX):
            self._folder.check(path)
        published: list[Published] = []
        failed: dict[str, str] = {}
        here = self._folder.path.resolve()
        files = (
            found
            for found in source.files()
            # What was published earlier, into a folder within the source, is none of it.
            if found.wrong or not (source.path / found.name).resolve().is_relative_to(here)
        )
        for period in periods(files, key_every):
            published += self._period(source, period, failed, told)
        published.sort(key=lambda picture: picture.name)
        page = self._finish(published)
        # What was published of a folder that cannot be read now may be wanted again.
        prune = prune and not any(name.endswith("/") for name in failed)
        return Publication(
            pictures=len(published),
            bytes=sum(picture.bytes for picture in published),
            encoded=self._encoded,
            pruned=self._folder.prune() if prune else 0,
            written=self._folder.written,
            kept=self._folder.kept,
            failed=failed,
            page=page,
        )

    def _period(
        self, source: Folder, period: Period, failed: dict[str, str], told: Told
    ) -> Iterator[Published]:
        """Publish pictures of which each but the first may start from the one before."""
        self._chain.clear()
        for found in period:
            wrong = None
            try:
                if found.wrong:
                    raise UnreadablePicture(found.wrong)
                one = self._picture(source, found)
                if len(period) > 1:
                    stream = (self._folder.path / one.stream).read_bytes()
                    self._chain.add(one.stream.rpartition("/")[2], stream)
                yield one
            except Exception as error:  # Libraries have their own, and memory may run out.
                name = error.filename if isinstance(error, OSError) else None
                if isinstance(name, str) and name.startswith(str(self._folder.path)):
                    raise
                wrong = reason(error)
            if wrong is not None:
                failed[found.name] = wrong
                self._chain.clear()  # so the next is a key picture
            told(found.name, wrong)

    def _picture(self, source: Folder, found: Found) -> Published:
        """Publish one picture's stream and thumbnail, unless they are there already."""
        data = source.read(found.name)
        key = self._settings.key(next(iter(self._models))) + self._chain.key
        origin = hashlib.sha256(data).hexdigest()
        made = self._record.made(origin, key)
        if made is None or not self._is_there(found.name, made):
            made = self._make(found.name, data)
            self._record.make(origin, key, made)
        path = stream_path(found.name, made.sha256)
        return Published(
            name=found.name,
            stream=path,
            bytes=(self._folder.path / path).stat().st_size,
            sha256=made.sha256,
            width=made.width,
            height=made.height,
            model=made.model,
            time=found.time,
            thumbnail=made.thumbnail,
        )

    def _is_there(self, name: str, made: Made) -> bool:
        """Tell whether what a picture became is there, also if it had another name then."""
        if not self._folder.whole(made.thumbnail, made.thumbnail_sha256):
            return False
        path = stream_path(name, made.sha256)
        if self._folder.whole(path, made.sha256):
            return True
        if self._folder.hash(made.stream) != made.sha256:
            return False
        self._folder.put(path, (self._folder.path / made.stream).read_bytes())
        return True

    def _make(self, name: str, data: bytes) -> Made:
        encoded = self._stream(data)
        small = thumbnail(encoded, self._models)
        small_sha256 = hashlib.sha256(small).hexdigest()
        made = Made(
            stream=stream_path(name, encoded.sha256),
            sha256=encoded.sha256,
            width=encoded.width,
            height=encoded.height,
            model=encoded.model,
            thumbnail=f"{THUMBNAILS}{small_sha256[:_HASH]}{SUFFIX}",
            thumbnail_sha256=small_sha256,
        )
        self._folder.put(made.stream, encoded.stream)
        self._folder.put(made.thumbnail, small)
        return made

    def _stream(self, data: bytes) -> Encoded:
        if is_stream(data):
            return described(data)
        start = self._chain.start()
        encoded = encode(data, self._models.preferred, self._settings, start)
        self._encoded += 1
        return encoded

    def _finish(self, published: list[Published]) -> bool:
        """Publish the viewer, the catalogue and the headers; tell whether there is a viewer."""
        viewer = published_viewer(Assets(_needed(self._models, published)))
        parts = list(catalogue.pages(published))
        for page in parts:
            self._folder.put(page.path, page.data)
        for path, data in viewer.files.items() if viewer else ():
            self._folder.put(path, data)
        self._folder.put(headers.HEADERS, headers.headers_file())
        self._folder.put(headers.NGINX, headers.nginx_file())
        self._folder.put(catalogue.ROOT, catalogue.root(published, parts))
        if viewer is not None:
            self._folder.put(INDEX, viewer.index)
        return viewer is not None


def stream_path(name: str, sha256: str) -> str:
    """Return where the stream of a picture lies in a published folder."""
    folder, slash, last = name.rpartition("/")
    end = f".{sha256[:_HASH]}.dfc"
    stem = last.removesuffix(".dfc").encode()[: _LONGEST - _TEMPORARY - len(end)]
    return f"{STREAMS}{folder}{slash}{stem.decode(errors='ignore')}{end}"


def _needed(models: Collection, published: list[Published]) -> list[ModelFile]:
    """Return the models of the published streams; if there are none, the preferred one."""
    used: Mapping[str, object] = dict.fromkeys(picture.model for picture in published)
    files = [file for file in models.files if file.description.fingerprint in used]
    return files or list(models.files[:1])
