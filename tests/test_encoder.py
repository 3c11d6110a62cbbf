"""The sender's half: targets met, bytes on time, honest accounts."""

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from encoded import kinds, shown_psnr
from sources import by_scale, independent, model, odd_picture, picture, stream

from diffc_stream.codec import Decoder, Encoder, Schedule
from diffc_stream.codec.schedule import SHAPED
from diffc_stream.container import Header, Kind, Payload, Simulator, Step, StreamReader, verified
from diffc_stream.diffusion.analytic import GaussianSource
from diffc_stream.errors import PictureTooLarge, TargetError
from diffc_stream.metrics import psnr


@pytest.mark.parametrize("target", [24, 60, 100, 201, 333, 500, 1000, 1001, 1002, 2500, 4000])
def test_a_byte_target_is_where_the_whole_stream_is_cut(target: int) -> None:
    encoder = Encoder(picture(), model(), target_bytes=target)
    data = b"".join(encoder)
    assert len(data) == encoder.written == target
    assert stream(None).startswith(data) or kinds(data) != kinds(stream(None)[:target])
    assert encoder.report().psnr == pytest.approx(shown_psnr(data))


def test_every_target_around_the_end_of_a_step_is_met() -> None:
    values = np.random.default_rng(5).integers(0, 256, (12, 10, 3), np.uint8)
    end = len(b"".join(Encoder(values, independent()))) - 3
    for target in range(end - 8, end + 3):
        data = b"".join(Encoder(values, independent(), target_bytes=target))
        assert target - 2 <= len(data) <= target
        assert verified(data) == (data, None)


def test_an_opening_that_would_hardly_begin_gives_way_to_refinement() -> None:
    source = GaussianSource(height=128, width=128)
    whole = b"".join(Encoder(picture(0, source), model(source), target_bytes=2000))
    reader = StreamReader()
    openings = [
        (reader.began, event.length)
        for event in reader.feed(whole)
        if isinstance(event, Step) and event.kind is Kind.OPEN
    ]
    begins, length = openings[-1]
    for share, kind in ((0.4, Kind.REFINE), (0.98, Kind.OPEN)):
        target = begins + 1 + round(share * length)
        data = b"".join(Encoder(picture(0, source), model(source), target_bytes=target))
        assert len(data) == target
        assert data[:begins] == whole[:begins]
        assert kinds(data)[-1] is kind


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (64, 3), (17, 40)])
def test_small_and_narrow_pictures_reach_their_top_quality(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    encoder = Encoder(values, independent(), target_bytes=None)
    decoder = Decoder([independent()])
    for piece in encoder:
        decoder.feed(piece)
    assert decoder.render().image.shape == values.shape
    assert psnr(decoder.render().image, values) > 30


@pytest.mark.parametrize("simulator", [Simulator.PFR, Simulator.DITHER])
def test_streams_of_exact_simulators_decode_from_any_prefix(simulator: Simulator) -> None:
    pytest.importorskip("constriction")
    encoder = Encoder(picture(), model(), target_bytes=90, simulator=simulator)
    data = b"".join(encoder)
    assert len(data) == 90
    steps = [event for event in StreamReader().feed(data) if isinstance(event, Step)]
    assert {step.simulator for step in steps} == {simulator}
    decoder = Decoder([model()])
    for byte in data:
        decoder.feed(bytes([byte]))
        if decoder.ready:
            decoder.render()
    assert decoder.steps == len(steps) - 1  # the last one is cut
    assert encoder.report().psnr == pytest.approx(psnr(decoder.render().image, picture()))


@pytest.mark.parametrize("simulator", Simulator)
def test_targets_too_small_to_show_anything_are_refused(simulator: Simulator) -> None:
    pytest.importorskip("constriction")
    for target in range(21, 34, 2):
        try:
            data = b"".join(Encoder(picture(), model(), target_bytes=target, simulator=simulator))
        except TargetError as error:
            assert "too few" in str(error)
        else:
            assert len(data) == target
            assert np.isfinite(shown_psnr(data))


def test_a_target_too_small_for_any_picture_is_refused() -> None:
    with pytest.raises(TargetError, match="at least"):
        Encoder(picture(), model(), target_bytes=10)


def test_a_side_that_the_format_cannot_state_is_refused() -> None:
    with pytest.raises(PictureTooLarge, match="65536x1"):
        Encoder(np.zeros((1, 65_536, 3), np.uint8), independent())


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_the_format_cannot_state_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=rf"between 0 and 2\^32 - 1, not {seed}"):
        Encoder(picture(), model(), seed=seed)


def test_the_first_bytes_leave_before_the_coarsest_octave_was_evaluated_twice() -> None:
    encoder = Encoder(picture(), model())
    first = next(iter(encoder))
    assert len(first) < 60
    assert encoder.chain.evaluations <= 2 / 16


def test_noise_is_shaped_for_a_model_that_knows_it() -> None:
    encoder = Encoder(odd_picture(), by_scale(), target_bytes=900)
    data = b"".join(encoder)
    assert Header.parse(data)[0].ratio == SHAPED.ratio
    report = encoder.report()
    assert report.state_noise == pytest.approx(1, abs=0.06)
    decoder = Decoder([by_scale()])
    decoder.feed(data)
    assert psnr(decoder.render().image, odd_picture()) == pytest.approx(report.psnr)


@pytest.mark.parametrize("cut", [15, 45, 157, 500])
def test_a_prefix_goes_on_with_the_shape_that_it_has(cut: int) -> None:
    whole = b"".join(Encoder(odd_picture(), by_scale(), target_bytes=900))
    other = replace(SHAPED, ratio=204)
    going_on = Encoder(
        odd_picture(), by_scale(), target_bytes=900, prefix=whole[:cut], schedule=other
    )
    assert whole[:cut] + b"".join(going_on) == whole


def test_one_seed_gives_the_same_bytes_and_another_others() -> None:
    assert stream(600) == b"".join(Encoder(picture(), model(), target_bytes=600))
    assert stream(600) != stream(600, seed=1)


def test_without_a_target_it_goes_on_to_top_quality() -> None:
    encoder = Encoder(picture(), model())
    for _ in encoder:
        pass
    assert math.log(encoder.chain.observation.snr) == pytest.approx(6.5, abs=0.1)
    assert encoder.report().psnr > 38


def test_the_report_adds_up() -> None:
    encoder = Encoder(picture(), model(), target_bytes=2000)
    data = b"".join(encoder)
    report = encoder.report()
    payload = sum(len(e.data) for e in StreamReader().feed(data) if isinstance(e, Payload))
    steps = sum(isinstance(e, Step) for e in StreamReader().feed(data))
    assert report.bytes == len(data)
    assert report.bpp == pytest.approx(8 * len(data) / 64**2)
    assert report.side_information_bytes == len(data) - payload
    assert report.steps == steps
    assert report.state_noise == pytest.approx(1, abs=0.05)
    assert 0 < report.rcc_seconds < report.seconds
    decoder = Decoder([model()])
    decoder.feed(data)
    assert report.psnr == pytest.approx(psnr(decoder.render().image, picture()), abs=1e-6)
    assert set(asdict(report)) >= {"ideal_bits", "evaluations"}


def test_the_price_over_an_ideal_code_and_over_the_information() -> None:
    source = GaussianSource(height=128, width=128)
    encoder = Encoder(picture(0, source), model(source))
    for _ in zip(range(20), encoder, strict=False):
        pass
    report = encoder.report()
    assert report.steps == encoder.chain.steps == 20
    assert 1.0 < 8 * report.bytes / report.ideal_bits < 1.1
    information = source.information(encoder.chain.observation.snr)
    # Steps of finite length are coded against estimates that grow stale.
    assert 0.97 < report.ideal_bits / information < 1.1
    assert report.state_noise == pytest.approx(1, abs=0.03)


def test_the_schedule_is_the_senders_business() -> None:
    data = b"".join(Encoder(picture(), model(), schedule=Schedule(growth=2.2, opening=0.0)))
    decoder = Decoder([model()])
    decoder.feed(data)
    assert psnr(decoder.render().image, picture()) > 38


def test_flat_pictures_work_though_the_source_never_makes_any() -> None:
    grey = np.full((64, 64, 3), 127, np.uint8)
    encoder = Encoder(grey, model())
    decoder = Decoder([model()])
    for piece in encoder:
        decoder.feed(piece)
    assert encoder.written < 4500
    assert psnr(decoder.render().image, grey) > 35


def test_kinds_come_in_order() -> None:
    kinds = [e.kind for e in StreamReader().feed(stream(3000)) if isinstance(e, Step)]
    assert kinds[0] is Kind.REFINE
    assert kinds.count(Kind.OPEN) == 2
