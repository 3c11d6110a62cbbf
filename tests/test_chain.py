"""The one step: what comes next is checked before anything is allocated, and steps add up."""

import numpy as np
import pytest
from sources import SOURCE, by_scale, odd_picture, picture, stream

from diffc_stream.codec import Encoder
from diffc_stream.codec.chain import Chain
from diffc_stream.codec.continuation import drawn
from diffc_stream.container import Header, Kind, Payload, Step, StreamReader
from diffc_stream.diffusion import octaves
from diffc_stream.errors import CorruptStream


def chain() -> Chain:
    return Chain(SOURCE, height=64, width=64, seed=0)


def steps() -> list[tuple[Step, bytes]]:
    found: list[tuple[Step, bytes]] = []
    for event in StreamReader().feed(stream()):
        if isinstance(event, Step):
            found.append((event, b""))
        elif isinstance(event, Payload):
            found[-1] = (found[-1][0], found[-1][1] + event.data)
    return found


def test_it_starts_with_nothing_in_the_coarsest_octave() -> None:
    start = chain()
    assert start.observation.size == (16, 16)
    assert start.observation.snr == 0
    assert not start.estimate().any()
    assert start.evaluations == 0


@pytest.mark.parametrize(
    ("kind", "length"), [(Kind.REFINE, 1000), (Kind.REFINE, 2**27), (Kind.OPEN, 10)]
)
def test_impossible_steps_are_refused(kind: Kind, length: int) -> None:
    with pytest.raises(CorruptStream):
        chain().admit(Step(kind=kind, length=length))


def test_the_last_octave_cannot_be_opened_further() -> None:
    walked = chain()
    for step, payload in steps():
        walked.admit(step)
        walked.advance(step, payload)
    assert walked.observation.octave == 0
    with pytest.raises(CorruptStream, match="no finer octave"):
        walked.admit(Step(kind=Kind.OPEN, length=100))


def test_the_observation_is_one_of_the_picture_at_the_snr_stated() -> None:
    x = [octaves.signal(picture())]
    x += [octaves.means(x[0])]
    x += [octaves.means(x[1])]
    walked = chain()
    for step, payload in steps():
        walked.advance(step, payload)
        noise = walked.observation.noise_variance(x[walked.observation.octave])
        dims = walked.observation.eta.size
        assert noise == pytest.approx(1, abs=4 * (2 / dims) ** 0.5 + 0.02)
    error = np.mean((walked.estimate() - x[0]) ** 2)
    assert error == pytest.approx(SOURCE.error(walked.observation.snr), rel=0.06)


def test_a_step_without_payload_changes_no_refinement() -> None:
    walked = chain()
    step, payload = steps()[0]
    assert walked.after(step, b"").observation.snr == 0
    walked.advance(step, payload)
    step, _ = steps()[1]
    assert step.kind is Kind.REFINE
    after = walked.after(step, b"")
    assert after.received == 0
    assert after.observation.snr == walked.observation.snr
    assert np.array_equal(after.observation.eta, walked.observation.eta)


def test_an_opening_without_payload_shows_the_picture_before() -> None:
    walked = chain()
    for step, payload in steps():
        if step.kind is Kind.OPEN:
            break
        walked.advance(step, payload)
    before = walked.mean(walked.now())
    shown = walked.mean(walked.after(step, b""))
    assert np.allclose(shown, before, atol=1e-5)


def test_an_octave_before_it_opens_has_the_means_that_are_known() -> None:
    walked = chain()
    for step, payload in steps():
        walked.advance(step, payload)
        if step.kind is Kind.OPEN:
            break
    assert walked.observation.octave == 1
    full = walked.mean(walked.now())
    assert full.shape == (3, 64, 64)
    assert np.allclose(octaves.means(full), walked.estimate(), atol=1e-5)


def test_symmetries_cost_an_evaluation_each_and_agree_where_the_source_has_them() -> None:
    walked = chain()
    for step, payload in steps():
        walked.advance(step, payload)
    assert walked.observation.octave == 0
    once = walked.mean(walked.now())
    before = walked.evaluations
    averaged = walked.mean(walked.now(), symmetries=8)
    assert walked.evaluations - before == pytest.approx(7)
    assert np.allclose(averaged, once, atol=1e-4)


def test_snr_grows_with_every_byte_of_a_refinement() -> None:
    walked = chain()
    step, payload = steps()[0]
    snrs = [walked.after(step, payload[:size]).observation.snr for size in range(len(payload) + 1)]
    assert snrs == sorted(snrs)
    walked.advance(step, payload)
    assert snrs[-1] == walked.observation.snr


def test_the_header_of_the_stream_is_that_of_its_source() -> None:
    header = next(iter(StreamReader().feed(stream())))
    assert isinstance(header, Header)
    assert header.model == SOURCE.fingerprint


def test_what_has_not_arrived_of_an_opening_is_told_from_what_has() -> None:
    walked = chain()
    for step, payload in steps():
        if step.kind is Kind.OPEN:
            break
        walked.advance(step, payload)
    part = walked.after(step, payload[: len(payload) // 2])
    assert part.absent is not None
    assert walked.after(step, payload).absent is None
    bands = np.random.default_rng(0).standard_normal((3, 3, 16, 16)).astype(np.float32)
    absent = part.absent(bands)
    assert np.allclose(part.absent(absent), absent, atol=1e-5)
    assert np.mean(absent**2) == pytest.approx((1 - part.received) * np.mean(bands**2), rel=0.1)
    # Where nothing has arrived, the detail lies at its prediction.
    after, prediction = part.observation, walked.prediction(Kind.OPEN)
    detail = octaves.details(after.eta) / np.float32(after.snr)
    assert np.allclose(part.absent(detail), part.absent(prediction), atol=1e-4)
    assert not np.allclose(detail, prediction, atol=0.1)


def test_draws_have_addresses() -> None:
    one = drawn(0, 0, 0, 12_000)
    assert np.array_equal(one, drawn(0, 0, 0, 12_000))
    assert one.shape == (12_000,)
    assert abs(np.mean(one * drawn(0, 0, 1, 12_000))) < 0.05
    assert np.var(one) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("symmetries", [1, 2])
def test_what_was_shown_is_not_evaluated_again(symmetries: int) -> None:
    walked = chain()
    (first, payload), *_ = steps()
    after = walked.after(first, payload[:5])
    walked.mean(after, symmetries=symmetries)
    before = walked.evaluations
    walked.denoised(after.observation)
    assert walked.evaluations == before
    walked.advance(first, payload)
    walked.estimate()
    assert walked.evaluations > before


def shaped() -> tuple[Chain, list[tuple[Step, bytes]]]:
    """Return a chain of shaped noise at its beginning, and steps that it can take."""
    data = b"".join(Encoder(odd_picture(), by_scale(), target_bytes=900))
    taken: list[tuple[Step, bytes]] = []
    for event in StreamReader().feed(data):
        match event:
            case Step():
                taken.append((event, b""))
            case Payload():
                taken[-1] = (taken[-1][0], taken[-1][1] + event.data)
    height, width = odd_picture().shape[:2]
    return Chain(by_scale().denoiser, height=height, width=width, seed=0, ratio=0.6), taken[:-1]


def test_an_estimate_of_shaped_noise_asks_about_every_octave_once() -> None:
    walked, taken = shaped()
    area = 50 * 61
    for step, payload in taken:
        walked.advance(step, payload)
        before = walked.evaluations
        walked.estimate()
        octave = walked.observation.octave
        asked = [h * w / area for h, w in walked.sizes[octave:]]
        # What an opening started from has been asked about already.
        expected = asked[0] if step.kind is Kind.OPEN else sum(asked)
        assert walked.evaluations - before == pytest.approx(expected)
        walked.estimate()
        assert walked.evaluations - before == pytest.approx(expected)


def test_a_part_of_an_opening_is_told_and_begins_with_the_picture_before() -> None:
    walked, taken = shaped()
    for step, payload in taken:
        if step.kind is Kind.OPEN:
            shown = walked.observation.octave - 1
            x = octaves.signal(odd_picture())
            for _ in range(shown):
                x = octaves.means(x)
            errors = []
            for end in range(len(payload) + 1):
                after = walked.after(step, payload[:end])
                assert after.absent is None
                if end:
                    assert after.observation.field.share == pytest.approx(after.received)
                errors.append(float(np.mean((walked.mean(after, shown=shown) - x) ** 2)))
            before = float(np.mean((walked.mean(walked.now(), shown=shown) - x) ** 2))
            assert errors[0] == pytest.approx(before, rel=1e-3)
            # The detail of this picture is weaker than the denoiser takes it for.
            assert max(errors) < 1.03 * before
        walked.advance(step, payload)


def walked(data: bytes, lost: dict[int, tuple[int, int]]) -> Chain:
    """Return the chain of an odd picture after ``data``, with parts of some steps lost."""
    height, width = odd_picture().shape[:2]
    result = Chain(by_scale().denoiser, height=height, width=width, seed=0, ratio=0.6)
    step, payload, number = None, b"", 0
    for event in StreamReader().feed(data):
        if isinstance(event, Step):
            step, payload = event, b""
        elif isinstance(event, Payload) and step is not None:
            payload += event.data
            if len(payload) == step.length:
                result.advance(step, payload, [lost[number]] if number in lost else [])
                number += 1
    return result


def test_what_is_lost_of_steps_is_missing_and_foretold() -> None:
    data = b"".join(Encoder(odd_picture(), by_scale(), target_bytes=900))
    whole = walked(data, {})
    truth = octaves.signal(odd_picture())
    errors = []
    for number in range(whole.steps):
        part = walked(data, {number: (0, 6)})
        assert part.sent_snr == whole.sent_snr == whole.observation.snr
        assert part.observation.snr <= whole.observation.snr
        assert 0 < part.observation.field.share <= 1
        assert part.now().expected.error > whole.now().expected.error
        if part.observation.octave == 0:
            errors.append(float(np.square(part.mean(part.now()) - truth).mean()))
    best = float(np.square(whole.mean(whole.now()) - truth).mean())
    assert min(errors) > 0.98 * best
    assert max(errors[:3]) > 1.3 * best, "the first steps are worth most"


def test_observations_with_gaps_are_of_the_same_picture() -> None:
    """Where the receiver's estimate is that of the sender, what is lost is only missing."""
    data = b"".join(Encoder(odd_picture(), by_scale(), target_bytes=900))
    whole = walked(data, {})
    last = whole.steps - 1
    part = walked(data, {last: (3, 40)})
    assert part.observation.snr < whole.observation.snr
    assert part.lost > 0
