"""Whether an address can be reached by this machine only, or by others."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from diffc_stream.errors import SafetyError


def is_loopback(host: str) -> bool:
    """Return whether a host name or an IP address can only mean this machine."""
    name = host.lower().rstrip(".")
    try:
        return ipaddress.ip_address(name.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


@lru_cache(4096)
def neighbourhood(address: str) -> str:
    """Return the part of an address that identifies its owner: with IPv6, the first 64 bits.

    One owner usually has all addresses of such a network.
    """
    try:
        number = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(number, ipaddress.IPv6Address):
        if number.ipv4_mapped is not None:
            return str(number.ipv4_mapped)
        if number.is_loopback:
            return str(number)
        return str(ipaddress.ip_network((number, 64), strict=False))
    return str(number)


def in_the_clear(where: str, host: str, *, tls: bool, insecure: bool, better: str) -> str | None:
    """Return why no token may be sent to ``where``, on ``host``, or None if one may.

    Others could read it on the way, unless TLS protects it; the user can accept that with
    ``insecure``.  ``better`` says, for the message, which addresses would be safe.
    """
    if tls or insecure or is_loopback(host):
        return None
    return (
        f"{where} is not encrypted, and others could read the token: say {better}, or --insecure "
        "if nobody else is on the way"
    )


def check_exposure(host: str, *, tls: bool, tokens: bool, insecure: bool) -> None:
    """Raise SafetyError if listening on ``host`` would show pictures to anybody.

    Other machines may connect only over TLS and with tokens, unless the user accepts the risk with
    ``insecure``.
    """
    if is_loopback(host) or (tls and tokens) or insecure:
        return
    missing = [*([] if tls else ["--tls-cert and --tls-key"]), *([] if tokens else ["--tokens"])]
    raise SafetyError(
        f"others can reach {host or 'every address'}: give {' and '.join(missing)}, or listen on "
        "127.0.0.1, behind a proxy that has them, or say --insecure"
    )
