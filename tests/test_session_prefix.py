"""The hash that proves a prefix."""

from __future__ import annotations

import hashlib

from diffc_stream.session import PrefixHash
from diffc_stream.session.fields import Hex
from diffc_stream.session.prefix import DIGITS


def test_the_first_eight_bytes_of_sha_256() -> None:
    assert str(PrefixHash(b"diffc")) == hashlib.sha256(b"diffc").digest()[:8].hex()
    assert str(PrefixHash()) == "e3b0c44298fc1c14"


def test_it_does_not_matter_how_the_bytes_came() -> None:
    data = bytes(range(256))
    running = PrefixHash(data[:10])
    for start in range(10, 256, 7):
        running.update(data[start : start + 7])
        # Asking does not end it.
        assert str(running) == str(PrefixHash(data[: start + 7]))


def test_two_may_go_on_from_the_same_bytes() -> None:
    first = PrefixHash(b"diffc")
    second = first.copy()
    second.update(b"!")
    assert (str(first), str(second)) == (str(PrefixHash(b"diffc")), str(PrefixHash(b"diffc!")))


def test_another_prefix_has_another_hash() -> None:
    data = bytes(100)
    assert len({str(PrefixHash(data[:size])) for size in range(101)}) == 101


def test_messages_take_it() -> None:
    assert Hex(DIGITS).parse(str(PrefixHash(b"diffc")))
