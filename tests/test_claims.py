"""What docs/claims.md says that the project does, where no other test shows it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import accumulate, pairwise
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pair import Pair
from sources import model, picture, stream

from diffc_stream.codec import Decoder, Encoder, Method
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.denoiser import Denoiser
from diffc_stream.diffusion.field import WHITE, Field
from diffc_stream.diffusion.observation import Observation
from diffc_stream.metrics import psnr
from diffc_stream.session import Data, PrefixHash, Target

Floats = NDArray[np.float32]
TARGET = 1500
PIXELS = 64 * 64


class Instance(NamedTuple):
    """The picture as corrupted as a step leaves it."""

    sent: Observation
    """What the sender holds."""
    recovered: NDArray[np.uint8]
    """What the receiver holds, as a picture."""
    piece: bytes
    """What was sent since the instance before."""


@cache
def instances() -> list[Instance]:
    """Return the instances of ``stream(TARGET)``, in the order in which they come."""
    encoder, decoder = Encoder(picture(), model(), target_bytes=TARGET), Decoder([model()])
    walked: list[Instance] = []
    for piece in encoder:
        decoder.feed(piece)
        if encoder.chain.steps > len(walked):
            walked.append(Instance(encoder.chain.observation, decoder.observation(), piece))
    return walked


def truth(octave: int) -> NDArray[np.float32]:
    """Return the uncorrupted signal, (3, H, W)."""
    x = octaves.signal(picture())
    for _ in range(octave):
        x = octaves.means(x)
    return x


def fineness(observation: Observation) -> float:
    """Return the signal-to-noise ratio in the units of the full picture.

    An octave observed at snr is the low band of the finer one at snr / 4.
    """
    return float(observation.snr / 4**observation.octave)


def shown(data: bytes) -> Decoder:
    """Return a decoder that holds ``data``."""
    decoder = Decoder([model()])
    decoder.feed(data)
    return decoder


def test_every_instance_is_the_picture_under_gaussian_noise() -> None:
    for sent, _, _ in instances():
        x = truth(sent.octave).astype(np.float64)
        noise = (sent.eta - sent.snr * x) / sent.snr**0.5
        # Four standard deviations of each statistic, had the noise been drawn; but its variance
        # is one that sender and receiver expect, which is near 1 and not quite it.
        four = 4 / noise.size**0.5
        assert np.mean(noise) == pytest.approx(0, abs=four)
        assert np.var(noise) == pytest.approx(1, abs=2**0.5 * four + 0.02)
        assert np.mean(noise**3) == pytest.approx(0, abs=15**0.5 * four)
        assert np.mean(noise**4) == pytest.approx(3, abs=96**0.5 * four)
        assert np.corrcoef(noise.ravel(), x.ravel())[0, 1] == pytest.approx(0, abs=four)


def test_each_step_leads_to_a_less_corrupted_instance() -> None:
    walked = [instance.sent for instance in instances()]
    assert len(walked) > 10
    assert [o.octave for o in walked] == sorted((o.octave for o in walked), reverse=True)
    for before, after in pairwise(walked):
        if after.octave == before.octave:
            assert after.log_snr > before.log_snr
        else:
            # The same noise on what was observed before, and detail observed for the first time.
            assert fineness(after) == pytest.approx(fineness(before))
            low = octaves.means(after.eta) * 4
            assert np.allclose(low, before.eta, rtol=1e-4, atol=1e-3)
            assert after.eta.size > before.eta.size


def test_the_receiver_recovers_every_instance() -> None:
    for sent, recovered, _ in instances():
        factor = 2**sent.octave
        held = octaves.picture(sent.z()).repeat(factor, axis=0).repeat(factor, axis=1)
        assert np.array_equal(recovered, held)


def test_the_last_instance_is_the_one_that_the_bit_rate_affords() -> None:
    reached = []
    for bpp in (0.5, 1.0, 2.0, 4.0):
        target = round(bpp * PIXELS / 8)
        encoder = Encoder(picture(), model(), target_bytes=target)
        for _ in encoder:
            pass
        assert target - max(20, 0.02 * target) <= encoder.written <= target
        reached.append(fineness(encoder.chain.observation))
    assert all(more > 1.5 * less for less, more in pairwise(reached))


def received(pair: Pair, *, start: int = 0, limit: int | None = None) -> list[bytes]:
    """Return the messages' payloads that a receiver gets who asks for ``photo``."""
    before = len(pair.events)
    prefix = str(PrefixHash(pair.streams["photo"][:start])) if start else None
    pair.receiver.open("photo", start=start, prefix=prefix, target=Target(bytes=limit))
    pair.run()
    return [event.payload for event in pair.events[before:] if isinstance(event, Data)]


@pytest.mark.parametrize("frame", [TARGET, 100, 1])
def test_one_message_or_many(frame: int) -> None:
    data = stream(TARGET)
    payloads = received(Pair({"photo": data}, frame=frame))
    assert len(payloads) == ceil(len(data) / frame)
    decoder = Decoder([model()])
    for payload in payloads:
        decoder.feed(payload)
    assert np.array_equal(decoder.observation(), shown(data).observation())


def test_a_less_corrupted_instance_comes_on_request() -> None:
    data, decoder = stream(TARGET), Decoder([model()])
    pair = Pair({"photo": data})
    seen = []
    for limit in (300, 900, None):
        for payload in received(pair, start=decoder.bytes_received, limit=limit):
            decoder.feed(payload)
        assert decoder.bytes_received == (limit or len(data))
        seen.append((decoder.steps, psnr(decoder.render().image, picture())))
    assert pair.payload_sent == len(data)
    assert all(a[0] < b[0] and a[1] < b[1] - 1 for a, b in pairwise(seen))


def test_a_stored_stream_holds_the_steps_in_the_order_of_the_instances(tmp_path: Path) -> None:
    path = tmp_path / "photo.dfc"
    path.write_bytes(stream(TARGET))
    ends = list(accumulate(len(instance.piece) for instance in instances()))
    with path.open("rb") as file:
        for end, instance in zip(ends, instances(), strict=True):
            file.seek(0)
            assert np.array_equal(shown(file.read(end)).observation(), instance.recovered)


def test_what_is_stored_between_two_instances_leads_from_one_to_the_other(tmp_path: Path) -> None:
    path = tmp_path / "photo.dfc"
    path.write_bytes(stream(TARGET))
    ends = list(accumulate(len(instance.piece) for instance in instances()))
    last = len(ends) - 1
    for i, j in ((0, 1), (0, last), (3, last // 2), (last - 1, last)):
        decoder = shown(path.read_bytes()[: ends[i]])
        with path.open("rb") as file:
            file.seek(ends[i])
            decoder.feed(file.read(ends[j] - ends[i]))
        assert np.array_equal(decoder.observation(), instances()[j].recovered)


def test_less_corrupted_instances_take_more_storage() -> None:
    encoder = Encoder(picture(), model(), target_bytes=TARGET)
    assert encoder.written == encoder.chain.steps == 0  # the first takes nothing
    sizes, qualities = [], []
    for limit in (200, 600, TARGET):
        decoder = shown(stream(TARGET)[:limit])
        sizes.append(decoder.bytes_received)
        qualities.append(psnr(decoder.render().image, picture()))
    assert sizes == sorted(set(sizes))
    assert max(sizes) < picture().nbytes
    assert all(more > less + 1 for less, more in pairwise(qualities))


class Spy:
    """A denoiser that notes what it is given."""

    def __init__(self, denoiser: Denoiser) -> None:
        self.denoiser = denoiser
        self.given: list[tuple[Floats, float]] = []
        self.said: list[Floats] = []

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE) -> Floats:
        self.given.append((eta, snr))
        self.said.append(self.denoiser(eta, snr, field))
        return self.said[-1]


@pytest.mark.parametrize("method", ["flow", "ancestral"])
def test_output_is_predicted_step_by_step_from_the_instance(method: Method) -> None:
    spy = Spy(model().denoiser)
    decoder = Decoder([replace(model(), denoiser=spy)])
    decoder.feed(stream(TARGET))
    decoder.observation()
    spy.given.clear()
    spy.said.clear()
    decoder.render(method)
    steps = [(eta, snr) for eta, snr in spy.given if eta.shape == spy.given[-1][0].shape]
    snrs = [snr for _, snr in steps]
    assert len(steps) > 3
    # Each input is less corrupted than the one before, and made from what was predicted for it.
    assert snrs == sorted(set(snrs))
    for (eta, snr), (following, onward), predicted in zip(
        steps, steps[1:], spy.said[-len(steps) :], strict=False
    ):
        moved = following / onward - eta / snr
        towards = predicted - eta / snr
        assert np.corrcoef(moved.ravel(), towards.ravel())[0, 1] > 0.1
