"""The token that a request shows."""

from __future__ import annotations

import base64

import pytest

from diffc_server.auth.credentials import Credentials, cookie, credentials_of


def basic(text: str) -> str:
    return f"Authorization: Basic {base64.b64encode(text.encode()).decode()}"


def asked(*lines: str, secure: bool = False, own: bool = True) -> Credentials | None:
    found: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        found.setdefault(name, []).append(value)
    return credentials_of(lambda name: found.get(name, []), secure=secure, own=own)


@pytest.mark.parametrize(
    ("lines", "token"),
    [
        ((), None),
        (("Authorization: Bearer abc",), "abc"),
        (("Authorization: bearer  abc ",), "abc"),
        (("Authorization: Bearer",), ""),
        (("Authorization: Digest abc",), None),
        ((basic("me:abc"),), "abc"),
        ((basic(":abc"),), "abc"),
        ((basic("me:a:b"),), "a:b"),
        ((basic("abc"),), ""),
        (("Authorization: Basic !",), ""),
        (("Authorization: Basic /w==",), ""),
        (("Authorization: Basic bWU6é",), ""),
        (("Cookie: other=1; diffc=abc",), "abc"),
        (("Cookie: other=1", "Cookie: diffc=abc"), "abc"),
        (("Cookie: xdiffc=abc; diffcx=abc",), None),
        (("Sec-WebSocket-Protocol: diffc-stream.v1, bearer.abc",), "abc"),
        (("Sec-WebSocket-Protocol: diffc-stream.v1", "Sec-WebSocket-Protocol: bearer.a"), "a"),
        (("Sec-WebSocket-Protocol: diffc-stream.v1",), None),
        # What was asked for counts more than what is remembered.
        (("Cookie: diffc=old", basic("me:new")), "new"),
        (("Cookie: diffc=old", "Sec-WebSocket-Protocol: bearer.new"), "new"),
    ],
)
def test_where_it_is(lines: tuple[str, ...], token: str | None) -> None:
    found = asked(*lines)
    assert (found.token if found is not None else None) == token


def test_what_a_browser_adds_by_itself_is_for_our_own_pages() -> None:
    for line in ("Cookie: diffc=abc", basic("me:abc")):
        assert asked(line, own=False) is None
    for line in ("Authorization: Bearer abc", "Sec-WebSocket-Protocol: x, bearer.abc"):
        assert asked(line, own=False) == Credentials(token="abc")


def test_a_password_is_known_as_one() -> None:
    assert asked(basic("me:abc")) == Credentials(token="abc", password=True)


def test_cookies() -> None:
    plain, secure = cookie("abc", secure=False), cookie("abc", secure=True)
    assert plain == "diffc=abc; Path=/; HttpOnly; SameSite=Strict"
    assert secure == "__Host-diffc=abc; Path=/; HttpOnly; SameSite=Strict; Secure"
    assert asked("Cookie: __Host-diffc=abc", secure=True) == Credentials(token="abc")
    assert asked("Cookie: diffc=abc", secure=True) is None
    for bad in ("", "a;b", "a b", "a\r\nb"):
        with pytest.raises(ValueError, match="no token"):
            cookie(bad, secure=True)


def test_long_ones_are_cut() -> None:
    found = asked(f"Authorization: Bearer {'a' * 8000}")
    assert found is not None
    assert len(found.token) < 2048
