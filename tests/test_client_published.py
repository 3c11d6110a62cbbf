"""The catalogue of a published folder, as any web server may have it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from diffc_client.remote.published import Page, page_of, pages, pictures
from diffc_stream.errors import RemoteProtocolError

PICTURE: dict[str, Any] = {
    "name": "a/b c.jpg",
    "stream": "streams/a/b c.jpg.0.dfc",
    "bytes": 7,
    "time": 8,
    "sha256": "0123456789abcdef" * 4,
    "thumbnail": "-/t.webp",
    "width": 1,
    "height": 2,
}
PAGE: dict[str, Any] = {"path": "-/catalogue/0.json", "pictures": 1, "first": "a/b c.jpg"}


def as_page(**changes: object) -> bytes:
    return json.dumps({"version": 1, "pictures": [PICTURE | changes]}).encode()


def as_root(**changes: object) -> bytes:
    return json.dumps({"version": 1, "pages": [PAGE | changes]}).encode()


def test_what_is_told() -> None:
    [picture] = pictures(as_page(more="of a later version"))
    entry = picture.entry
    assert (entry.name, entry.size, entry.time) == ("a/b c.jpg", 7, 8)
    assert entry.thumbprint == "0123456789abcdef"
    assert picture.stream == "streams/a/b c.jpg.0.dfc"
    assert pages(as_root()) == [Page(path="-/catalogue/0.json", pictures=1, first="a/b c.jpg")]


@pytest.mark.parametrize(
    "changes",
    [
        *({"name": name} for name in ("", "a\nb", "a\\b", 5, None, "x" * 2000)),
        *({"stream": path} for path in ("../a.dfc", "a/../../b", "", None)),
        *({"bytes": size} for size in (-1, 2**60, "7", None)),
        *({"sha256": text} for text in ("0" * 63, "G" * 64, 5)),
        {"time": 1.5},
    ],
)
def test_nonsense_of_a_picture(changes: dict[str, object]) -> None:
    with pytest.raises(RemoteProtocolError):
        pictures(as_page(**changes))


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"null", b"[]", b"{}", b'{"version": 2, "pages": []}', b'{"version": 1}'),
        *(b'{"version": 1, "pages": 5}', b'{"version": 1, "pages": [5]}', b"<html>", b"\xff"),
        *(as_root(path="../x"), as_root(pictures=-1), b"[" * 100_000),
    ],
)
def test_nonsense_of_a_catalogue(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        pages(data)


def test_the_page_of_a_name() -> None:
    found = [Page(path=first, pictures=1, first=first) for first in ("b", "d", "f")]
    named = {name: page_of(found, name) for name in "abcfg"}
    assert {name: page and page.path for name, page in named.items()} == {
        "a": None,
        "b": "b",
        "c": "b",
        "f": "f",
        "g": "f",
    }
