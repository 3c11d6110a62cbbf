"""What a stream gives for its bytes, told without decoding it."""

from __future__ import annotations

import itertools
import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sources import SOURCE, independent, model, picture, stream

from diffc_stream.codec import Curve, Decoder, Encoder
from diffc_stream.codec.curve import MOST_STEPS
from diffc_stream.container import (
    Check,
    Header,
    Kind,
    Payload,
    Simulator,
    Step,
    StreamReader,
    StreamWriter,
)
from diffc_stream.container.grammar import Before, segments
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.analytic import GaussianSource
from diffc_stream.metrics import psnr

HEADER = Header(model="0f0f0f0f", width=150, height=100, seed=1)
SEEDS = range(4)


def fed(data: bytes) -> Curve:
    curve = Curve()
    curve.feed(data)
    return curve


@cache
def whole(seed: int = 0) -> bytes:
    """Return all of the stream of ``picture(seed)``."""
    return b"".join(Encoder(picture(seed), model(), seed=seed))


@cache
def of_noise(height: int, width: int, target: int = 3000) -> bytes:
    """Return a stream of a picture of any size, all of whose octaves are opened in it."""
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return b"".join(Encoder(values, independent(), target_bytes=target))


def written(steps: list[Step], *, checks: bool = False) -> tuple[bytes, list[int]]:
    """Return a stream of these steps, and where header and steps end, says who wrote it."""
    writer, noise = StreamWriter(), random.Random(0)
    data, ends = writer.header(HEADER), [writer.written]
    for step in steps:
        data += writer.step(step, noise.randbytes(step.length))
        data += writer.check() if checks else b""
        ends.append(writer.written)
    return data, ends


def refine(length: int = 40, code: int = 54, simulator: Simulator = Simulator.TRELLIS) -> Step:
    return Step(kind=Kind.REFINE, length=length, delta_code=code, simulator=simulator)


def opening(length: int = 40, simulator: Simulator = Simulator.TRELLIS) -> Step:
    return Step(kind=Kind.OPEN, length=length, simulator=simulator)


def parsed(data: bytes) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Return where header and steps end, where segments do, and (octave, place) of openings."""
    place, before, left = 0, Before(), [0]
    offsets: list[int] = []
    boundaries: list[int] = []
    opened: list[tuple[int, int]] = []
    octave = 0
    for event in StreamReader().feed(data):
        match event:
            case Header():
                octave = len(octaves.sizes(event.height, event.width)) - 1
                place += len(event.encode())
                offsets.append(place)
                boundaries.append(place)
            case Step():
                if event.kind is Kind.OPEN:
                    octave -= 1
                    opened.append((octave, place))
                place += len(event.encode(before))
                before, left = before.after(event), list(segments(event.length))
            case Payload():
                place += len(event.data)
                if len(event.data) == left[0]:
                    left.pop(0)
                    boundaries.append(place)
                    offsets += [place] if not left else []
            case Check():
                place += 3
                for places in (offsets, boundaries):
                    places[-1] += 3 if places[-1] == place - 3 else 0
    return offsets, boundaries, opened


@pytest.mark.parametrize("data", [whole(), stream(1500), of_noise(100, 150), of_noise(33, 16)])
def test_steps_and_segments_end_where_they_do(data: bytes) -> None:
    curve = fed(data)
    offsets, boundaries, _ = parsed(data)
    assert (curve.offsets, curve.boundaries) == (offsets, boundaries)
    assert len(curve.psnr()) == len(offsets) > 5


@pytest.mark.parametrize("checks", [False, True])
def test_checks_belong_to_what_they_follow(checks: bool) -> None:
    steps = [refine(), refine(600), opening(700), refine(1100), refine(1), refine(490)]
    data, ends = written(steps, checks=checks)
    curve = fed(data)
    assert curve.offsets == ends
    assert set(ends) <= set(curve.boundaries)
    # Two or three segments in three of them.
    assert len(curve.boundaries) == len(ends) + 1 + 1 + 2
    assert curve.boundaries == parsed(data)[1]
    assert curve.boundaries[-1] == len(data)


def test_any_prefix_knows_what_is_in_it() -> None:
    data = stream(1500)
    curve = Curve()
    ends = [len(fed(data[:place]).offsets) for place in range(len(data))]
    assert ends == sorted(ends)
    for place, byte in enumerate(data):
        curve.feed(bytes([byte]))
        assert all(offset <= place + 1 for offset in (*curve.offsets, *curve.boundaries))
        assert len(curve.psnr()) == len(curve.offsets)
        assert curve.boundaries == sorted(set(curve.boundaries))
    assert curve.offsets == fed(data).offsets


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 900), max_size=20))
def test_it_does_not_matter_how_the_stream_was_cut(sizes: list[int]) -> None:
    data, place = whole(), 0
    curve, at_once = Curve(), fed(whole())
    for size in [*sizes, len(data)]:
        curve.feed(data[place : place + size])
        curve.psnr()  # what was told before is not remembered
        place += size
    assert curve.offsets == at_once.offsets
    assert curve.boundaries == at_once.boundaries
    assert curve.psnr() == at_once.psnr()
    assert [curve.opening(side) for side in range(1, 65)] == [
        at_once.opening(side) for side in range(1, 65)
    ]


def test_nothing_is_known_before_the_header() -> None:
    curve = fed(whole()[:10])
    assert (curve.offsets, curve.boundaries, curve.psnr()) == ([], [], [])
    assert curve.opening(1) is None


@pytest.mark.parametrize("seed", SEEDS)
def test_in_the_newest_state_it_foresees_what_a_decoder_does(seed: int) -> None:
    data = whole(seed)
    decoder, place, compared = Decoder([model()]), 0, 0
    for offset in fed(data).offsets[1:]:
        decoder.feed(data[place:offset])
        place = offset
        *before, newest = fed(data[:offset]).psnr()
        predicted = decoder.render().predicted_psnr
        assert newest >= predicted - 1e-9
        # Not less than what was there before.
        if newest > before[-1]:
            assert newest == pytest.approx(predicted, abs=1e-9)
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("seed", SEEDS)
def test_in_hindsight_it_is_near_the_truth(seed: int) -> None:
    data = whole(seed)
    curve, decoder, place = fed(data), Decoder([model()]), 0
    errors, foreseen = [], []
    for offset, told in zip(curve.offsets[1:], curve.psnr()[1:], strict=True):
        decoder.feed(data[place:offset])
        place = offset
        rendering = decoder.render()
        true = psnr(rendering.image, picture(seed))
        errors.append(told - true)
        foreseen.append(rendering.predicted_psnr - true)
    assert np.mean(np.abs(errors)) < 0.3
    assert np.max(np.abs(errors)) < 1.0
    # Who has the steps that follow knows more than who must foresee them.
    assert np.mean(np.abs(errors)) < np.mean(np.abs(foreseen))


def test_quality_never_falls() -> None:
    for seed in SEEDS:
        told = fed(whole(seed)).psnr()
        assert all(b >= a for a, b in itertools.pairwise(told))
        assert told[0] > 5
        assert told[-1] > told[0] + 15


@pytest.mark.parametrize(("height", "width"), [(100, 150), (150, 100), (65, 33), (64, 64)])
def test_an_octave_opens_if_the_coarser_one_is_too_small(height: int, width: int) -> None:
    data = of_noise(height, width)
    curve = fed(data)
    sizes, opened = octaves.sizes(height, width), parsed(data)[2]
    assert [octave for octave, _ in opened] == list(range(len(sizes) - 1))[::-1]
    for side in (1, *range(5, max(height, width) + 20)):
        useless = [place for octave, place in opened if max(sizes[octave + 1]) >= side]
        assert curve.opening(side) == (useless[0] if useless else None)
    # One pixel has a use for the coarsest octave only, more than half of them for all.
    assert curve.opening(1) == opened[0][1]
    assert curve.opening(max(height, width)) is None
    assert curve.opening(-(-max(height, width) // 2)) == opened[-1][1]
    assert curve.opening(-(-max(height, width) // 2) + 1) is None


def test_what_comes_before_an_opening_shows_a_picture_of_that_side() -> None:
    data = whole()
    for side in (16, 32):
        end = fed(data).opening(side)
        assert end is not None
        decoder = Decoder([model()])
        decoder.feed(data[:end])
        assert decoder.observation().shape == (64, 64, 3)
        # The octave of that side and no finer one: its pixels are blocks.
        small = decoder.observation()[:: 64 // side, :: 64 // side]
        blocks = small.repeat(64 // side, axis=0).repeat(64 // side, axis=1)
        assert np.array_equal(decoder.observation(), blocks)


def test_an_opening_is_known_once_it_has_begun() -> None:
    data = whole()
    place = fed(data).opening(16)
    assert place is not None
    assert fed(data[:place]).opening(16) is None
    assert fed(data[: place + 1]).opening(16) == place


def test_a_picture_of_one_octave_has_no_openings() -> None:
    source = GaussianSource(height=16, width=16)
    data = b"".join(Encoder(picture(0, source), model(source), target_bytes=300))
    curve = fed(data)
    assert len(curve.offsets) > 3
    assert curve.opening(1) is None


@pytest.mark.parametrize("simulator", Simulator)
def test_streams_of_every_simulator(simulator: Simulator) -> None:
    steps = [refine(30, simulator=simulator), opening(60, simulator), refine(90, 50, simulator)]
    data, ends = written(steps)
    curve = fed(data)
    assert curve.offsets == ends
    assert all(b >= a for a, b in itertools.pairwise(curve.psnr()))


@pytest.mark.parametrize(
    "steps",
    [
        [opening()],  # before anything is known of the octave observed
        [refine()] + [opening()] * 4,  # there are three to open
    ],
)
def test_steps_that_cannot_be_end_the_curve(steps: list[Step]) -> None:
    data, ends = written(steps)
    curve = fed(data + b"more")
    assert curve.offsets == ends[:-1]
    curve.feed(b"still more")
    assert curve.offsets == ends[:-1]
    assert len(curve.psnr()) == len(ends) - 1


@pytest.mark.parametrize("place", [0, 5, 20, 60, 400, 900])
def test_damage_ends_the_curve_at_the_next_check(place: int) -> None:
    data = bytearray(stream(1500))
    data[place] ^= 0x55
    sound, curve = fed(stream(1500)), fed(bytes(data))
    assert len(curve.offsets) <= len(sound.offsets)
    assert len(curve.psnr()) == len(curve.offsets)
    before = [offset for offset in sound.offsets if offset <= place - 520]
    assert curve.offsets[: len(before)] == before


any_step = st.builds(
    Step,
    kind=st.sampled_from(Kind),
    simulator=st.sampled_from(Simulator),
    length=st.one_of(st.integers(1, 40), st.integers(1, 2000)),
    delta_code=st.integers(0, 255),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(any_step, max_size=12),
    st.integers(1, 65_535),
    st.integers(1, 65_535),
    st.binary(max_size=40),
)
def test_whatever_comes_raises_nothing(
    steps: list[Step], width: int, height: int, junk: bytes
) -> None:
    writer = StreamWriter()
    data = writer.header(Header(model="0f0f0f0f", width=width, height=height, seed=0))
    for step in steps:
        data += writer.step(step, bytes(step.length))
    curve = Curve()
    for start in range(0, len(data + junk), 700):
        curve.feed((data + junk)[start : start + 700])
        told = curve.psnr()
        assert len(told) == len(curve.offsets)
        assert all(b >= a for a, b in itertools.pairwise(told))
        assert all(0.0 <= decibels < 200.0 for decibels in told)
        curve.opening(500)
    assert curve.offsets == sorted(set(curve.offsets))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_no_bytes_raise_anything(junk: bytes) -> None:
    assert len(fed(junk).psnr()) <= 1
    curve = fed(SOURCE_HEADER + junk)
    assert len(curve.psnr()) == len(curve.offsets) >= 1


SOURCE_HEADER = Header(model=SOURCE.fingerprint, width=64, height=64, seed=0).encode()


def test_asking_early_changes_nothing() -> None:
    """What was said of a place is revised when later steps tell more of it."""
    data = whole()
    asked, curve = Curve(), Curve()
    for place in range(0, len(data), 7):
        asked.feed(data[place : place + 7])
        asked.psnr()
    curve.feed(data)
    assert asked.psnr() == curve.psnr()


def test_nonsense_of_a_million_steps_is_not_followed() -> None:
    data, ends = written([refine(1)] * (MOST_STEPS + 100), checks=True)
    curve = fed(data)
    curve.feed(data)
    assert len(curve.psnr()) == len(curve.offsets) == MOST_STEPS + 1
    assert curve.offsets[:-1] == ends[:MOST_STEPS]


def test_where_a_quality_is_reached() -> None:
    curve = fed(whole())
    qualities = curve.psnr()
    assert Curve().reaching(10.0) is None
    assert curve.reaching(0.0) == curve.offsets[1]  # after the header there is no picture yet
    assert curve.reaching(qualities[-1] + 0.1) is None
    for place in range(2, len(qualities)):
        if qualities[place] > qualities[place - 1]:
            assert curve.reaching(qualities[place]) == curve.offsets[place]
