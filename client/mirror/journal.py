"""What was written into a folder, byte for byte: nothing else there may be replaced or deleted.

It is noted before it is done, so that what a process left that was killed is known for its own by
the next one.  The notes are lines of a hidden file of their own, each with a check of all before
it; one that is not as it was written is left where it is, like any other file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .confined_folder import ConfinedFolder, is_file
from .content import Content, Known
from .paths import BLOCK, blocks

NAME = ".diffc-written-{}.log"
_NAME = re.compile(r"\.diffc-written-([1-9][0-9]{0,8})\.log")
_TITLE = ["diffc-stream written", 1]
_WHOLE = ["whole"]
MOST_BYTES = 2**29
"""Of the notes; more are not read."""
MOST_STALE = 5000
"""Lines that say nothing any more, beyond one for each file."""
logger = logging.getLogger("diffc_client")


@dataclass(slots=True)
class _State:
    """What the lines come to."""

    files: dict[str, Known] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    temporary: set[str] = field(default_factory=set)

    def apply(self, line: list[Any]) -> None:
        """Take a line.  Raises ValueError, TypeError or IndexError."""
        what, name, *rest = line
        if not isinstance(name, str):
            raise TypeError("a name that is none")
        if what == "file":
            contents = [Content(int(size), str(digest)) for size, digest in rest]
            self.files[name] = (contents[0], contents[1] if len(contents) > 1 else None)
        elif what == "no file":
            self.files.pop(name, None)
        elif what == "folder":
            self.folders[name] = int(rest[0])
        elif what == "no folder":
            self.folders.pop(name, None)
        elif what == "temporary":
            self.temporary.add(name)
        elif what == "not temporary":
            self.temporary.discard(name)
        else:
            raise ValueError("a line of another version")

    def lines(self) -> Iterable[list[Any]]:
        """Yield what comes to the same."""
        yield from (["folder", name, number] for name, number in self.folders.items())
        for name, known in self.files.items():
            yield _file_line(name, *known)
        yield from (["temporary", name] for name in self.temporary)


class _JournalFile:
    """One file of notes, which only ever grows."""

    def __init__(self, descriptor: int, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.descriptor = descriptor
        self.lines = 0
        self._length = 0
        self._check = hashlib.sha256()

    @property
    def check(self) -> str:
        """Of all lines."""
        return self._check.hexdigest()

    def put(self, lines: Iterable[list[Any]]) -> None:
        """Add lines, or none.  Raises OSError."""
        check, text, count = self._check.copy(), bytearray(), 0
        for line in lines:
            plain = json.dumps(line).encode()
            check.update(plain)
            text += plain + b" " + check.hexdigest()[:8].encode() + b"\n"
            count += 1
        try:
            write_all(self.descriptor, text)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, self._length)
            raise
        self._check = check
        self._length += len(text)
        self.lines += count


@dataclass(slots=True)
class _Reading:
    """What is in a file of notes."""

    state: _State
    whole: bool = False
    """It was begun properly."""
    changed: bool = False
    """Somebody else has written to it."""
    check: str = ""


class Journal:
    """What was written below one folder.  May be used from any thread."""

    def __init__(self, beneath: ConfinedFolder) -> None:
        """Read what was noted.  Raises OSError.

        What is half-written from before is deleted.
        """
        self._beneath = beneath
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._journal: _JournalFile | None = None
        self._meanwhile: list[list[Any]] | None = None
        self._closed = False
        read = self._read_all()
        whole = next((reading for reading in read.values() if reading.whole), None)
        self.fresh = whole is None
        """Nothing was ever noted here."""
        self._state = whole.state if whole is not None else _State()
        for name in tuple(self._state.temporary):
            with contextlib.suppress(OSError):
                if is_file(beneath.stat(name)):
                    beneath.unlink(name)
        self._state.temporary.clear()
        self.used = sum(_disk(known) for known in self._state.files.values())
        """Bytes of disk that all of it takes, about."""
        self.used += BLOCK * len(self._state.folders)
        with contextlib.suppress(OSError):  # a disk that is full; it is tried again when needed
            self.renew()
            for name, reading in read.items():
                self._discard(name, reading.check)

    def get(self, name: str) -> Known | None:
        """Return what a file held when it was written to last; None if it never was."""
        return self._state.files.get(name)

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self._state.files)

    @property
    def folders(self) -> int:
        """How many were made."""
        return len(self._state.folders)

    def names(self) -> list[str]:
        """Return all files."""
        with self._lock:
            return list(self._state.files)

    def folder(self, name: str) -> int | None:
        """Return the number of a folder that was made here."""
        return self._state.folders.get(name)

    def note(self, name: str, now: Content, before: Content | None = None) -> None:
        """Note what a file is about to hold, and what it holds.  Raises OSError: then do not."""
        with self._lock:
            self._put(_file_line(name, now, before))
            self._count(name, (now, before))

    def unnote(self, name: str, now: Content) -> None:
        """Note that a file holds what it held before, as far as that can be noted."""
        with self._lock:
            with contextlib.suppress(OSError):
                self._put(_file_line(name, now, None))
            self._count(name, (now, None))

    def forget(self, name: str) -> None:
        """Note that a file is no more, or somebody else's."""
        with self._lock:
            if self._state.files.get(name) is not None:
                with contextlib.suppress(OSError):
                    self._put(["no file", name])
                self._count(name, None)

    def note_folder(self, name: str, number: int) -> None:
        """Note that a folder was made.  Raises OSError."""
        with self._lock:
            self._put(["folder", name, number])
            if name not in self._state.folders:
                self.used += BLOCK
            self._state.folders[name] = number

    def forget_folder(self, name: str) -> None:
        """Note that a folder is no more, or somebody else's."""
        with self._lock:
            if self._state.folders.pop(name, None) is not None:
                self.used -= BLOCK
                with contextlib.suppress(OSError):
                    self._put(["no folder", name])

    @contextlib.contextmanager
    def temporary(self, name: str) -> Iterator[None]:
        """Have a file deleted some day, should the block not come to its end."""
        with self._lock:
            self._put(["temporary", name])
            self._state.temporary.add(name)
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(OSError):
                self._state.temporary.discard(name)
                self._put(["not temporary", name])

    def upkeep(self) -> None:
        """Write the notes anew if most say nothing any more, or have gone.  Raises OSError."""
        journal = self._journal
        needed = len(self._state.files) + len(self._state.folders)
        if (
            journal is None
            or journal.lines > 2 * needed + MOST_STALE
            or not self._beneath.exists(journal.name)
        ):
            self.renew()

    def renew(self) -> None:
        """Write the notes anew, into another file, and delete the last one.  Raises OSError."""
        with self._renewing:
            with self._lock:
                lines = list(self._state.lines())
                self._meanwhile = []
            try:
                journal = self._create()
                try:
                    journal.put([_TITLE, *lines, _WHOLE])
                    os.fsync(journal.descriptor)
                    with self._lock:
                        journal.put(self._meanwhile)
                        old, self._journal = self._journal, journal
                except BaseException:
                    os.close(journal.descriptor)
                    with contextlib.suppress(OSError):
                        self._beneath.unlink(journal.name)
                    raise
            finally:
                self._meanwhile = None
            if old is not None:
                os.close(old.descriptor)
                self._discard(old.name, old.check)

    def close(self) -> None:
        """Write the notes through to the disk."""
        with self._renewing, self._lock:
            self._closed = True
            if self._journal is not None:
                with contextlib.suppress(OSError):
                    os.fsync(self._journal.descriptor)
                os.close(self._journal.descriptor)
                self._journal = None

    def _put(self, line: list[Any]) -> None:
        if self._closed:
            raise OSError(f"{self._beneath.root}: it is not written to any more")
        if self._journal is None:
            self._lock.release()
            try:
                self.renew()
            finally:
                self._lock.acquire()
        assert self._journal is not None
        self._journal.put([line])
        if self._meanwhile is not None:
            self._meanwhile.append(line)

    def _count(self, name: str, known: Known | None) -> None:
        before = self._state.files.pop(name, None)
        if before is not None:
            self.used -= _disk(before)
        if known is not None:
            self.used += _disk(known)
            self._state.files[name] = known

    def _create(self) -> _JournalFile:
        number = 1 + max((number for number, _ in self._found()), default=0)
        name = NAME.format(number)
        descriptor = self._beneath.open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        return _JournalFile(descriptor, name, number)

    def _found(self) -> list[tuple[int, str]]:
        """Return all files of notes with their numbers, the newest first."""
        names = [path.name for path in self._beneath.root.iterdir()]
        found = [(int(match[1]), match[0]) for name in names if (match := _NAME.fullmatch(name))]
        return sorted(found, reverse=True)

    def _read_all(self) -> dict[str, _Reading]:
        """Return what can be believed of all files of notes, the newest first."""
        read = {}
        for _, name in self._found():
            reading = self._read(name)
            if reading is None or reading.changed:
                path = self._beneath.root / name
                logger.warning("%s is not as it was written here, and is kept", path)
            if reading is not None:
                read[name] = reading
        return read

    def _read(self, name: str) -> _Reading | None:
        """Return what is in a file of notes, as far as it is as it was written."""
        try:
            descriptor = self._beneath.open(name, os.O_RDONLY)
        except OSError:
            return None
        status = os.fstat(descriptor)
        if not is_file(status) or status.st_size > MOST_BYTES:
            os.close(descriptor)
            return None
        with os.fdopen(descriptor, "rb") as file:
            reading, check = _Reading(_State()), hashlib.sha256()
            title = False
            for text in file:
                if not text.endswith(b"\n"):
                    break  # torn
                plain, _, told = text[:-1].rpartition(b" ")
                check.update(plain)
                try:
                    line = json.loads(plain)
                    if told != check.hexdigest()[:8].encode():
                        raise ValueError("a line that was changed")
                    if not title:
                        if line != _TITLE:
                            raise ValueError("another file")
                        title = True
                    elif line == _WHOLE:
                        reading.whole = True
                    else:
                        reading.state.apply(line)
                except (ValueError, TypeError, IndexError, RecursionError):
                    reading.changed = True
                    break
            # What stops before it has said what it is may be anybody's.
            reading.changed = reading.changed or not title
            reading.check = check.hexdigest()
            return reading

    def _discard(self, name: str, check: str) -> None:
        """Delete notes that others have taken the place of, if they are as they were written."""
        reading = self._read(name)
        if reading is not None and not reading.changed and reading.check == check:
            with contextlib.suppress(OSError):
                self._beneath.unlink(name)


def _file_line(name: str, now: Content, before: Content | None) -> list[Any]:
    contents = [now] if before is None else [now, before]
    return ["file", name, *([content.size, content.digest] for content in contents)]


def _disk(known: Known) -> int:
    return blocks(known[0].size)


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write to the end of a file.  Raises OSError; then some of it may have been written."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
