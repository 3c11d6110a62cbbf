"""Reads the catalogue of a folder that ``diffc publish`` wrote, from any web server."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from diffc_stream.errors import AddressError, LinkLost, RemoteProtocolError
from diffc_stream.publishing.catalogue import ROOT, STREAMS
from diffc_stream.session import Entry

from . import published
from .address import Address
from .credentials import http_error
from .http_connections import HttpConnections

MISSING = (403, 404, 410)
"""Statuses for files that are not there; object stores may answer 403."""
_HASHED = re.compile(r"[^/].*\.[0-9a-f]{16}\.dfc", re.DOTALL)
"""What the names of published streams look like."""
MOST_FOLDERS = 8
"""Folders on the way to a picture whose catalogues are asked for it."""


class FolderCatalogue:
    """The catalogues of the published folders of one server."""

    def __init__(self, connections: HttpConnections) -> None:
        self._connections = connections
        self.left_out = 0
        """How many pictures :meth:`entries` has left out."""

    async def entries(
        self, folder: Address, told: Callable[[Sequence[Entry]], object] | None = None
    ) -> list[Entry]:
        """Return the pictures of a folder, by name; ``told`` is called with each page.

        Raises AddressError if it has no catalogue, LinkLost, RemoteProtocolError.
        """
        root = await self._file(folder, ROOT)
        if root is None:
            raise AddressError(
                f"{folder} does not say what it has: over plain HTTP, name the stream"
            )
        entries: list[Entry] = []
        self.left_out = 0
        for page in published.pages(root):
            if len(entries) + page.pictures > published.MOST_PICTURES:
                self.left_out += page.pictures
                continue
            part = [picture.entry for picture in await self._page(folder, page)]
            entries += part
            if told is not None:
                told(part)
        return entries

    async def located(self, address: Address) -> Address | None:
        """Return where a picture's stream is, by the catalogue of a folder that may hold it.

        If ``address`` says where the folder ends, that is the folder; otherwise any part of its
        path may be it, and the longest that has a catalogue is asked first.  Returns None if no
        catalogue lists the picture.
        """
        names = str(address.image).split("/")
        deepest = 0 if address.base else len(names) - 1
        for depth in range(deepest, max(-1, deepest - MOST_FOLDERS), -1):
            base = "/".join(filter(None, (address.base, *names[:depth])))
            folder = replace(address, base=base, image=None, query="")
            stream = await self._stream(folder, "/".join(names[depth:]))
            if stream is not None:
                return replace(folder, image=stream)
        return None

    async def _stream(self, folder: Address, name: str) -> str | None:
        """Return the path of a picture's stream; None if the folder has none, or no catalogue.

        A name may also be that of a stream beside others, below STREAMS: what they start from.
        """
        try:
            root = await self._file(folder, ROOT)
            page = None if root is None else published.page_of(published.pages(root), name)
            pictures = [] if page is None else await self._page(folder, page)
        except RemoteProtocolError:
            return None  # something else of that name
        found = next((found.stream for found in pictures if found.entry.name == name), None)
        beside = root is not None and _HASHED.fullmatch(name) is not None
        return f"{STREAMS}{name}" if found is None and beside else found

    async def _page(self, folder: Address, page: published.Page) -> list[published.Published]:
        data = await self._file(folder, page.path)
        if data is None:
            # It has been published anew since: the next attempt finds the new pages.
            raise LinkLost(f"{folder} is being published anew: {page.path} has gone")
        return published.pictures(data)

    async def _file(self, folder: Address, path: str) -> bytes | None:
        """Return a file of a catalogue; None if there is none."""
        address = replace(folder, image=path)
        connection, answer = await self._connections.ask(address, range(published.MOST_BYTES + 1))
        try:
            if answer.status not in (200, 206, *MISSING):
                raise http_error(folder, answer.status, "", f"refuses {path}")
            data = bytearray()
            while piece := await connection.read():
                data += piece
                if len(data) > published.MOST_BYTES:
                    raise RemoteProtocolError(f"{address} is too long for a catalogue")
            return None if answer.status in MISSING else bytes(data)
        finally:
            self._connections.keep(connection)
