"""Files that are streams already (``.dfc``): their entity tags, and their bytes for HTTP.

They are read a piece at a time, so that a stream of 60 MB takes no more memory than a small one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict

from diffc_stream.errors import RequestRefused, StreamError
from diffc_stream.opening import Identity
from diffc_stream.session import MAX_STREAM, Code

from ..catalogue.file import File, unreadable
from ..threads.pools import WorkerPools
from .source import parse_header, read_block

MOST_TAGS = 10_000
"""How many tags are remembered."""
_BLOCK = 2**18


class StreamFiles:
    """Reads a sender's stream files; used on one event loop, and reads on threads."""

    def __init__(self, workers: WorkerPools) -> None:
        """Read on the threads of ``workers``."""
        self._workers = workers
        self._tags: OrderedDict[File, str] = OrderedDict()
        self._asking: dict[File, asyncio.Task[str]] = {}

    async def tag(self, file: File) -> str:
        """Return a file's strong entity tag, which depends on its content only.

        The file is read once for all requests.  Raises RequestRefused if it is not a stream, has
        been replaced, or cannot be read at the moment.
        """
        known = self._tags.get(file)
        if known is not None:
            self._tags.move_to_end(file)
            return known
        task = self._asking.get(file)
        if task is None:
            task = self._asking[file] = asyncio.create_task(self._find_out(file))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def read(self, file: File, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``; the file does not stay open.

        Raises RequestRefused if the file has been replaced, or cannot be read at the moment.
        """
        try:
            return await self._workers.read(read_block, file, start, end - start)
        except OSError as error:
            raise unreadable(error) from error

    def close(self) -> None:
        """Stop reading."""
        for task in self._asking.values():
            task.cancel()

    async def _find_out(self, file: File) -> str:
        try:
            tag = await self._workers.read(_tag, file)
        except OSError as error:
            raise unreadable(error) from error
        except StreamError as error:
            raise RequestRefused(Code.UNREADABLE_IMAGE, "it is not a stream") from error
        finally:
            del self._asking[file]
        self._tags[file] = tag
        if len(self._tags) > MOST_TAGS:
            self._tags.popitem(last=False)
        return tag


def length(file: File) -> int:
    """Return how many bytes of a file can be sent."""
    return min(file.version.size, MAX_STREAM)


def entity_tag(digest: str) -> str:
    """Return the strong entity tag for content with this hash, in hex."""
    return f'"{digest[:32]}"'


def _tag(file: File) -> str:
    digest, left = hashlib.sha256(), length(file)
    with file.open() as opened:
        parse_header(file.path, opened)
        opened.seek(0)
        while left and (block := opened.read(min(_BLOCK, left))):
            digest.update(block)
            left -= len(block)
        file.check(Identity.opened(opened))
    return entity_tag(digest.hexdigest())
