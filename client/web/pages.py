"""Serves the viewer's page, and the WebSockets that it opens, on a port of this machine."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from diffc_stream.opening import is_passing
from diffc_stream.transport.admission import Admission
from diffc_stream.transport.listener import CountedConnection, PortListener, is_local
from diffc_stream.transport.websocket import listen
from diffc_viewer import Facts, OriginPolicy, Site, SiteRequest, SiteResponse
from diffc_viewer.origin_policy import own_names
from diffc_viewer.site import FACTS

HOST = "127.0.0.1"
"""The loopback: pages are for this machine only."""
EVERYWHERE = ("", "0.0.0.0", "::")
"""Hosts that stand for all addresses of this machine."""
MOST_PAGES = 32
CONNECTIONS = 8
"""Of each page: a browser opens up to six at once, beside a page's WebSocket."""
OPENING = 30.0
"""Seconds that the opening of a connection may take."""
GRACE = 2.0
"""Seconds that pages get to close at the end."""

logger = logging.getLogger("diffc_client")

_BOUND = {
    # For an answer that is opened by itself: it must not run as a part of the page's site.
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class PageServer:
    """Serves the page; what its WebSockets carry is up to the class that inherits from it."""

    def __init__(
        self,
        site: Site,
        facts: Facts,
        *,
        subprotocol: str,
        host: str = HOST,
        port: int = 0,
        most: int = MOST_PAGES,
        opening: float = OPENING,
        origins: Iterable[str] = (),
    ) -> None:
        """Prepare to listen on ``port`` of ``host``; 0 is any free one.

        ``facts`` are what the page is told.  Up to ``most`` WebSockets of ``subprotocol`` are open
        at once, and ``opening`` is how many seconds requests may take.  ``origins`` are other sites
        whose pages may open some.
        """
        self._site = site
        self._facts = facts
        self._subprotocol = subprotocol
        self._host, self._port = host, port
        self._most, self._opening = most, opening
        names = () if host == HOST else (host, *own_names())
        self._origin_policy = OriginPolicy(names=names, origins=origins)
        self._admission = Admission(CONNECTIONS * most, logger=logger)
        self._listener = PortListener(self._admission)
        self._pages = 0
        self._asking: dict[asyncio.Task[Any], ServerConnection] = {}

    async def __aenter__(self) -> Self:
        """Start to listen.  Raises OSError if the port is taken."""
        await self._listener.open(self._host, self._port, self._serve)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        try:
            async with asyncio.timeout(GRACE):
                await asyncio.shield(self._listener.wait_closed())
        except TimeoutError:
            # Some still wait for somebody else, or for a slow link.
            for task, page in self._asking.items():
                page.transport.abort()
                task.cancel()
            self._admission.drop_newcomers()
            await self._listener.wait_closed()

    @property
    def url(self) -> str:
        """The address to open in a browser of this machine."""
        host = HOST if self._host in EVERYWHERE else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def port(self) -> int:
        """The port."""
        return self._listener.port

    async def talk(self, page: ServerConnection) -> None:
        """Talk over a page's WebSocket until it is closed."""
        raise NotImplementedError

    async def answer(self, target: str) -> Response | None:  # noqa: ARG002
        """Answer a request that is not for the page's files; None if it is for one."""
        return None

    async def facts(self) -> Facts:
        """Return what the page is told."""
        return self._facts

    async def _serve(self, listening: socket.socket) -> Server:
        return await listen(
            listening,
            self._counted,
            process_request=self._admit,
            make=partial(CountedConnection, admission=self._admission),
            logger="diffc_client.websockets",
            subprotocol=self._subprotocol,
            # Plain requests are answered during the opening.
            open_timeout=self._opening,
        )

    async def _counted(self, page: ServerConnection) -> None:
        self._pages += 1
        try:
            await self.talk(page)
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
            headers.get_all, path=path, local=is_local(page), socket=upgrade
        )
        if refusal is not None:
            return said(refusal, "pages of other sites are refused")
        if self._admission.full:
            return said(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
        assert isinstance(page, CountedConnection)
        page.settle()
        if upgrade:
            if self._pages < self._most:
                return None
            return said(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages")
        if (own := await self.answer(request.path)) is not None:
            return own
        question = SiteRequest(
            path=path,
            host=headers["Host"],
            accepts=",".join(headers.get_all("Accept-Encoding")),
            known=",".join(headers.get_all("If-None-Match")),
        )
        facts = await self.facts() if path == FACTS else None
        try:
            return response(await asyncio.to_thread(self._site.answer, question, facts))
        except (OSError, RuntimeError, MemoryError) as error:
            if not is_passing(error):
                raise
            return said(HTTPStatus.SERVICE_UNAVAILABLE, "not at the moment: come back later")


def said(status: HTTPStatus, text: str) -> Response:
    """Return an answer of one line."""
    fields = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
    return response(SiteResponse(status=status, fields=fields, body=f"{text}\n".encode()))


def response(answer: SiteResponse) -> Response:
    """Return an answer as websockets sends it."""
    fields = _BOUND | answer.fields
    headers = Headers(Date=formatdate(usegmt=True), Connection="close", **fields)
    if answer.status is not HTTPStatus.NOT_MODIFIED:
        headers["Content-Length"] = str(len(answer.body))
    return Response(answer.status.value, answer.status.phrase, headers, answer.body)
