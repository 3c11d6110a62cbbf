"""Serves the viewer's page on this machine, with the pictures of a remote sender.

    async with View(Address.parse("ws://station:8765"), Site(Assets(models))) as view:
        print(view.url)

The page and its runtime are megabytes, which so do not have to cross the slow link.  Each page has
a connection of its own to the sender.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote

from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from diffc_stream.errors import AddressError, DiffcError
from diffc_stream.opening import is_passing
from diffc_stream.session import SUBPROTOCOL
from diffc_stream.transport.admission import Admission
from diffc_stream.transport.listener import CountedConnection, PortListener
from diffc_stream.transport.pacing import PacedServerConnection
from diffc_stream.transport.websocket import listen
from diffc_viewer import Facts, OriginPolicy, Site, SiteRequest, SiteResponse
from diffc_viewer.assets import PREFIX
from diffc_viewer.site import FACTS

from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access
from ..remote.http_client import HttpConnection
from .proxy import ThrottledLink, relay

HOST = "127.0.0.1"
"""The loopback: the page is for this machine only."""
MOST_PAGES = 32
MOST_CONNECTIONS = 8 * MOST_PAGES
"""A browser opens up to six connections at once, beside a page's WebSocket."""
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
GRACE = 2.0
"""Seconds that pages get to close at the end."""

logger = logging.getLogger("diffc_client")

_COMPARISON = f"{PREFIX}compare/"
_TARGET = re.compile(r"[!-~]{1,4096}")
_BAD = HTTPStatus.BAD_GATEWAY
_PLAIN = {"ws": "http", "wss": "https"}
_PICTURES = frozenset(("image/avif", "image/jpeg", "image/png", "image/webp"))
"""The media types that are passed on from a sender: none that a browser would execute."""
_BOUND = {
    # For an answer that is opened by itself: it must not run as a part of the page's site.
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_AGE = re.compile(r"max-age=[0-9]{1,9}|no-store|no-cache")
MOST_REASON = 300
"""Characters of a sender's error text that are passed on."""


class View:
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

        Raises AddressError if ``address`` is of a file server instead of a sender.
        """
        if address.plain:
            raise AddressError(f"{str(address)!r} is not a sender: it should be ws://HOST:PORT")
        self._address = address
        self._site = site
        self._port = port
        self._compare = compare
        self._access = access
        self._facts = Facts(sender=str(address.sender), rate=rate, max_pixels=max_pixels)
        self._origin_policy = OriginPolicy()
        self._admission = Admission(MOST_CONNECTIONS, logger=logger)
        self._listener = PortListener(self._admission)
        self._pages = 0
        self._turns = asyncio.Semaphore(MOST_FILES)
        self._asking: dict[asyncio.Task[Any], ServerConnection] = {}
        self.down = ThrottledLink(rate)
        """Bytes from the sender."""
        self.up = ThrottledLink(rate)
        """Bytes to the sender."""

    async def __aenter__(self) -> Self:
        """Start to listen.  Raises OSError if the port is taken."""
        await self._listener.open(HOST, self._port, self._serve)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        try:
            async with asyncio.timeout(GRACE):
                await asyncio.shield(self._listener.wait_closed())
        except TimeoutError:
            # Some still wait for the sender, or for the slowed link.
            for task, page in self._asking.items():
                page.transport.abort()
                task.cancel()
            self._admission.drop_newcomers()
            await self._listener.wait_closed()

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        picture = f"#/{quote(self._address.image)}" if self._address.image else ""
        return f"http://{HOST}:{self._listener.port}/{picture}"

    async def _serve(self, listening: socket.socket) -> Server:
        return await listen(
            listening,
            self._relay,
            process_request=self._admit,
            make=partial(CountedConnection, admission=self._admission),
            logger="diffc_client.websockets",
            subprotocol=SUBPROTOCOL,
            # Plain requests are answered during the opening.
            open_timeout=PATIENCE + ASKING,
        )

    async def _relay(self, page: ServerConnection) -> None:
        assert isinstance(page, PacedServerConnection)
        self._pages += 1
        try:
            sender = self._address.sender
            await relay(page, sender, down=self.down, up=self.up, access=self._access)
        finally:
            self._pages -= 1

    async def _admit(self, page: ServerConnection, request: Request) -> Response | None:
        task = asyncio.current_task()
        assert task is not None
        self._asking[task] = page
        task.add_done_callback(self._asking.pop)
        headers = request.headers
        path = request.path.partition("?")[0]
        upgrade = any("websocket" in value.lower() for value in headers.get_all("Upgrade"))
        refusal = self._origin_policy.refusal(
            headers.get_all, path=path, local=True, socket=upgrade
        )
        if refusal is not None:
            return _said(refusal, "pages of other sites are refused")
        if self._admission.full:
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
        assert isinstance(page, CountedConnection)
        page.settle()
        if upgrade:
            if self._pages < MOST_PAGES:
                return None
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages")
        if path.startswith(_COMPARISON):
            return await self._comparison(request.path)
        question = SiteRequest(
            path=path,
            host=headers["Host"],
            accepts=",".join(headers.get_all("Accept-Encoding")),
            known=",".join(headers.get_all("If-None-Match")),
        )
        facts = self._facts
        if path == FACTS and self._compare:
            facts = replace(facts, compare=await self._sender_compares())
        try:
            return _response(await asyncio.to_thread(self._site.answer, question, facts))
        except (OSError, RuntimeError, MemoryError) as error:
            if not is_passing(error):
                raise
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, "not at the moment: come back later")

    async def _comparison(self, target: str) -> Response:
        if not (self._compare and _TARGET.fullmatch(target)):
            return _said(HTTPStatus.NOT_FOUND, "comparisons are switched off")
        try:
            async with asyncio.timeout(PATIENCE):
                async with self._turns:
                    status, fields, body = await self._fetch(target, MOST_FILE)
        except (DiffcError, TimeoutError) as error:
            reason = str(error) or "the sender takes too long"
            return _said(HTTPStatus.BAD_GATEWAY, reason)
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
        return _said(status, _printable(body) or status.phrase)
    if media_type not in _PICTURES:
        return _said(_BAD, "the sender's answer is not a picture")
    known = {"Content-Type": media_type, "Cache-Control": "no-store"}
    if _AGE.fullmatch(fields.get("cache-control", "")):
        known["Cache-Control"] = fields["cache-control"]
    return _response(SiteResponse(status=status, fields=known, body=body))


def _printable(body: bytes) -> str:
    text = body[: 4 * MOST_REASON].decode(errors="replace")[:MOST_REASON]
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _said(status: HTTPStatus, text: str) -> Response:
    fields = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    return _response(SiteResponse(status=status, fields=fields, body=f"{text}\n".encode()))


def _response(answer: SiteResponse) -> Response:
    fields = _BOUND | answer.fields
    headers = Headers(Date=formatdate(usegmt=True), Connection="close", **fields)
    if answer.status is not HTTPStatus.NOT_MODIFIED:
        headers["Content-Length"] = str(len(answer.body))
    return Response(answer.status.value, answer.status.phrase, headers, answer.body)
