"""Checks requests of web pages: those of other sites, and DNS rebinding, are refused.

A browser lets any page send requests to any host, and says so in ``Origin`` and ``Sec-Fetch-Site``.
A page may also let a host name of its own resolve to this machine (DNS rebinding).  The browser
then takes this daemon for a part of the page's site, and only the name in ``Host`` shows otherwise.
"""

from __future__ import annotations

import ipaddress
import platform
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from .assets import PREFIX, ROOT

_HOST = re.compile(r"[0-9A-Za-z.:\[\]_-]{1,255}")

Fields = Callable[[str], list[str]]
"""Returns all values of a request's header, by its name."""


class OriginPolicy:
    """Decides which requests are allowed."""

    def __init__(
        self,
        *,
        names: Iterable[str] = (),
        pages: bool = True,
        origins: Iterable[str] = (),
        secure: bool = False,
        strict: bool = False,
    ) -> None:
        """Accept ``names`` as host names of this machine; without ``pages``, refuse all pages.

        ``origins`` are other sites whose pages may open WebSockets here.  ``secure`` says that this
        daemon is reached over TLS only, and so are its own pages.  With ``strict``, programs too
        have to use an accepted host name, from any network.
        """
        self._names = {name.lower().rstrip(".") for name in names}
        self._pages = pages
        self._origins = {origin.lower() for origin in origins}
        self._schemes = ("https",) if secure else ("http", "https")
        self._strict = strict

    def refusal(
        self, fields: Fields, *, path: str, local: bool, old: bool = False, socket: bool = False
    ) -> HTTPStatus | None:
        """Return the status that refuses a request, or None if it is allowed.

        ``path`` is that of the request.  ``local`` says that it came over the loopback, ``old``
        that it is of HTTP/1.0, and ``socket`` that it opens a WebSocket.
        """
        hosts, origins, sites = fields("Host"), fields("Origin"), fields("Sec-Fetch-Site")
        if socket:
            sites = []  # browsers disagree on what ws:// is to http://, and always send Origin
            origins = [origin for origin in origins if origin.lower() not in self._origins]
        if len(hosts) != 1 and not (old and not hosts):
            return HTTPStatus.BAD_REQUEST
        linked = self._pages and path == ROOT and _is_visit(fields)
        foreign = [site for site in sites if site != "none" and not linked]
        paged = bool(origins or foreign)
        # Over plain HTTP on a network browsers send no Sec-Fetch-Site, so the page itself must
        # not be served under a name that is not ours.
        inside = not socket and (path == ROOT or path.startswith(PREFIX))
        named = self._pages and (paged or inside)
        # Programs may open WebSockets under any name: rebinding needs a page.
        near = local and (paged or not socket)
        if (named or near or self._strict) and not all(map(self.is_own, hosts)):
            return HTTPStatus.MISDIRECTED_REQUEST
        same = all(self.same(origin, host) for origin in origins for host in hosts or [""])
        same = same and all(site == "same-origin" for site in foreign)
        if paged and not (self._pages and same):
            return HTTPStatus.FORBIDDEN
        return None

    def same(self, origin: str, host: str) -> bool:
        """Tell whether ``origin`` is the origin of pages from ``host``, that of this daemon."""
        scheme, _, rest = origin.lower().partition("://")
        return scheme in self._schemes and rest == host.lower() != ""

    def is_own(self, host: str) -> bool:
        """Tell whether a Host header names this machine in a way that no rebinding can use."""
        if not _HOST.fullmatch(host):
            return False
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name == "localhost" or name.endswith(".localhost") or name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def own_names() -> list[str]:
    """Return this machine's host name, and its name in the local network (.local)."""
    name = platform.node()
    return [name, f"{name.partition('.')[0]}.local"] if name else []


def _is_visit(fields: Fields) -> bool:
    """Tell whether a request is a navigation to the page, also by a link on another page."""
    return fields("Sec-Fetch-Mode") == ["navigate"] and fields("Sec-Fetch-Dest") == ["document"]
