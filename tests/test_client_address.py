"""Addresses of senders and pictures."""

from __future__ import annotations

import pytest

from diffc_client import Address
from diffc_stream.errors import AddressError


@pytest.mark.parametrize(
    ("url", "host", "port", "image"),
    [
        ("ws://station", "station", 8765, None),
        ("ws://station/", "station", 8765, None),
        ("ws://station:99/coffee.jpg", "station", 99, "coffee.jpg"),
        ("ws://10.0.0.1:99/a/b%20c.png", "10.0.0.1", 99, "a/b c.png"),
        ("ws://[::1]:99/%E4%BD%A0.png", "::1", 99, "你.png"),
        ("wss://proxy/what%3F%23.png", "proxy", 443, "what?#.png"),
        ("http://store/a.jpg.dfc", "store", 80, "a.jpg.dfc"),
        ("http://store:8765/a.dfc", "store", 8765, "a.dfc"),
        ("https://store/b/a%20b.dfc", "store", 443, "b/a b.dfc"),
    ],
)
def test_addresses(url: str, host: str, port: int, image: str | None) -> None:
    address = Address.parse(url)
    assert (address.host, address.port, address.image) == (host, port, image)
    assert Address.parse(str(address)) == address
    assert address.sender.image is None


@pytest.mark.parametrize(
    ("url", "base", "image", "websocket_path", "shown"),
    [
        ("ws://h/cam1/", "cam1", None, "/cam1/", "/cam1/"),
        ("ws://h/a/b%20c/", "a/b c", None, "/a/b%20c/", "/a/b%20c/"),
        ("ws://h/a//b/c.png", "a", "b/c.png", "/a/", "/a//b/c.png"),
        # One slash: nobody knows yet.
        ("ws://h/a/b/c.png", "", "a/b/c.png", "/a/b/", "/a/b/c.png"),
        ("ws://h/c.png", "", "c.png", "/", "/c.png"),
        ("ws://h", "", None, "/", ""),
        ("http://h/a/", "a", None, "/a/", "/a/"),
    ],
)
def test_senders_below_a_path(
    url: str, base: str, image: str | None, websocket_path: str, shown: str
) -> None:
    address = Address.parse(url)
    assert (address.base, address.image, address.websocket_path) == (base, image, websocket_path)
    assert str(address).partition("h:")[2].lstrip("0123456789") == shown
    assert Address.parse(str(address)) == address
    assert Address.parse(str(address.sender)) == address.sender


def test_what_of_a_path_is_the_senders() -> None:
    asked = Address.parse("ws://h/a/b/c.png")
    assert asked.below("a") == Address.parse("ws://h/a//b/c.png")
    assert asked.alone == Address.parse("ws://h/a/b/c.png/")
    assert Address.parse("ws://h/a/").alone == Address.parse("ws://h/a/")
    assert Address.parse("ws://h").alone == Address.parse("ws://h")


@pytest.mark.parametrize(
    ("url", "plain", "authority", "path"),
    [
        ("ws://station/a b.jpg", False, "station", "/a%20b.jpg"),
        ("wss://station:8765", False, "station:8765", "/"),
        ("http://store/ä/a.dfc", True, "store", "/%C3%A4/a.dfc"),
        ("http://[::1]:8080/a.dfc", True, "[::1]:8080", "/a.dfc"),
        ("https://bücher.example/a.dfc", True, "xn--bcher-kva.example", "/a.dfc"),
        ("https://store:80/a.dfc", True, "store:80", "/a.dfc"),
    ],
)
def test_what_requests_say(url: str, plain: bool, authority: str, path: str) -> None:
    address = Address.parse(url)
    assert (address.plain, address.authority, address.path) == (plain, authority, path)


@pytest.mark.parametrize("zone", ["%25eth0", "%eth0"])
def test_zones_of_addresses_are_for_this_machine_alone(zone: str) -> None:
    address = Address.parse(f"ws://[fe80::1{zone}]:99/a.png")
    assert (address.host, address.authority) == ("fe80::1%eth0", "[fe80::1]:99")
    assert str(address) == "ws://[fe80::1%25eth0]:99/a.png"
    assert Address.parse(str(address)) == address


def test_a_query_is_asked_with_and_not_told() -> None:
    address = Address.parse("https://store/a b.dfc?sig=x%2Fy+z&e=1")
    assert (address.image, address.query) == ("a b.dfc", "sig=x%2Fy+z&e=1")
    assert (address.path, address.target) == ("/a%20b.dfc", "/a%20b.dfc?sig=x%2Fy+z&e=1")
    assert str(address) == "https://store:443/a%20b.dfc"
    assert Address.parse(address.url) == address
    assert address.sender.query == ""
    # Nothing of it ends the line of a request.
    assert Address.parse("http://store/a.dfc?q= x\u2028y").target == "/a.dfc?q=%20x%E2%80%A8y"
    with pytest.raises(AddressError, match="after '\\?'"):
        Address.parse("http://store/a.dfc?" + "x" * 5000)


@pytest.mark.parametrize(
    "url",
    [
        *("", "station", "station:8765", "ftp://station/a", "ws://", "ws:///a", "ws://:99/a"),
        *("ws://station:0x/a", "ws://station:99999/a", "ws://[::1/a", "ws://user@station/a"),
        *("ws://station/../a", "ws://station/a/%2e%2e/b", "ws://station//a", "ws://station/a%00"),
        *("ws://station/a//", "ws://station/../", "ws://station/a//b//c", "http://station/a//b"),
        *("ws://station/a?b", "ws://station/a#b"),
        *("ws://station:0/a", "ws://station/" + "x" * 1001),
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        Address.parse(url)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_what_is_wrong_is_one_line_whatever_the_host() -> None:
    with pytest.raises(AddressError, match="NFKC") as caught:
        Address.parse("ws://h\u2100\u2028x/a")
    assert len(str(caught.value).splitlines()) == 1
