"""Where streams end whose pieces have to be asked for."""

from __future__ import annotations

from sources import golden_stream

from diffc_client.remote.pulled_stream import how_far
from diffc_stream.codec import Curve
from diffc_stream.session import MAX_STREAM, Target


def test_how_far_by_length() -> None:
    def far(target: Target, pixels: int | None) -> int:
        return how_far(target, pixels, Curve())

    assert far(Target(), None) == MAX_STREAM
    assert far(Target(bytes=1000, bpp=1.0), None) == 1000
    assert far(Target(bytes=1000, bpp=1.0), 160) == 20
    assert far(Target(bytes=10, bpp=1.0), 160) == 10
    assert far(Target(psnr=30.0, side=10), 160) == MAX_STREAM


def test_how_far_by_what_came() -> None:
    stream, curve = golden_stream(), Curve()
    assert how_far(Target(side=16, psnr=20.0), 64 * 64, curve) == MAX_STREAM
    curve.feed(stream)
    place = next(n for n, psnr in enumerate(curve.psnr()) if psnr >= 22.0)
    assert how_far(Target(psnr=22.0), 64 * 64, curve) == curve.offsets[place]
    assert how_far(Target(psnr=1.0), 64 * 64, curve) == curve.offsets[1]
    assert how_far(Target(psnr=60.0), 64 * 64, curve) == MAX_STREAM
    assert how_far(Target(side=16), 64 * 64, curve) == curve.opening(16)
    assert how_far(Target(side=64), 64 * 64, curve) == MAX_STREAM
