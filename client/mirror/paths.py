"""Maps the names of a sender's pictures to files of a mirror's folder.

Names come from the sender, so they are checked before use.  A picture's stream is kept as NAME.dfc,
or as NAME if that ends so already.  If the picture changes at the sender, the new stream grows in a
hidden file beside the old one, and replaces it once it is as long or complete: a picture in the
folder never gets worse.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.transport.locks import SUPPORTED, try_lock

BESIDE_SUFFIX = ".new"
PICTURE_SUFFIX = ".png"
BLOCK = 4096
"""Bytes of a block of the disk, the least that a file takes."""
MOST_FOLDERS = 32
"""Most folders in one name."""
PROBE = ".diffc-Probe-"
RESERVED = frozenset(
    [
        *("con", "prn", "aux", "nul"),
        *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"),
    ]
)
"""Names that no file on Windows can have, with any suffix."""


class Unplaceable(OSError):
    """A name that cannot be a file here; the message gives the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The files of one picture."""

    stream: Path
    beside: Path
    """The stream of the picture's newer version, while it grows."""
    picture: Path
    """The rendered picture, if rendering is on."""

    @property
    def rendered(self) -> bool:
        """Whether the rendered picture is up to date: it then has the stream's time."""
        try:
            return self.picture.stat().st_mtime_ns == self.stream.stat().st_mtime_ns
        except OSError:
            return False


class Places:
    """The places of all pictures below one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        windows: bool = os.name == "nt",
        linked: bool = True,
    ) -> None:
        """Use ``folder``, creating it if needed.

        Without ``linked``, the folder itself must not be a link.  Raises OSError.
        """
        if not linked and folder.is_symlink():
            raise Unplaceable(f"{folder} is a link")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve(strict=True)
        self._windows = windows
        self._folds = _folds(self.folder)
        self._owners: dict[str, str] = {}
        self._lock: int | None = None

    def lock(self) -> None:
        """Lock the folder until :meth:`unlock`.  Raises OSError if another mirror uses it."""
        if not SUPPORTED:
            return
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            alone = try_lock(self._lock)
        except OSError:
            self.unlock()  # the file system cannot lock folders
            return
        if not alone:
            self.unlock()
            raise OSError(f"{self.folder}: another mirror is kept there")

    def unlock(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def claim(self, name: str) -> Place:
        """Return a picture's place, and reserve it; reads no disk.

        Raises Unplaceable if the name cannot be a file here, or another picture has the place.
        """
        place = self._place(name)
        key = self._key(place)
        owner = self._owners.setdefault(key, name)
        if owner != name:
            raise Unplaceable(f"{name!r} would be the same file as {owner!r}")
        return place

    def check(self, place: Place) -> None:
        """Raise Unplaceable if a place leads through a link or out of the folder."""
        home = place.stream.parent
        # Links are the user's and may lead anywhere, so a sender's bytes must not follow them.
        try:
            linked = _resolved(home) != home or any(
                path.is_symlink() for path in (place.stream, place.beside)
            )
        except OSError as error:
            name = place.stream.relative_to(self.folder).as_posix()
            raise Unplaceable(f"{name!r} cannot be reached: {error.strerror}") from error
        if linked:
            name = place.stream.relative_to(self.folder).as_posix()
            raise Unplaceable(f"{name!r} leads through a link")

    def rival(self, name: str) -> str | None:
        """Return another picture that has the place of ``name``; None if there is none."""
        owner = self._owners.get(self._key(self._place(name)))
        return None if owner == name else owner

    def owner(self, name: str) -> str | None:
        """Return the picture that has the place of ``name``; None if none has."""
        return self._owners.get(self._key(self._place(name)))

    def release(self, name: str) -> None:
        """Give up the place of a picture."""
        with suppress(Unplaceable):
            key = self._key(self._place(name))
            if self._owners.get(key) == name:
                del self._owners[key]

    def _place(self, name: str) -> Place:
        segments = name.split("/")
        if any(segment.startswith(".") for segment in segments):
            raise Unplaceable(f"{name!r} would be hidden")
        if self._windows and any(map(_reserved, segments)):
            raise Unplaceable(f"{name!r} cannot be a file on Windows")
        *folders, last = segments
        if len(folders) > MOST_FOLDERS:
            raise Unplaceable(f"{name!r} leads through too many folders")
        ready = last.lower().endswith(STREAM_SUFFIX)
        file = last if ready else f"{last}{STREAM_SUFFIX}"
        if len(file.encode()) > 255:
            raise Unplaceable(f"{name!r} is too long for a file")
        home = self.folder.joinpath(*folders)
        stream = home / file
        beside = home / f".{hashlib.sha256(file.encode()).hexdigest()[:16]}{BESIDE_SUFFIX}"
        return Place(stream=stream, beside=beside, picture=home / f"{last}{PICTURE_SUFFIX}")

    def _key(self, place: Place) -> str:
        relative = place.stream.relative_to(self.folder).as_posix()
        if not self._folds:
            return relative
        return unicodedata.normalize("NFC", relative).casefold()


def size_of(path: Path) -> int:
    """Return a file's size in bytes; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def blocks(size: int) -> int:
    """Return the bytes of disk that a file of ``size`` bytes takes, about."""
    return -(-size // BLOCK) * BLOCK


def _resolved(folder: Path) -> Path | None:
    try:
        return folder.resolve()
    except (OSError, RuntimeError):
        return None  # a loop of links


def _folds(folder: Path) -> bool:
    """Tell whether the file system takes names that differ in case only for the same."""
    probe = folder / f"{PROBE}{secrets.token_hex(8)}"
    probe.touch(exist_ok=False)
    try:
        return probe.with_name(probe.name.lower()).exists()
    finally:
        probe.unlink(missing_ok=True)


def _reserved(segment: str) -> bool:
    stem = segment.partition(".")[0].rstrip(" ").lower()
    return stem in RESERVED or segment[-1] in ". " or any(mark in segment for mark in '<>:"|?*')
