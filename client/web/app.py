"""The viewer for a sender that is far away: the page from here, the pictures from there.

    async with View(Address.parse("ws://station:8765"), Site(Assets(models))) as view:
        print(view.url)

The page and its runtime are megabytes, which need not cross the thin link.  Each page has a
connection of its own to the sender.
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
from diffc_viewer import Answer, Door, Facts, Question, Site
from diffc_viewer.assets import PREFIX
from diffc_viewer.site import FACTS

from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access
from ..remote.http_client import Wire
from .proxy import Line, carry

HOST = "127.0.0.1"
"""Nobody else has any business here."""
MOST_PAGES = 32
MOST_CONNECTIONS = 8 * MOST_PAGES
"""A browser opens six at once beside a page's own."""
MOST_FILE = 16 * 2**20
"""Bytes of a picture for comparison."""
MOST_FACTS = 2**16
"""Bytes of what a sender says of itself."""
MOST_FILES = 4
"""Pictures for comparison that are asked for at once."""
PATIENCE = 30.0
"""Seconds that the sender may take for one."""
ASKING = 3.0
"""Seconds that it may take to say whether it makes any."""
GRACE = 2.0
"""Seconds that pages get to take note of the end."""

logger = logging.getLogger("diffc_client")

_COMPARISON = f"{PREFIX}compare/"
_TARGET = re.compile(r"[!-~]{1,4096}")
_BAD = HTTPStatus.BAD_GATEWAY
_PLAIN = {"ws": "http", "wss": "https"}
_PICTURES = frozenset(("image/avif", "image/jpeg", "image/png", "image/webp"))
"""What is handed on of what a sender says its answers are: never what a browser would run."""
_BOUND = {
    # Whoever opens it by itself sees a picture, and nothing in it belongs to the page's site.
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_AGE = re.compile(r"max-age=[0-9]{1,9}|no-store|no-cache")
MOST_REASON = 300
"""Characters of what a sender says why it has none."""


class View:
    """Serves the page on this machine, and carries what it says to a sender and back."""

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

        ``rate``: carry so many bytes a second, each way, as if the link were that thin.
        ``compare``: ask the sender for other formats' pictures too; these are not slowed.
        ``max_pixels``: the page shows no larger pictures, None: none that it could not.

        Raises AddressError if ``address`` is of files and not of a sender.
        """
        if address.plain:
            raise AddressError(f"{str(address)!r} is not a sender: it should be ws://HOST:PORT")
        self._address = address
        self._site = site
        self._port = port
        self._compare = compare
        self._access = access
        self._facts = Facts(sender=str(address.sender), rate=rate, max_pixels=max_pixels)
        self._door = Door()
        self._admission = Admission(MOST_CONNECTIONS, logger=logger)
        self._listener = PortListener(self._admission)
        self._pages = 0
        self._turns = asyncio.Semaphore(MOST_FILES)
        self._asking: dict[asyncio.Task[Any], ServerConnection] = {}
        self.down = Line(rate)
        """What came from the sender."""
        self.up = Line(rate)
        """What went to it."""

    async def __aenter__(self) -> Self:
        """Listen.  Raises OSError if the port is taken."""
        await self._listener.open(HOST, self._port, self._serve)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        try:
            async with asyncio.timeout(GRACE):
                await asyncio.shield(self._listener.wait_closed())
        except TimeoutError:
            # They wait for a sender, or for a line that is slow.
            for task, page in self._asking.items():
                page.transport.abort()
                task.cancel()
            self._admission.drop_newcomers()
            await self._listener.wait_closed()

    @property
    def url(self) -> str:
        """What to open in a browser."""
        picture = f"#/{quote(self._address.image)}" if self._address.image else ""
        return f"http://{HOST}:{self._listener.port}/{picture}"

    async def _serve(self, listening: socket.socket) -> Server:
        return await listen(
            listening,
            self._carry,
            process_request=self._admit,
            make=partial(CountedConnection, admission=self._admission),
            logger="diffc_client.websockets",
            subprotocol=SUBPROTOCOL,
            # Plain requests are answered within the opening.
            open_timeout=PATIENCE + ASKING,
        )

    async def _carry(self, page: ServerConnection) -> None:
        assert isinstance(page, PacedServerConnection)
        self._pages += 1
        try:
            sender = self._address.sender
            await carry(page, sender, down=self.down, up=self.up, access=self._access)
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
        refusal = self._door.objection(headers.get_all, path=path, local=True, socket=upgrade)
        if refusal is not None:
            return _said(refusal, "pages of other sites have no business here")
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
        question = Question(
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
            return _said(HTTPStatus.NOT_FOUND, "nothing is compared here")
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
            return False  # an older one, or none

    async def _fetch(self, target: str, most: int) -> tuple[HTTPStatus, Mapping[str, str], bytes]:
        """Ask the sender's HTTP side for up to ``most`` bytes.

        Raises LinkLost or RemoteProtocolError.
        """
        scheme = _PLAIN[self._address.scheme]
        plain = replace(self._address.sender, scheme=scheme)
        wire = await Wire.dial(plain, idle=PATIENCE, access=self._access)
        try:
            answer = await wire.ask(f"{plain.root}{target}", {"Accept-Encoding": "identity"})
            body = bytearray()
            while len(body) <= most and (piece := await wire.read()):
                body += piece
        finally:
            wire.close()
            await wire.closed()
        try:
            status = HTTPStatus(answer.status)
        except ValueError:
            status = HTTPStatus.BAD_GATEWAY
        if len(body) > most:
            return HTTPStatus.BAD_GATEWAY, {}, b""
        return status, answer.fields, bytes(body)


def _handed_on(status: HTTPStatus, fields: Mapping[str, str], body: bytes) -> Response:
    """Return what a sender answers, as a picture or as the words why there is none."""
    media_type = fields.get("content-type", "").partition(";")[0].strip().lower()
    if status is not HTTPStatus.OK:
        # A redirection, for instance, would lead the page elsewhere.
        status = status if status.value >= 400 else _BAD
        return _said(status, _printable(body) or status.phrase)
    if media_type not in _PICTURES:
        return _said(_BAD, "the sender answers with something else than a picture")
    known = {"Content-Type": media_type, "Cache-Control": "no-store"}
    if _AGE.fullmatch(fields.get("cache-control", "")):
        known["Cache-Control"] = fields["cache-control"]
    return _response(Answer(status=status, fields=known, body=body))


def _printable(body: bytes) -> str:
    text = body[: 4 * MOST_REASON].decode(errors="replace")[:MOST_REASON]
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _said(status: HTTPStatus, text: str) -> Response:
    fields = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    return _response(Answer(status=status, fields=fields, body=f"{text}\n".encode()))


def _response(answer: Answer) -> Response:
    fields = _BOUND | answer.fields
    headers = Headers(Date=formatdate(usegmt=True), Connection="close", **fields)
    if answer.status is not HTTPStatus.NOT_MODIFIED:
        headers["Content-Length"] = str(len(answer.body))
    return Response(answer.status.value, answer.status.phrase, headers, answer.body)
