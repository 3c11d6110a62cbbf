"""The journal of what a mirror has written into its folder: it replaces and deletes nothing else.

Each change is noted before it is made, so that after a crash the next process recognises the files
of the one before.  The journal is a hidden file of lines, each with a checksum of all lines up to
it.  A journal file that another program has changed is kept, like any file that is not ours.
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
"""Largest journal file that is read."""
MOST_STALE = 5000
"""Outdated lines, beyond one for each file, after which the journal is written anew."""
logger = logging.getLogger("diffc_client")


@dataclass(slots=True)
class _State:
    """The files and folders that the lines add up to."""

    files: dict[str, Known] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    temporary: set[str] = field(default_factory=set)

    def apply(self, line: list[Any]) -> None:
        """Apply a line.  Raises ValueError, TypeError or IndexError."""
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
        """Yield the fewest lines that give this state."""
        yield from (["folder", name, number] for name, number in self.folders.items())
        for name, known in self.files.items():
            yield _file_line(name, *known)
        yield from (["temporary", name] for name in self.temporary)


class _JournalFile:
    """One file of the journal, which grows at its end only."""

    def __init__(self, descriptor: int, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.descriptor = descriptor
        self.lines = 0
        self._length = 0
        self._check = hashlib.sha256()

    @property
    def check(self) -> str:
        """The checksum of all lines."""
        return self._check.hexdigest()

    def put(self, lines: Iterable[list[Any]]) -> None:
        """Append lines, all or none.  Raises OSError."""
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
    """The result of reading a journal file."""

    state: _State
    whole: bool = False
    """Whether its first part, the state at its start, is complete."""
    changed: bool = False
    """Whether another program has changed it."""
    check: str = ""


class Journal:
    """What was written below one folder.  Thread-safe."""

    def __init__(self, confined: ConfinedFolder) -> None:
        """Read the journal of a folder.  Raises OSError.

        Unfinished files of an earlier process are deleted.
        """
        self._confined = confined
        self._lock = threading.Lock()
        self._renewing = threading.Lock()
        self._journal: _JournalFile | None = None
        self._meanwhile: list[list[Any]] | None = None
        self._closed = False
        read = self._read_all()
        whole = next((reading for reading in read.values() if reading.whole), None)
        self.fresh = whole is None
        """Whether the folder had no journal."""
        self._state = whole.state if whole is not None else _State()
        for name in tuple(self._state.temporary):
            with contextlib.suppress(OSError):
                if is_file(confined.stat(name)):
                    confined.unlink(name)
        self._state.temporary.clear()
        self.used = sum(_disk(known) for known in self._state.files.values())
        """Bytes of disk that all files and folders take, about."""
        self.used += BLOCK * len(self._state.folders)
        with contextlib.suppress(OSError):  # the disk may be full; note() tries again
            self.renew()
            for name, reading in read.items():
                self._discard(name, reading.check)

    def get(self, name: str) -> Known | None:
        """Return a file's content as of the last write; None if it was not written here."""
        return self._state.files.get(name)

    @property
    def files(self) -> int:
        """How many files are noted."""
        return len(self._state.files)

    @property
    def folders(self) -> int:
        """How many folders were created here."""
        return len(self._state.folders)

    def names(self) -> list[str]:
        """Return the names of all files."""
        with self._lock:
            return list(self._state.files)

    def folder(self, name: str) -> int | None:
        """Return the inode number of a folder that was created here."""
        return self._state.folders.get(name)

    def note(self, name: str, now: Content, before: Content | None = None) -> None:
        """Note a file's next content and its present one, before it is written.

        If this raises OSError, the file must not be written.
        """
        with self._lock:
            self._put(_file_line(name, now, before))
            self._count(name, (now, before))

    def unnote(self, name: str, now: Content) -> None:
        """Note that a file kept its content ``now``, if the journal can be written."""
        with self._lock:
            with contextlib.suppress(OSError):
                self._put(_file_line(name, now, None))
            self._count(name, (now, None))

    def forget(self, name: str) -> None:
        """Note that a file was deleted, or is not ours any more."""
        with self._lock:
            if self._state.files.get(name) is not None:
                with contextlib.suppress(OSError):
                    self._put(["no file", name])
                self._count(name, None)

    def note_folder(self, name: str, number: int) -> None:
        """Note that a folder was created.  Raises OSError."""
        with self._lock:
            self._put(["folder", name, number])
            if name not in self._state.folders:
                self.used += BLOCK
            self._state.folders[name] = number

    def forget_folder(self, name: str) -> None:
        """Note that a folder was deleted, or is not ours any more."""
        with self._lock:
            if self._state.folders.pop(name, None) is not None:
                self.used -= BLOCK
                with contextlib.suppress(OSError):
                    self._put(["no folder", name])

    @contextlib.contextmanager
    def temporary(self, name: str) -> Iterator[None]:
        """Mark a file as temporary in this block; after a crash the next process deletes it."""
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
        """Write the journal anew if most of its lines are outdated or it is missing.

        Raises OSError.
        """
        journal = self._journal
        needed = len(self._state.files) + len(self._state.folders)
        if (
            journal is None
            or journal.lines > 2 * needed + MOST_STALE
            or not self._confined.exists(journal.name)
        ):
            self.renew()

    def renew(self) -> None:
        """Write the journal into a new file, and delete the old one.  Raises OSError."""
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
                        self._confined.unlink(journal.name)
                    raise
            finally:
                self._meanwhile = None
            if old is not None:
                os.close(old.descriptor)
                self._discard(old.name, old.check)

    def close(self) -> None:
        """Sync the journal to the disk and close it."""
        with self._renewing, self._lock:
            self._closed = True
            if self._journal is not None:
                with contextlib.suppress(OSError):
                    os.fsync(self._journal.descriptor)
                os.close(self._journal.descriptor)
                self._journal = None

    def _put(self, line: list[Any]) -> None:
        if self._closed:
            raise OSError(f"{self._confined.root}: it is not written to any more")
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
        descriptor = self._confined.open(name, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        return _JournalFile(descriptor, name, number)

    def _found(self) -> list[tuple[int, str]]:
        """Return all journal files with their numbers, the newest first."""
        names = [path.name for path in self._confined.root.iterdir()]
        found = [(int(match[1]), match[0]) for name in names if (match := _NAME.fullmatch(name))]
        return sorted(found, reverse=True)

    def _read_all(self) -> dict[str, _Reading]:
        """Read all journal files as far as they are intact, the newest first."""
        read = {}
        for _, name in self._found():
            reading = self._read(name)
            if reading is None or reading.changed:
                path = self._confined.root / name
                logger.warning("%s was changed by another program, and is kept", path)
            if reading is not None:
                read[name] = reading
        return read

    def _read(self, name: str) -> _Reading | None:
        """Read a journal file as far as it is intact; None if it cannot be read at all."""
        try:
            descriptor = self._confined.open(name, os.O_RDONLY)
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
                    break  # cut off by a crash
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
            # A file without our title line may belong to another program.
            reading.changed = reading.changed or not title
            reading.check = check.hexdigest()
            return reading

    def _discard(self, name: str, check: str) -> None:
        """Delete a journal file that has been replaced, if it is unchanged."""
        reading = self._read(name)
        if reading is not None and not reading.changed and reading.check == check:
            with contextlib.suppress(OSError):
                self._confined.unlink(name)


def _file_line(name: str, now: Content, before: Content | None) -> list[Any]:
    contents = [now] if before is None else [now, before]
    return ["file", name, *([content.size, content.digest] for content in contents)]


def _disk(known: Known) -> int:
    return blocks(known[0].size)


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Append all of ``data``.  Raises OSError, after which some may have been written."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
