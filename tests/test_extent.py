"""How much of a stream the next one starts from follows from its bytes alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import camera
import pytest
import sources

from diffc_stream.codec import extent as module
from diffc_stream.codec.curve import Curve
from diffc_stream.codec.extent import EXTENT, STEP, USUAL, Extent, Rule

PIXELS = 64 * 64


def promised(stream: bytes, size: int) -> float:
    curve = Curve()
    curve.feed(stream[:size])
    return curve.psnr()[-1]


def extent_of(stream: bytes, *, pieces: Sequence[int] = (), rule: Rule = USUAL) -> int | None:
    extent, done = Extent(rule), 0
    for piece in pieces:
        extent.look(stream[extent.looked : done + piece], complete=False)
        done += piece
        if extent.size is not None:
            return extent.size
    extent.look(stream[extent.looked :], complete=True)
    return extent.size


def test_it_ends_where_it_is_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BPP", 8.0)
    for stream, wanted in product(
        (sources.stream(1500), camera.streams(3)[2]), (18.0, 20.0, 22.0, 24.0)
    ):
        monkeypatch.setattr(module, "REFERENCE_PSNR", wanted)
        whole = len(stream)
        sizes = range(STEP, whole, STEP)
        expected = next((size for size in sizes if promised(stream, size) >= wanted), whole)
        assert extent_of(stream) == expected
        assert extent_of(stream, pieces=(1, 255, 100, 400, 800)) == expected


def test_it_ends_at_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    assert extent_of(sources.stream(1500)) == PIXELS / 2 / 8
    monkeypatch.setattr(module, "MOST_BPP", 1.6)  # 819 bytes
    assert extent_of(sources.stream(1500)) == 3 * STEP
    assert extent_of(sources.stream(1500)[:700]) == 700  # a whole stream may end sooner
    monkeypatch.setattr(module, "MOST_BPP", 0.001)
    assert extent_of(sources.stream(1500)) == STEP


def test_less_is_enough_where_less_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BPP", 8.0)
    stream = sources.stream(1500)
    for wanted in (18.0, 22.0):
        expected = next(n for n in range(STEP, 1500, STEP) if promised(stream, n) >= wanted)
        assert extent_of(stream, rule=Rule(psnr=wanted)) == expected
    assert extent_of(stream, rule=Rule(psnr=99.0)) == extent_of(stream)
    assert extent_of(stream, rule=Rule(bytes=1000)) == 3 * STEP
    assert extent_of(stream, rule=Rule(bytes=1)) == STEP
    rules = [Rule(), Rule(psnr=99.0), Rule(psnr=30.0), Rule(bytes=1000)]
    assert [str(rule).removeprefix(EXTENT) for rule in rules] == [
        *("", "", ", 30 dB", ", 1000 bytes at most")
    ]
