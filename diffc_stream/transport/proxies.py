"""Find the proxy that the environment names for a connection, as curl and browsers do.

``http_proxy``, ``https_proxy``, ``ws_proxy`` and ``wss_proxy``, in small or capital letters, are
each for addresses of their scheme.  WebSockets use the first two if the last two are not set, and
``all_proxy`` is for everything that has none.  ``no_proxy`` lists, separated by commas, what is
reached without a proxy: names, which include all names below them, addresses and networks, or ``*``
for everything.  Names and addresses may have a port.  This machine is always reached directly.
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
    """Return the proxy for ``port`` of ``host``, or None if it is reached directly.

    Raises AddressError if the proxy's address is unusable, without quoting it: it may contain a
    password.
    """
    # An address with a zone has a meaning on this machine only.
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
        user += ":"  # A name without a password.
    try:
        return parse_proxy(f"{scheme}://{user}{at}{where}")
    except InvalidProxy as error:
        raise AddressError(f"{name} in the environment is no proxy: {error.msg}") from None
    except ValueError:
        raise AddressError(f"{name} in the environment is no proxy's address") from None


def _said(name: str, environment: Mapping[str, str]) -> str:
    """Return the value of a variable.

    In CGI, HTTP_PROXY is ignored: there it holds the header ``Proxy`` of the client's request.
    """
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
    """Return whether an entry of no_proxy applies to a host."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass  # One of the two is a name, or has a port.
    try:
        parts = urlsplit(f"//{entry}")
        name, only = parts.hostname or "", parts.port
    except ValueError:
        return False
    name = name.lstrip("*").strip(".")
    return name != "" and only in (None, port) and f".{host}".endswith(f".{name}")
