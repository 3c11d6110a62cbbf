"""Which proxy the environment names."""

from __future__ import annotations

import pytest

from diffc_stream.errors import AddressError
from diffc_stream.transport.proxies import proxy_for

EVERYWHERE = {"all_proxy": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("scheme", "environment", "found"),
    [
        ("http", {"http_proxy": "http://a:1"}, ("http", "a", 1)),
        ("http", {"HTTP_PROXY": "http://a:1"}, ("http", "a", 1)),
        ("http", {"http_proxy": "http://a:1", "HTTP_PROXY": "http://b:2"}, ("http", "a", 1)),
        ("http", {"http_proxy": "", "all_proxy": "http://b:2"}, ("http", "b", 2)),
        ("http", {"https_proxy": "http://a:1"}, None),
        # The header Proxy of a request is that to a CGI.
        ("http", {"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, None),
        ("https", {"https_proxy": "https://a"}, ("https", "a", 443)),
        ("https", {"HTTPS_PROXY": "http://a"}, ("http", "a", 80)),
        ("ws", {"http_proxy": "http://a:1"}, ("http", "a", 1)),
        ("ws", {"ws_proxy": "http://b:2", "http_proxy": "http://a:1"}, ("http", "b", 2)),
        ("wss", {"https_proxy": "a:1"}, ("http", "a", 1)),
        ("wss", {"http_proxy": "http://a:1"}, None),
        ("wss", {"all_proxy": "socks5://a:1080"}, ("socks5", "a", 1080)),
        ("ws", {"ALL_PROXY": "socks://[::1]:1080/"}, ("socks5h", "::1", 1080)),
        ("ws", {}, None),
    ],
)
def test_by_scheme(
    scheme: str, environment: dict[str, str], found: tuple[str, str, int] | None
) -> None:
    proxy = proxy_for(scheme, "station.example", 80, environment)
    assert (None if proxy is None else (proxy.scheme, proxy.host, proxy.port)) == found


@pytest.mark.parametrize(
    ("said", "user"),
    [
        ("http://me:se%40cret@a:1", ("me", "se@cret")),
        ("http://me@a:1", ("me", "")),
        ("http://a:1", None),
    ],
)
def test_who_asks(said: str, user: tuple[str, str] | None) -> None:
    proxy = proxy_for("http", "station", 80, {"http_proxy": said})
    assert proxy is not None
    assert proxy.user_info == user


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "::1", "fe80::1%eth0"])
def test_this_machine_and_its_wires_are_reached_without(host: str) -> None:
    assert proxy_for("http", host, 80, EVERYWHERE) is None


@pytest.mark.parametrize(
    ("host", "spared", "without"),
    [
        ("station.example", "example", True),
        ("station.example", ".example", True),
        ("station.example", "*.example", True),
        ("Station.Example.", "other, STATION.example ,", True),
        ("example", ".example", True),
        ("station.example", "ample", False),
        ("station.example", "*", True),
        ("station.example", "station.example:8765", True),
        ("station.example", "station.example:80", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:8765", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]:8765", True),
        ("station.example", "10.0.0.0/8", False),
        ("station.example", "[:, a:b, :1, .", False),
        ("station.example", "", False),
    ],
)
def test_what_is_reached_without(host: str, spared: str, without: bool) -> None:
    environment = {**EVERYWHERE, "no_proxy": spared}
    assert (proxy_for("ws", host, 8765, environment) is None) == without
    del environment["no_proxy"]
    assert (proxy_for("ws", host, 8765, environment | {"NO_PROXY": spared}) is None) == without


@pytest.mark.parametrize(
    "said",
    ["ftp://me:secret@a", "http://me:secret@a/path", "http://me:secret@a:b", "http://me:secret@"],
)
def test_what_is_no_proxy_is_told_without_its_password(said: str) -> None:
    with pytest.raises(AddressError, match="http_proxy in the environment") as caught:
        proxy_for("http", "station", 80, {"http_proxy": said})
    assert "secret" not in str(caught.value)
