"""Who can reach an address."""

from __future__ import annotations

import pytest

from diffc_stream.errors import SafetyError
from diffc_stream.transport.exposure import check_exposure, in_the_clear, is_loopback, neighbourhood


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *((host, True) for host in ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost")),
        *((host, True) for host in ("LOCALHOST.", "a.localhost", "::1%lo")),
        *((host, False) for host in ("0.0.0.0", "::", "", "192.168.1.5", "station")),
        *((host, False) for host in ("localhost.example", "notlocalhost", "127.0.0.1.example")),
    ],
)
def test_loopbacks(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "station"])
def test_others_come_over_tls_with_tokens(host: str) -> None:
    for tls, tokens in [(False, False), (True, False), (False, True)]:
        with pytest.raises(SafetyError, match="--insecure") as caught:
            check_exposure(host, tls=tls, tokens=tokens, insecure=False)
        assert ("--tls-cert" in str(caught.value)) is not tls
        assert ("--tokens" in str(caught.value)) is not tokens
        check_exposure(host, tls=tls, tokens=tokens, insecure=True)
    check_exposure(host, tls=True, tokens=True, insecure=False)
    check_exposure("localhost", tls=False, tokens=False, insecure=False)


@pytest.mark.parametrize(
    ("address", "home"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("::1", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("somebody", "somebody"),
    ],
)
def test_neighbours_are_one(address: str, home: str) -> None:
    assert neighbourhood(address) == home


@pytest.mark.parametrize(
    ("host", "tls", "insecure", "fine"),
    [
        ("station", True, False, True),
        ("station", False, True, True),
        ("127.0.0.1", False, False, True),
        ("station", False, False, False),
        ("", False, False, False),
    ],
)
def test_tokens_are_sent_where_nobody_else_reads_them(
    host: str, tls: bool, insecure: bool, fine: bool
) -> None:
    objection = in_the_clear("ws://it", host, tls=tls, insecure=insecure, better="wss://")
    assert (objection is None) is fine
    assert fine or str(objection).startswith("ws://it is not encrypted, and others could read")
