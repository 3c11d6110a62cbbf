"""The proxy that the environment names for a connection, as curl and browsers read it.

``http_proxy``, ``https_proxy``, ``ws_proxy`` and ``wss_proxy`` are each for addresses of their
scheme, in small or in capital letters; without the last two WebSockets take the first two, and what
has none takes ``all_proxy``.  ``no_proxy`` lists, by commas, what is reached without: names, which
stand for all below them too, addresses and networks, or ``*`` for everything; names and addresses
may have a port.  This machine is always reached without.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from websockets.exceptions import InvalidProxy
from websockets.proxy import Proxy, parse_proxy

from diffc_stream.errors import AddressError

from .exposure import is_loopback

__all__ = ["Proxy", "proxy_for"]

_FOR = {
    "http": ("http_proxy",),
    "https": ("https_proxy",),
    "ws": ("ws_proxy", "http_proxy"),
    "wss": ("wss_proxy", "https_proxy"),
}
_ANY = "all_proxy"


def proxy_for(scheme: str, host: str, port: int, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that leads to ``port`` of ``host``; None: there is no need for one.

    Raises AddressError, without quoting what may hold a password, if it is none that can be used.
    """
    # An address with a zone means something on this machine alone.
    if is_loopback(host) or "%" in host or _spared(host, port, environment):
        return None
    for name in (*_FOR[scheme], _ANY):
        if value := _said(name, environment):
            return _parsed(name, value)
    return None


def _parsed(name: str, value: str) -> Proxy:
    scheme, separator, rest = value.rpartition("://")
    scheme = scheme.lower() if separator else "http"
    scheme = {"socks": "socks5h"}.get(scheme, scheme)
    user, at, where = rest.rpartition("@")
    if at and ":" not in user:
        user += ":"  # a name without a password
    try:
        return parse_proxy(f"{scheme}://{user}{at}{where}")
    except InvalidProxy as error:
        raise AddressError(f"{name} in the environment is no proxy: {error.msg}") from None
    except ValueError:
        raise AddressError(f"{name} in the environment is no proxy's address") from None


def _said(name: str, environment: Mapping[str, str]) -> str:
    """Return what a variable says; a server's CGI has the header ``Proxy`` as HTTP_PROXY."""
    capital = name.upper()
    if capital == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
        capital = name
    return (environment.get(name) or environment.get(capital) or "").strip()


def _spared(host: str, port: int, environment: Mapping[str, str]) -> bool:
    return any(
        _covers(entry.strip().lower(), host.lower().rstrip("."), port)
        for entry in _said("no_proxy", environment).split(",")
        if entry.strip()
    )


def _covers(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of no_proxy is of a host."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass  # one of them is a name, or has a port
    try:
        parts = urlsplit(f"//{entry}")
        name, only = parts.hostname or "", parts.port
    except ValueError:
        return False
    name = name.lstrip("*").strip(".")
    return name != "" and only in (None, port) and f".{host}".endswith(f".{name}")
