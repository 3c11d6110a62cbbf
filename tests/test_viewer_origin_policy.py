"""Who may ask."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from diffc_viewer import OriginPolicy
from diffc_viewer.origin_policy import own_names

OURS = "Host: station:8765"
REFUSED, ELSEWHERE = HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST


def asked(
    *fields: str,
    path: str = "/a.png.dfc",
    local: bool = False,
    old: bool = False,
    socket: bool = False,
    pages: bool = True,
    origins: tuple[str, ...] = (),
    secure: bool = False,
    strict: bool = False,
) -> HTTPStatus | None:
    found: dict[str, list[str]] = {}
    for field in fields:
        name, _, value = field.partition(": ")
        found.setdefault(name, []).append(value)
    origin_policy = OriginPolicy(
        names=["station"], pages=pages, origins=origins, secure=secure, strict=strict
    )
    return origin_policy.refusal(
        lambda name: found.get(name, []), path=path, local=local, old=old, socket=socket
    )


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((OURS, "Origin: http://station:8765"), None),
        ((OURS, "Origin: https://STATION:8765"), None),
        (("Host: 192.168.1.5", "Origin: http://192.168.1.5"), None),
        (("Host: [::1]:8765", "Origin: http://[::1]:8765"), None),
        ((OURS, "Origin: http://station"), REFUSED),
        ((OURS, "Origin: http://station:80"), REFUSED),
        ((OURS, "Origin: ftp://station:8765"), REFUSED),
        ((OURS, "Origin: station:8765"), REFUSED),
        ((OURS, "Origin: null"), REFUSED),
        ((OURS, "Origin: "), REFUSED),
        ((OURS, "Origin: https://example.org"), REFUSED),
        ((OURS, "Origin: http://station:8765", "Origin: https://example.org"), REFUSED),
        ((OURS, "Origin: http://station:8765", "Sec-Fetch-Site: cross-site"), REFUSED),
        (("Host: example.org:8765", "Origin: http://example.org:8765"), ELSEWHERE),
        (("Host: example.org:8765", "Sec-Fetch-Site: same-origin"), ELSEWHERE),
        ((OURS, "Sec-Fetch-Site: same-origin"), None),
        ((OURS, "Sec-Fetch-Site: same-site"), REFUSED),
        ((OURS, "Sec-Fetch-Site: cross-site"), REFUSED),
        ((OURS, "Sec-Fetch-Site: none"), None),
        ((OURS,), None),
        ((), HTTPStatus.BAD_REQUEST),
        ((OURS, OURS), HTTPStatus.BAD_REQUEST),
    ],
)
def test_pages(fields: tuple[str, ...], status: HTTPStatus | None) -> None:
    assert asked(*fields) == status
    assert asked(*fields, local=True) == status


def test_names_that_only_a_page_uses_are_looked_at() -> None:
    # A receiver may have any name for this machine; on the loopback there are few.
    assert asked("Host: example.org") is None
    assert asked("Host: example.org", local=True) is ELSEWHERE
    # Whoever opens the page under another name would find that nothing of it works.
    assert asked("Host: example.org", path="/") is ELSEWHERE
    assert asked("Host: example.org", path="/-/viewer.json") is ELSEWHERE
    assert asked("Host: example.org", path="/", pages=False) is None


def test_other_sites_may_link_to_the_page_and_no_more() -> None:
    visit = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
    assert asked(OURS, *visit, path="/") is None
    assert asked(OURS, *visit, path="/-/page/main.js") is REFUSED
    assert asked(OURS, *visit, path="/a.png.dfc") is REFUSED
    assert asked(OURS, *visit[:2], "Sec-Fetch-Dest: iframe", path="/") is REFUSED
    assert asked(OURS, *visit, path="/", pages=False) is REFUSED


def test_without_pages_all_are_refused() -> None:
    assert asked(OURS, "Origin: http://station:8765", pages=False) is REFUSED
    assert asked(OURS, "Sec-Fetch-Site: same-origin", pages=False) is REFUSED
    assert asked(OURS, "Sec-Fetch-Site: none", pages=False) is None


def test_of_a_websocket_the_origin_alone_counts() -> None:
    assert (
        asked(OURS, "Origin: http://station:8765", "Sec-Fetch-Site: cross-site", socket=True)
        is None
    )
    assert asked(OURS, "Origin: http://station", socket=True) is REFUSED


def test_a_websocket_without_an_origin_is_no_page() -> None:
    for local in (True, False):
        assert asked("Host: example.org", path="/", local=local, socket=True) is None
        bent = ("Host: example.org:1", "Origin: http://example.org:1")
        assert asked(*bent, path="/", local=local, socket=True) is ELSEWHERE


def test_some_other_sites_may_open_websockets() -> None:
    friend = "https://friend.example"
    for origin in (friend, "https://FRIEND.example"):
        field = f"Origin: {origin}"
        assert asked(OURS, field, origins=(friend,), socket=True) is None
        assert asked(OURS, field, origins=(friend,), socket=True, pages=False) is None
        assert asked(OURS, field, origins=(friend,)) is REFUSED
    for origin in ("http://friend.example", "https://friend.example:1", "https://x.friend.example"):
        assert asked(OURS, f"Origin: {origin}", origins=(friend,), socket=True) is REFUSED
    both = (f"Origin: {friend}", "Origin: https://evil.example")
    assert asked(OURS, *both, origins=(friend,), socket=True) is REFUSED


def test_over_tls_a_page_of_ones_own_came_over_it() -> None:
    assert asked(OURS, "Origin: https://station:8765", secure=True) is None
    assert asked(OURS, "Origin: http://station:8765", secure=True) is REFUSED
    assert asked(OURS, "Origin: http://station:8765", secure=True, socket=True) is REFUSED


def test_strictly_programs_too_call_this_machine_by_its_name() -> None:
    for socket in (True, False):
        assert asked(OURS, strict=True, socket=socket) is None
        assert asked("Host: 192.168.1.5", strict=True, socket=socket) is None
        assert asked("Host: example.org", strict=True, socket=socket) is ELSEWHERE


def test_requests_of_old_need_not_say_the_host() -> None:
    assert asked(old=True, local=True) is None
    assert asked("Origin: http://", old=True) is REFUSED


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("localhost.", True),
        ("diffc.localhost:8765", True),
        ("127.0.0.1:8765", True),
        ("[::1]:8765", True),
        ("Station", True),
        ("station.:1", True),
        ("station.example", False),
        ("localhost.example", False),
        ("notlocalhost", False),
        ("user@localhost", False),
        ("localhost;x", False),
        ("localhost/", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_names(host: str, own: bool) -> None:
    assert OriginPolicy(names=["STATION."]).is_own(host) is own


def test_this_machine_has_names() -> None:
    assert all(OriginPolicy(names=own_names()).is_own(name) for name in own_names())
