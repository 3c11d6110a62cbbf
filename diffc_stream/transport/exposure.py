"""Who can reach an address: this machine alone, or others."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from diffc_stream.errors import SafetyError


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or number can only mean this machine."""
    name = host.lower().rstrip(".")
    try:
        return ipaddress.ip_address(name.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


@lru_cache(4096)
def neighbourhood(address: str) -> str:
    """Return what of an address stands for whoever has it: of IPv6 the first 64 bits."""
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
    """Return why no token may be sent to ``where``, on ``host``; None if it may.

    Others could read it on the way, unless TLS protects it, or somebody has said that it is
    ``insecure`` and meant it.  ``better`` says which addresses would do.
    """
    if tls or insecure or is_loopback(host):
        return None
    return (
        f"{where} is not encrypted, and others could read the token: say {better}, or --insecure "
        "if nobody else is on the way"
    )


def check_exposure(host: str, *, tls: bool, tokens: bool, insecure: bool) -> None:
    """Raise SafetyError if listening on ``host`` would show pictures to whoever comes by.

    Others may come only over TLS and with tokens, unless somebody has said that it is ``insecure``
    and meant it.
    """
    if is_loopback(host) or (tls and tokens) or insecure:
        return
    missing = [*([] if tls else ["--tls-cert and --tls-key"]), *([] if tokens else ["--tokens"])]
    raise SafetyError(
        f"others can reach {host or 'every address'}: give {' and '.join(missing)}, or listen on "
        "127.0.0.1, behind a proxy that has them, or say --insecure"
    )
