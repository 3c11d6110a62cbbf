"""Hashes of the beginnings of a stream: what they are, and that no byte is hashed twice."""

from __future__ import annotations

import pytest

from diffc_server.encoding import prefix_hashes
from diffc_server.encoding.prefix_hashes import PrefixHashes
from diffc_stream.session import PrefixHash

EVERY = 10
DATA = bytes(range(105))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_hashes, "EVERY", EVERY)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that is told how many bytes are hashed, each time."""
    told: list[int] = []
    update = PrefixHash.update

    def noted(self: PrefixHash, data: bytes) -> None:
        told.append(len(data))
        update(self, data)

    monkeypatch.setattr(PrefixHash, "update", noted)
    return told


@pytest.mark.parametrize("lengths", [range(len(DATA) + 1), range(len(DATA), -1, -1)])
def test_they_are_those_of_the_bytes(lengths: range) -> None:
    hashes = PrefixHashes(bytearray(DATA))
    assert [hashes.of(length) for length in lengths] == [
        str(PrefixHash(DATA[:length])) for length in lengths
    ]


def test_bytes_may_be_added() -> None:
    data = bytearray()
    hashes = PrefixHashes(data)
    for length in range(0, len(DATA), 7):
        data += DATA[len(data) : length]
        assert hashes.of(length) == str(PrefixHash(DATA[:length]))


def test_bytes_are_hashed_once_for_all_who_ask(hashed: list[int]) -> None:
    hashes = PrefixHashes(bytearray(DATA))
    hashes.of(len(DATA))
    assert sum(hashed) == len(DATA)
    for length in (*range(len(DATA)), len(DATA)):
        hashed.clear()
        hashes.of(length)
        assert sum(hashed) == length % EVERY


def test_only_a_piece_is_copied_at_once(hashed: list[int]) -> None:
    PrefixHashes(bytearray(DATA)).of(len(DATA))
    assert max(hashed) == EVERY
