"""Who may ask: pages of other sites, and names that lead here by deceit, are turned away.

A browser lets any page ask any host, and tells of it in ``Origin`` and ``Sec-Fetch-Site``.  A page
may also point a name of its own at this machine (DNS rebinding): to its browser this daemon is
then a part of its site, and only the name in ``Host`` gives it away.
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
"""All values of a header of a request, by its name."""


class Door:
    """Lets requests in, or says why not."""

    def __init__(
        self,
        *,
        names: Iterable[str] = (),
        pages: bool = True,
        origins: Iterable[str] = (),
        secure: bool = False,
        strict: bool = False,
    ) -> None:
        """Know this machine as ``names`` too; without ``pages``, turn every browser's page away.

        ``origins`` are other sites whose pages may open WebSockets here all the same.  ``secure``:
        this is only reached over TLS, and so is no page of its own that is not.  ``strict``: look
        at the name that programs ask for too, wherever they are.
        """
        self._names = {name.lower().rstrip(".") for name in names}
        self._pages = pages
        self._origins = {origin.lower() for origin in origins}
        self._schemes = ("https",) if secure else ("http", "https")
        self._strict = strict

    def objection(
        self, fields: Fields, *, path: str, local: bool, old: bool = False, socket: bool = False
    ) -> HTTPStatus | None:
        """Return the status to refuse a request with, or None.

        ``path`` is what it asks for; ``local``: it came over the loopback; ``old``: it is of
        HTTP/1.0; ``socket``: it opens a WebSocket.
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
        # On networks browsers do not tell of pages that ask their own site, so that its page
        # should not be here in the first place.
        inside = not socket and (path == ROOT or path.startswith(PREFIX))
        named = self._pages and (paged or inside)
        # Programs open WebSockets by whatever name they have: there is no page to be deceived.
        near = local and (paged or not socket)
        if (named or near or self._strict) and not all(map(self.is_own, hosts)):
            return HTTPStatus.MISDIRECTED_REQUEST
        same = all(self.same(origin, host) for origin in origins for host in hosts or [""])
        same = same and all(site == "same-origin" for site in foreign)
        if paged and not (self._pages and same):
            return HTTPStatus.FORBIDDEN
        return None

    def same(self, origin: str, host: str) -> bool:
        """Tell whether a page of ``origin`` is of the site that it asks."""
        scheme, _, rest = origin.lower().partition("://")
        return scheme in self._schemes and rest == host.lower() != ""

    def is_own(self, host: str) -> bool:
        """Tell whether a Host header can only mean this machine: no other name can lead here."""
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
    """Return what this machine calls itself, in its own network too."""
    name = platform.node()
    return [name, f"{name.partition('.')[0]}.local"] if name else []


def _is_visit(fields: Fields) -> bool:
    """Tell whether somebody opens the page, be it by a link in another one."""
    return fields("Sec-Fetch-Mode") == ["navigate"] and fields("Sec-Fetch-Dest") == ["document"]
