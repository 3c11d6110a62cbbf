"""Serves the viewer's page on this machine, with the pictures of a remote sender.

    async with View(Address.parse("ws://station:8765"), Site(Assets(models))) as view:
        print(view.url)

The page and its runtime are megabytes, which so do not have to cross the slow link.  Each page has
a connection of its own to the sender.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from diffc_stream.errors import AddressError, DiffcError
from diffc_stream.session import SUBPROTOCOL
from diffc_stream.transport.pacing import PacedServerConnection
from diffc_viewer import Facts, Site, SiteResponse
from diffc_viewer.assets import PREFIX
from diffc_viewer.site import FACTS

from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access
from ..remote.http_client import HttpConnection
from .pages import PageServer, response, said
from .proxy import ThrottledLink, relay

MOST_FILE = 16 * 2**20
"""Largest comparison picture, in bytes."""
MOST_FACTS = 2**16
"""Largest file of facts from a sender, in bytes."""
MOST_FILES = 4
"""Comparison pictures that are requested at once."""
PATIENCE = 30.0
"""Seconds that the sender may take for a comparison picture."""
ASKING = 3.0
"""Seconds that the sender may take to say whether it offers comparisons."""

_COMPARISON = f"{PREFIX}compare/"
_TARGET = re.compile(r"[!-~]{1,4096}")
_BAD = HTTPStatus.BAD_GATEWAY
_PLAIN = {"ws": "http", "wss": "https"}
_PICTURES = frozenset(("image/avif", "image/jpeg", "image/png", "image/webp"))
"""The media types that are passed on from a sender: none that a browser would execute."""
_AGE = re.compile(r"max-age=[0-9]{1,9}|no-store|no-cache")
MOST_REASON = 300
"""Characters of a sender's error text that are passed on."""


class View(PageServer):
    """Serves the page on this machine, and relays its WebSocket to the sender."""

    def __init__(
        self,
        address: Address,
        site: Site,
        *,
        port: int = 0,
        rate: float | None = None,
        compare: bool = False,
        max_pixels: int | None = None,
        access: Access = NO_ACCESS,
    ) -> None:
        """Prepare to listen on ``port`` of the loopback; 0 is any free one.

        ``rate`` limits the bytes a second each way, as on a slow link.  With ``compare``, the page
        can get pictures of other formats from the sender, which ``rate`` does not slow.  The page
        shows no picture of more than ``max_pixels``; None is the page's own limit.

        Raises AddressError if ``address`` is of a file server or a broker instead of a sender.
        """
        if address.plain or address.mqtt:
            raise AddressError(f"{str(address)!r} is not a sender: it should be ws://HOST:PORT")
        facts = Facts(sender=str(address.sender), rate=rate, max_pixels=max_pixels)
        # A comparison may be asked for at the sender, and whether there are any before that.
        super().__init__(site, facts, subprotocol=SUBPROTOCOL, port=port, opening=PATIENCE + ASKING)
        self._address = address
        self._compare = compare
        self._access = access
        self._turns = asyncio.Semaphore(MOST_FILES)
        self.down = ThrottledLink(rate)
        """Bytes from the sender."""
        self.up = ThrottledLink(rate)
        """Bytes to the sender."""

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        picture = f"#/{quote(self._address.image)}" if self._address.image else ""
        return f"{super().url}{picture}"

    async def talk(self, page: ServerConnection) -> None:
        """Carry a page's messages to the sender, and the sender's to the page."""
        assert isinstance(page, PacedServerConnection)
        sender = self._address.sender
        await relay(page, sender, down=self.down, up=self.up, access=self._access)

    async def answer(self, target: str) -> Response | None:
        """Answer requests for comparisons."""
        return await self._comparison(target) if target.startswith(_COMPARISON) else None

    async def facts(self) -> Facts:
        """Return what the page is told: also whether the sender offers comparisons."""
        if not self._compare:
            return self._facts
        return replace(self._facts, compare=await self._sender_compares())

    async def _comparison(self, target: str) -> Response:
        if not (self._compare and _TARGET.fullmatch(target)):
            return said(HTTPStatus.NOT_FOUND, "comparisons are switched off")
        try:
            async with asyncio.timeout(PATIENCE):
                async with self._turns:
                    status, fields, body = await self._fetch(target, MOST_FILE)
        except (DiffcError, TimeoutError) as error:
            reason = str(error) or "the sender takes too long"
            return said(HTTPStatus.BAD_GATEWAY, reason)
        return _handed_on(status, fields, body)

    async def _sender_compares(self) -> bool:
        try:
            async with asyncio.timeout(ASKING):
                status, _, body = await self._fetch(FACTS, MOST_FACTS)
            return status is HTTPStatus.OK and json.loads(body)["compare"] is True
        except (DiffcError, TimeoutError, ValueError, LookupError, TypeError, RecursionError):
            return False  # an older sender, or none

    async def _fetch(self, target: str, most: int) -> tuple[HTTPStatus, Mapping[str, str], bytes]:
        """Fetch up to ``most`` bytes from the sender over HTTP.

        Raises LinkLost or RemoteProtocolError.
        """
        scheme = _PLAIN[self._address.scheme]
        plain = replace(self._address.sender, scheme=scheme)
        connection = await HttpConnection.dial(plain, idle=PATIENCE, access=self._access)
        try:
            answer = await connection.ask(f"{plain.root}{target}", {"Accept-Encoding": "identity"})
            body = bytearray()
            while len(body) <= most and (piece := await connection.read()):
                body += piece
        finally:
            connection.close()
            await connection.closed()
        try:
            status = HTTPStatus(answer.status)
        except ValueError:
            status = HTTPStatus.BAD_GATEWAY
        if len(body) > most:
            return HTTPStatus.BAD_GATEWAY, {}, b""
        return status, answer.fields, bytes(body)


def _handed_on(status: HTTPStatus, fields: Mapping[str, str], body: bytes) -> Response:
    """Return a sender's answer as the page gets it: a picture, or an error text."""
    media_type = fields.get("content-type", "").partition(";")[0].strip().lower()
    if status is not HTTPStatus.OK:
        # Only errors are passed on: a redirection, for instance, would lead the page elsewhere.
        status = status if status.value >= 400 else _BAD
        return said(status, _printable(body) or status.phrase)
    if media_type not in _PICTURES:
        return said(_BAD, "the sender's answer is not a picture")
    known = {"Content-Type": media_type, "Cache-Control": "no-store"}
    if _AGE.fullmatch(fields.get("cache-control", "")):
        known["Cache-Control"] = fields["cache-control"]
    return response(SiteResponse(status=status, fields=known, body=body))


def _printable(body: bytes) -> str:
    text = body[: 4 * MOST_REASON].decode(errors="replace")[:MOST_REASON]
    return "".join(character if character.isprintable() else " " for character in text).strip()
