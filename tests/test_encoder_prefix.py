"""The encoder goes on from streams that have begun."""

from dataclasses import asdict
from functools import cache

import numpy as np
import pytest
from encoded import shown_psnr
from sources import Floats, independent, model, picture, stream

from diffc_stream.channel.simulator import Address, Simulation
from diffc_stream.channel.trellis import Trellis
from diffc_stream.codec import Decoder, Encoder
from diffc_stream.container import (
    Check,
    Header,
    Kind,
    Prefix,
    Simulator,
    Step,
    StreamReader,
    StreamWriter,
    verified,
)
from diffc_stream.diffusion.field import WHITE, Field
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import PrefixMismatch, TargetError
from diffc_stream.metrics import psnr

SMALL = np.random.default_rng(5).integers(0, 256, (20, 18, 3), np.uint8)


@cache
def small(target: int | None, simulator: Simulator = Simulator.TRELLIS) -> bytes:
    return b"".join(Encoder(SMALL, independent(), target_bytes=target, simulator=simulator))


def extended(data: bytes, target: int | None, simulator: Simulator = Simulator.TRELLIS) -> bytes:
    encoder = Encoder(SMALL, independent(), target_bytes=target, prefix=data, simulator=simulator)
    return data + b"".join(encoder)


def test_any_prefix_goes_on_to_the_bytes_of_one_go() -> None:
    whole = small(100)
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
    whole = small(60, simulator)
    for length in (14, 17, 50):
        assert extended(whole[:length], 60, simulator) == whole
    # What is begun is finished by what began it; then another one may go on.
    mixed = extended(whole[:50], 200)
    used = [event.simulator for event in StreamReader().feed(mixed) if isinstance(event, Step)]
    assert mixed[:50] == whole[:50]
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
