"""The integer Zipf code: no loss to speak of, the same bytes everywhere, any prefix of use."""

from itertools import accumulate
from math import e, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from diffc_stream.channel import zipf
from diffc_stream.errors import MissingPackage

constriction = pytest.importorskip("constriction")

Integers = NDArray[np.int64]


def some_numbers(count: int, bits: int, seed: int = 0) -> Integers:
    spread = 2.0 ** np.random.default_rng(seed).uniform(0, bits, count)
    numbers: Integers = np.minimum(spread.astype(np.int64), 2**bits - 1)
    return numbers


def coded(numbers: Integers, bits: int, decay: int) -> bytes:
    writer = zipf.Writer()
    for number in numbers.tolist():
        writer.number(number, bits, decay)
    return writer.finish()


def arrived(code: bytes, count: int, bits: int, decay: int) -> list[int]:
    reader, numbers = zipf.Reader(code), list[int]()
    while len(numbers) < count and (number := reader.number(bits, decay)) is not None:
        numbers.append(number)
    return numbers


@pytest.mark.parametrize(("information", "bits"), [(2, 10), (4, 14), (8, 14), (14, 16)])
def test_loss_against_the_ideal_zipf_code(information: int, bits: int) -> None:
    numbers = np.arange(1, 2**bits)
    share = numbers ** -(1 + 1 / (information + log2(e) / e + 1))
    share /= share.sum()
    entropy = -float(share @ np.log2(share))
    plain = np.maximum(0, (zipf.half_octaves(numbers) - 1) // 2)
    spent = [
        float(share @ (24 - np.log2(zipf.frequencies(bits, decay))[zipf.half_octaves(numbers)]))
        for decay in zipf.DECAYS
    ]
    assert 0 < min(spent) + float(share @ plain) - entropy < 0.012


@pytest.mark.parametrize("decay", [zipf.DECAYS[0], 60, zipf.DECAYS[-1]])
@pytest.mark.parametrize("bits", [2, 3, 14, zipf.MAX_BITS])
def test_constriction_takes_the_frequencies_as_they_are(bits: int, decay: int) -> None:
    frequencies = zipf.frequencies(bits, decay)
    assert sum(frequencies) == 2**24
    assert min(frequencies) > 0
    # A decoder's first symbol is the one whose share of 2^24 holds the word's place in its range.
    for half, edge in enumerate(accumulate(frequencies[:-1])):
        for place, expected in ((edge - 1, half), (edge, half + 1)):
            word = place * ((2**64 - 1) >> 24)
            reader = zipf.Reader(word.to_bytes(8, "big"))
            number = reader.number(bits, decay)
            assert number is None or zipf.half_octaves(np.array([number]))[0] == expected
            decoder = constriction.stream.queue.RangeDecoder(
                np.array([word >> 32, word & 0xFFFFFFFF, 0], np.uint32)
            )
            assert decoder.decode(zipf._model(bits, decay)) == expected


@pytest.mark.parametrize(("bits", "decay"), [(2, 32), (7, 50), (14, 62), (24, 94)])
def test_numbers_come_back_and_cost_what_was_said(bits: int, decay: int) -> None:
    numbers = some_numbers(500, bits)
    numbers[:3] = 1, 2**bits - 1, 2
    code = coded(numbers, bits, decay)
    assert arrived(code, 500, bits, decay) == numbers.tolist()
    said = zipf.code_length(numbers, bits, decay)
    assert said / 8 <= len(code) <= said / 8 + 1.3


def test_a_single_number_is_as_short_as_can_be() -> None:
    assert coded(np.array([1]), 14, 60) == b"\x00"
    assert [len(coded(np.array([number]), 14, 60)) for number in (2, 100, 16_383)] == [1, 2, 3]


def test_every_prefix_decodes_to_the_first_numbers_at_once() -> None:
    numbers = some_numbers(60, 14)
    code = coded(numbers, 14, 60)
    ends = [zipf.code_length(numbers[: i + 1], 14, 60) for i in range(60)]
    for size in range(len(code) + 1):
        found = arrived(code[:size], 60, 14, 60)
        assert found == numbers[: len(found)].tolist()
        assert len(found) >= sum(end <= 8 * size - 16 for end in ends)
        for follow in (b"\x00" * 9, b"\xff" * 9, b"\x5a\xa5\x0f\xf0\x80"):
            assert arrived(code[:size] + follow, 60, 14, 60)[: len(found)] == found


@settings(deadline=None, max_examples=200, derandomize=True)
@given(st.binary(max_size=40), st.integers(2, zipf.MAX_BITS), st.sampled_from(list(zipf.DECAYS)))
def test_garbage_decodes_to_numbers_in_range(code: bytes, bits: int, decay: int) -> None:
    numbers = arrived(code, 1_000, bits, decay)
    assert len(numbers) <= 16 * len(code) + 2
    assert all(1 <= number < 2**bits for number in numbers)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.integers(1, 2**14 - 1), max_size=30), st.integers(0, 255))
def test_any_numbers_come_back(numbers: list[int], value: int) -> None:
    writer = zipf.Writer()
    writer.uniform(value, 256)
    for number in numbers:
        writer.number(number, 14, 56)
    reader = zipf.Reader(writer.finish())
    assert reader.uniform(256) == value
    assert [reader.number(14, 56) for _ in numbers] == numbers


def test_the_best_decay_is_the_cheapest() -> None:
    numbers = some_numbers(200, 14)
    best = zipf.best_decay(numbers, 14)
    lengths = [zipf.code_length(numbers, 14, decay) for decay in zipf.DECAYS]
    assert zipf.code_length(numbers, 14, best) == min(lengths)


def test_bytes_are_pinned() -> None:
    code = coded(np.array([1, 2, 3, 4, 7, 100, 5_000, 16_383, 1, 1, 300]), 14, 60)
    assert code.hex() == PINNED


def test_without_constriction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "constriction", None)
    with pytest.raises(MissingPackage, match=r"pip install 'diffc-stream\[exact\]'"):
        zipf.Writer()


PINNED = "05861a4e06dc3e26b911e6"
