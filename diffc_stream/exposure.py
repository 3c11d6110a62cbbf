"""Who can reach an address: this machine alone, or others."""

from __future__ import annotations

import ipaddress

from diffc_stream.errors import SafetyError


def is_loopback(host: str) -> bool:
    """Tell whether a host's name or number can only mean this machine."""
    name = host.lower().rstrip(".")
    try:
        return ipaddress.ip_address(name.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


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
