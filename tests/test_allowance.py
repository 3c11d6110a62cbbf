"""Streams of strangers have so much computed for a byte, and no more; our own always decode."""

from __future__ import annotations

import numpy as np
import pytest
from sources import independent

from diffc_stream.codec import Decoder, Encoder, allowance
from diffc_stream.codec.simulators import SIMULATORS
from diffc_stream.container import Header, Kind, Simulator, Step, StreamWriter
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.denoiser import Floats
from diffc_stream.diffusion.field import WHITE, Field
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import CorruptStream


class Counting:
    """A denoiser that counts the pixels it is asked for; it sees everything at once."""

    def __init__(self, colour: float | None = None) -> None:
        self.pixels = 0
        self._colour = colour

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE) -> Floats:
        self.pixels += eta.shape[1] * eta.shape[2]
        if self._colour is not None:
            return np.full_like(eta, self._colour)
        return eta / np.float32(snr + 0.75)


def bomb(side: int, size: int, simulator: Simulator) -> bytes:
    """Return a stream of as few bytes a step as the format has, the finest octave soon open."""
    writer = StreamWriter()
    data = writer.header(Header(model="00000001", width=side, height=side, seed=0))
    sizes = octaves.sizes(side, side)
    octave, known = len(sizes) - 1, False
    while len(data) < size:
        kind = Kind.OPEN if octave and known else Kind.REFINE
        octave -= kind is Kind.OPEN
        known = True
        dims = (octaves.detail_dimensions if kind is Kind.OPEN else octaves.dimensions)(
            sizes[octave]
        )
        length = next(n for n in range(1, dims) if SIMULATORS[simulator].admits(dims, n))
        step = Step(kind=kind, simulator=simulator, length=length, delta_code=40)
        data += writer.step(step, bytes(length))
    return data[:size]


@pytest.mark.parametrize(
    ("side", "simulator"),
    [
        (100, Simulator.TRELLIS),
        (300, Simulator.TRELLIS),
        (600, Simulator.TRELLIS),
        (600, Simulator.DITHER),
    ],
)
def test_work_per_byte_is_bounded(side: int, simulator: Simulator) -> None:
    counting = Counting()
    model = Model(name="counting", fingerprint="00000001", denoiser=counting)
    decoder = Decoder([model])
    data = bomb(side, 3000, simulator)
    with pytest.raises(CorruptStream, match="more to compute than so few bytes are worth"):
        decoder.feed(data)
    most = allowance.FREE + allowance.PER_BYTE * len(data)
    assert counting.pixels <= most + side * side
    assert decoder.ready  # what came before can be shown
    assert decoder.render().image.shape == (side, side, 3)


@pytest.mark.parametrize(
    ("side", "simulator"),
    [*((side, Simulator.TRELLIS) for side in (16, 64, 300, 500)), (300, Simulator.DITHER)],
)
def test_no_stream_of_an_encoder_goes_beyond(side: int, simulator: Simulator) -> None:
    if simulator is not Simulator.TRELLIS:
        pytest.importorskip("constriction")
    # Nothing is cheaper to send than what is known beforehand.
    counting = Counting(colour=0.0)
    model = Model(name="all-knowing", fingerprint="00000001", denoiser=counting)
    picture = np.full((side, side, 3), 127, np.uint8)
    data = b"".join(Encoder(picture, model, simulator=simulator))
    counting.pixels = 0
    decoder = Decoder([model])
    decoder.feed(data)
    assert counting.pixels <= allowance.FREE + allowance.PER_BYTE * len(data) + side * side


def test_a_step_is_as_long_as_the_next_one_needs() -> None:
    assert allowance.least(allowance.FREE, 0) == 1
    work = allowance.FREE + 10 * allowance.PER_BYTE + 1
    assert allowance.least(work, 4) == 7
    allowance.check(work, 4 + 7)
    with pytest.raises(CorruptStream):
        allowance.check(work, 4 + 6)


def test_small_pictures_are_free() -> None:
    data = bomb(32, 1006, Simulator.TRELLIS)
    decoder = Decoder([independent("00000001")])
    decoder.feed(data)
    assert decoder.steps > 100
