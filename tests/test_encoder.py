"""The sender's half: targets met, bytes on time, honest accounts."""

import math
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest
from sources import Floats, by_scale, independent, model, odd_picture, picture, stream

from diffc_stream.channel.simulator import Address, Simulation
from diffc_stream.channel.trellis import Trellis
from diffc_stream.codec import Decoder, Encoder, Schedule
from diffc_stream.codec.schedule import SHAPED
from diffc_stream.container import (
    Check,
    Header,
    Kind,
    Metadata,
    Payload,
    Prefix,
    Simulator,
    Step,
    StreamReader,
    StreamWriter,
    verified,
)
from diffc_stream.diffusion.analytic import GaussianSource
from diffc_stream.diffusion.field import WHITE, Field
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import PictureTooLarge, PrefixMismatch, TargetError
from diffc_stream.metrics import psnr


@pytest.mark.parametrize("target", [24, 60, 100, 201, 333, 500, 1000, 1001, 1002, 2500, 4000])
def test_a_byte_target_is_where_the_whole_stream_is_cut(target: int) -> None:
    encoder = Encoder(picture(), model(), target_bytes=target)
    data = b"".join(encoder)
    assert len(data) == encoder.written == target
    assert stream(None).startswith(data) or _kinds(data) != _kinds(stream(None)[:target])
    assert encoder.report().psnr == pytest.approx(shown_psnr(data))


def test_every_target_around_the_end_of_a_step_is_met() -> None:
    end = len(stream(None)) - 3
    for target in range(end - 8, end + 3):
        data = b"".join(Encoder(picture(), model(), target_bytes=target))
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
        assert _kinds(data)[-1] is kind


def _kinds(data: bytes) -> list[Kind]:
    return [event.kind for event in StreamReader().feed(data) if isinstance(event, Step)]


def shown_psnr(data: bytes) -> float:
    decoder = Decoder([model()])
    decoder.feed(data)
    return psnr(decoder.render().image, picture())


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
    encoder = Encoder(picture(), model(), target_bytes=150, simulator=simulator)
    data = b"".join(encoder)
    assert len(data) == 150
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
    for target in range(21, 34):
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


SMALL = np.random.default_rng(5).integers(0, 256, (20, 18, 3), np.uint8)


@cache
def small(target: int | None, simulator: Simulator = Simulator.TRELLIS) -> bytes:
    return b"".join(Encoder(SMALL, independent(), target_bytes=target, simulator=simulator))


def extended(data: bytes, target: int | None, simulator: Simulator = Simulator.TRELLIS) -> bytes:
    encoder = Encoder(SMALL, independent(), target_bytes=target, prefix=data, simulator=simulator)
    return data + b"".join(encoder)


def test_any_prefix_goes_on_to_the_bytes_of_one_go() -> None:
    whole = small(150)
    for length in range(len(whole)):
        assert extended(whole[:length], len(whole)) == whole


def test_a_prefix_that_ends_around_a_check_goes_on_to_the_bytes_of_one_go() -> None:
    whole = small(None)
    [due] = [e.offset for e in StreamReader().feed(whole[:-3]) if isinstance(e, Check)]
    for length in [*range(due - 3, due + 6), *range(len(whole) - 6, len(whole) + 1)]:
        assert extended(whole[:length], None) == whole
    for length in range(due - 1, due + 4):
        for target in range(length + 1, due + 6):
            assert extended(whole[:length], target) == whole[:target]


@pytest.mark.parametrize("simulator", [Simulator.PFR, Simulator.DITHER])
def test_streams_of_exact_simulators_are_extended_too(simulator: Simulator) -> None:
    pytest.importorskip("constriction")
    whole = small(90, simulator)
    for length in (14, 17, 80):
        assert extended(whole[:length], 90, simulator) == whole
    # What is begun is finished by what began it; then another one may go on.
    mixed = extended(whole[:80], 300)
    used = [event.simulator for event in StreamReader().feed(mixed) if isinstance(event, Step)]
    assert mixed[:80] == whole[:80]
    assert set(used) == {simulator, Simulator.TRELLIS}


def test_what_is_there_is_not_searched_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data = stream(1500)
    steps = [e for e in StreamReader().feed(data) if isinstance(e, Step)]
    searched: list[int] = []
    search = Trellis.simulate

    def counted(self: Trellis, shift: Floats, length: int, address: Address) -> Simulation:
        searched.append(address.step)
        return search(self, shift, length, address)

    monkeypatch.setattr(Trellis, "simulate", counted)
    encoder = Encoder(picture(), model(), prefix=data)
    pieces = iter(encoder)
    assert [next(pieces) for _ in steps[1:]] == [b""] * (len(steps) - 1)
    assert searched == []
    assert encoder.chain.steps == len(steps) - 1
    assert next(pieces)
    assert searched == [len(steps) - 1]  # the one that was cut


def test_the_report_of_an_extended_stream_is_that_of_one_go() -> None:
    whole = Encoder(picture(), model(), target_bytes=2000)
    data = b"".join(whole)
    encoder = Encoder(picture(), model(), target_bytes=2000, prefix=data[:1234])
    assert b"".join(encoder) == data[1234:]
    expected, got = asdict(whole.report()), asdict(encoder.report())
    for name in ("seconds", "rcc_seconds"):
        assert got.pop(name) > 0
        expected.pop(name)
    assert got.pop("ideal_bits") == pytest.approx(expected.pop("ideal_bits"), rel=1e-4)
    assert got == expected
    assert encoder.written == len(data)


def test_refinement_that_took_the_place_of_an_opening_is_gone_on_with() -> None:
    whole = stream(None)
    begins = _openings(whole)[1]
    data = stream(begins + 5)
    assert not whole.startswith(data)
    for prefix in (data, data[: begins + 1], data[: begins + 3]):
        longer = prefix + b"".join(
            Encoder(picture(), model(), target_bytes=begins + 500, prefix=prefix)
        )
        assert longer.startswith(data)
        assert len(_openings(longer)) == 2
        assert shown_psnr(longer) == pytest.approx(shown_psnr(stream(begins + 500)), abs=0.3)


def _openings(data: bytes) -> list[int]:
    reader = StreamReader()
    return [
        reader.began
        for event in reader.feed(data)
        if isinstance(event, Step) and event.kind is Kind.OPEN
    ]


def test_a_check_may_stand_where_a_stream_goes_on() -> None:
    writer, data = StreamWriter(), b""
    prefix = Prefix(stream(300))
    assert prefix.header is not None
    data += writer.header(prefix.header)
    for record in prefix.records:
        assert isinstance(record, tuple)
        data += writer.step(*record)
    data += writer.check()
    for length in (len(data) - 2, len(data) - 1, len(data)):
        for target in range(length + 1, len(data) + 1):
            encoder = Encoder(picture(), model(), target_bytes=target, prefix=data[:length])
            assert b"".join(encoder) == data[length:target]
            assert encoder.written == encoder.report().bytes == target
        longer = data[:length] + b"".join(
            Encoder(picture(), model(), target_bytes=900, prefix=data[:length])
        )
        assert longer.startswith(data)
        assert len(longer) == 900
        assert verified(longer) == (longer, None)


def test_another_picture_is_noticed_at_the_first_step() -> None:
    encoder = Encoder(picture(1), model(), prefix=stream(1500))
    with pytest.raises(PrefixMismatch, match="of another picture"):
        list(encoder)
    assert encoder.chain.steps <= 1


def test_an_edited_picture_is_noticed_when_it_shows() -> None:
    edited = picture()
    edited[20:44, 20:44] = 255 - edited[20:44, 20:44]
    encoder = Encoder(edited, model(), prefix=stream(1500))
    with pytest.raises(PrefixMismatch, match="of another picture"):
        list(encoder)
    assert encoder.chain.steps < 15
    # What has not been sent yet may still change, unless it is in the step that is cut.
    barely = picture()
    barely[3, 3] ^= 64
    with pytest.raises(PrefixMismatch, match="comes out differently here"):
        list(Encoder(barely, model(), target_bytes=2000, prefix=stream(1500)))
    settled = stream(1500)[: Prefix(stream(1500)).settled]
    data = settled + b"".join(Encoder(barely, model(), target_bytes=2000, prefix=settled))
    decoder = Decoder([model()])
    decoder.feed(data)
    assert psnr(decoder.render().image, barely) == pytest.approx(shown_psnr(stream(2000)), abs=0.2)


def test_damage_that_a_check_tells_is_refused_at_once() -> None:
    data = stream(1500)
    vouched = StreamReader()
    list(vouched.feed(data))
    assert vouched.verified > 500
    for place in range(0, vouched.verified, 29):
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        with pytest.raises(PrefixMismatch):
            Encoder(picture(), model(), prefix=bytes(damaged))


def test_steps_that_cannot_be_are_refused() -> None:
    writer = StreamWriter()
    header = Header(model=model().fingerprint, width=64, height=64, seed=0)
    head = writer.header(header)
    for step in (Step(kind=Kind.OPEN, length=12), Step(kind=Kind.REFINE, length=5000)):
        for size in (9, step.length + 100):
            data = (head + StreamWriter().step(step, bytes(step.length)))[: len(head) + size]
            with pytest.raises(PrefixMismatch):
                list(Encoder(picture(), model(), prefix=data))


def test_another_header_is_refused_at_once() -> None:
    for prefix in (stream(300), stream(300)[:9]):
        with pytest.raises(PrefixMismatch):
            Encoder(picture(), independent(), prefix=prefix)
    with pytest.raises(PrefixMismatch, match="64x64, not 18x20"):
        Encoder(SMALL, model(), prefix=stream(300))
    seeded = stream(300, seed=7)
    with pytest.raises(PrefixMismatch, match="seed 7, not 0"):
        Encoder(picture(), model(), seed=0, prefix=seeded)
    # Unless one is given it is that of the prefix.
    more = b"".join(Encoder(picture(), model(), target_bytes=600, prefix=seeded))
    assert seeded + more == stream(600, seed=7)


@pytest.mark.parametrize("target", [300, 599, 600])
def test_a_target_that_has_been_reached_is_refused(target: int) -> None:
    with pytest.raises(TargetError, match="not beyond the 600 that are there"):
        Encoder(picture(), model(), target_bytes=target, prefix=stream(600))


def test_whole_steps_of_another_machine_are_gone_on_with() -> None:
    class Elsewhere:
        def __call__(self, eta: Floats, snr: float, field: Field = WHITE) -> Floats:
            return model().denoiser(eta, snr) * np.float32(1.001)

    other = Model(name="gaussian", fingerprint=model().fingerprint, denoiser=Elsewhere())
    data = b"".join(Encoder(picture(), other, target_bytes=1500))
    assert data != stream(1500)
    settled = data[: Prefix(data).settled]
    longer = settled + b"".join(Encoder(picture(), model(), target_bytes=2500, prefix=settled))
    assert shown_psnr(longer) == pytest.approx(shown_psnr(stream(2500)), abs=0.2)


TAKEN = Metadata(camera="NIKON D850", description="A hill")


@cache
def described(target: int | None = 700) -> bytes:
    return b"".join(Encoder(picture(), model(), target_bytes=target, metadata=TAKEN))


def told(data: bytes) -> Metadata:
    decoder = Decoder([model()])
    decoder.feed(data)
    return decoder.render().metadata


def test_facts_about_the_picture_come_once_it_can_be_seen() -> None:
    data, facts = described(), TAKEN.encode()
    place = data.index(facts)
    assert 8 * len(facts) <= place < 350
    assert told(data) == told(data[: place + len(facts) + 3]) == TAKEN
    assert told(data[: place + len(facts) + 2]) == Metadata()
    # All else is as ever, but for what is said of it.
    plain = b"".join(Encoder(picture(), model(), target_bytes=700))
    assert _steps(data)[:5] == _steps(plain)[:5]
    assert (data[3] >> 4, plain[3] >> 4) == (3, 1)
    # Nothing to be told costs nothing.
    assert plain == b"".join(Encoder(picture(), model(), target_bytes=700, metadata=Metadata()))


@pytest.mark.parametrize("target", [30, 209, 215, 230, 260, 300])
def test_targets_within_facts_are_met(target: int) -> None:
    data = described(target)
    assert len(data) == target
    assert verified(data) == (data, None)
    assert described().startswith(data) or _kinds(data) != _kinds(described()[:target])


def test_any_prefix_with_facts_goes_on_to_the_bytes_of_one_go() -> None:
    whole = described()
    place = whole.index(TAKEN.encode())
    for length in (3, 20, 150, *range(place - 3, place + len(TAKEN.encode()) + 4, 3), 600):
        encoder = Encoder(
            picture(), model(), target_bytes=700, prefix=whole[:length], metadata=TAKEN
        )
        assert whole[:length] + b"".join(encoder) == whole


def test_a_prefix_says_whether_there_is_a_place_for_facts() -> None:
    prefix = described()[:100]
    # Nothing is known any more.
    silent = prefix + b"".join(Encoder(picture(), model(), target_bytes=700, prefix=prefix))
    assert told(silent) == Metadata()
    assert silent[3] >> 4 == 3
    # Nothing could be told then.
    plain = b"".join(Encoder(picture(), model(), target_bytes=700))
    encoder = Encoder(picture(), model(), target_bytes=700, prefix=plain[:100], metadata=TAKEN)
    assert plain[:100] + b"".join(encoder) == plain
    # What was told stays.
    whole = described()
    other = Encoder(
        picture(), model(), target_bytes=700, prefix=whole[:500], metadata=Metadata(camera="x")
    )
    assert whole[:500] + b"".join(other) == whole


def _steps(data: bytes) -> list[Step]:
    return [event for event in StreamReader().feed(data) if isinstance(event, Step)]
