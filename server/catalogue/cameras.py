"""The order of a camera's pictures: which of them a stream goes back to, one from another.

:mod:`diffc_stream.succession` has the rule; here it is applied to folders, which change.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.errors import RequestRefused
from diffc_stream.imaging.kinds import SUFFIXES
from diffc_stream.opening import Identity
from diffc_stream.session import Code
from diffc_stream.succession import KEY_EVERY, keys, period_of

from .file import File, try_later

MOST_FOLDERS = 64
"""Folders whose order is remembered."""
SETTLING = 2 * 10**9
"""Nanoseconds within which a folder's modification time may miss a change."""

FRESH = 0.5
"""Seconds for which that is put up with, so that many requests at once take one look."""


class Cameras:
    """Knows which pictures come before a picture; any thread may ask."""

    def __init__(self, key_every: float = KEY_EVERY) -> None:
        """Begin anew with a key picture every ``key_every`` seconds of the clock, more than 0."""
        self._period = period_of(key_every)
        self._orders: OrderedDict[Path, _Order] = OrderedDict()
        self._guard = Lock()

    def before(self, file: File) -> tuple[File, ...]:
        """Return the pictures that a picture's stream goes back to, the key picture first.

        Empty for a key picture, and for what is no picture of its folder.  Looks at the folder, so
        it is slow.  Raises RequestRefused if the disk does not answer, or files change meanwhile.
        """
        try:
            for again in (False, True):
                found = self._order(file, again=again).before(file)
                if all(Identity.at(one.path) == one.version for one in found):
                    return found
        except OSError as error:
            raise try_later() from error
        message = "pictures before it are being replaced"
        raise RequestRefused(Code.BUSY, message, retry=True, after=1.0)

    def _order(self, file: File, *, again: bool) -> _Order:
        """Return the order of a file's folder; ``again`` looks at it anew.  Raises OSError."""
        folder = file.path.parent
        with self._guard:
            order = self._orders.get(folder)
            if order is None or again or not order.holds() or not order.knows(file):
                order = self._orders[folder] = _Order(folder, self._period)
            self._orders.move_to_end(folder)
            if len(self._orders) > MOST_FOLDERS:
                self._orders.popitem(last=False)
            return order


class _Order:
    """The pictures of one folder in order, as they were at one time."""

    def __init__(self, folder: Path, period: int) -> None:
        """Look at the folder.  Raises OSError."""
        self._folder = folder
        self._time = folder.stat().st_mtime_ns
        self._settled = time.time_ns() - self._time > SETTLING
        self._looked = time.monotonic()
        found = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_picture(entry.name) and entry.is_file(follow_symlinks=False):
                    path = folder / entry.name
                    version = Identity.at(path)  # on Windows an entry does not know all of it
                    if version is not None:
                        found.append(File(path, version))
        found.sort(key=lambda one: (one.version.time, one.path.name))
        self._files = found
        self._places = {one: place for place, one in enumerate(found)}
        self._keys = keys([(one.version.time, one.path.name) for one in found], period)
        """For each picture, the place of its key picture."""

    def holds(self) -> bool:
        """Tell whether no file has come or gone since.  Raises OSError."""
        fresh = self._settled or time.monotonic() < self._looked + FRESH
        return fresh and self._folder.stat().st_mtime_ns == self._time

    def knows(self, file: File) -> bool:
        """Tell whether a picture is the same as then."""
        return file in self._places

    def before(self, file: File) -> tuple[File, ...]:
        """Return the pictures from the key picture to the one before a picture."""
        place = self._places.get(file)
        return () if place is None else tuple(self._files[self._keys[place] : place])


def _is_picture(name: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  (ten thousand times)
    return suffix in SUFFIXES and suffix != STREAM_SUFFIX and not name.startswith(".")
