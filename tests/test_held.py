"""Streams that start from a picture that the receiver has, from end to end."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from sources import SOURCE, by_scale, model, picture

from diffc_stream.codec import Curve, Decoder, Encoder, Held
from diffc_stream.codec.held import found
from diffc_stream.container import Header, Reference
from diffc_stream.container import reference as module
from diffc_stream.diffusion import octaves
from diffc_stream.errors import (
    CorruptStream,
    MissingReference,
    NothingDecodable,
    TargetError,
)
from diffc_stream.metrics import psnr

Picture = NDArray[np.uint8]


@cache
def now() -> Picture:
    """The picture before, but for noise and a corner."""
    noise = np.random.default_rng(7).normal(0, 1, (64, 64, 3))
    result = np.clip(np.rint(before().picture + noise), 0, 255).astype(np.uint8)
    result[:8, :8] = picture(5)[:8, :8]
    return result


@cache
def before() -> Held:
    return Held(picture=picture(), data=b"the picture before", name="before.png")


def known(reference: Reference) -> Picture:
    assert reference.matches(before().data)
    return before().picture


@cache
def stream(target: int = 300) -> bytes:
    return b"".join(Encoder(now(), by_scale(), target_bytes=target, reference=before()))


def decoded(data: bytes) -> Decoder:
    decoder = Decoder([by_scale()], references=known)
    decoder.feed(data)
    return decoder


def test_the_stream_says_what_it_starts_from() -> None:
    header, _ = Header.parse(stream())
    assert (header.version, header.about) == (4, True)
    assert header.reference is not None
    assert header.reference.name == "before.png"
    assert header.reference.matches(b"the picture before and more")


def test_there_is_a_picture_before_the_first_step() -> None:
    _, size = Header.parse(stream())
    with pytest.raises(NothingDecodable):
        decoded(stream()[: size - 1]).render()
    decoder = decoded(stream()[:size])
    assert decoder.ready
    alone = b"".join(Encoder(now(), by_scale(), target_bytes=1000))
    assert psnr(decoder.render().image, now()) > psnr(decoded_alone(alone), now()) + 3


def decoded_alone(data: bytes) -> Picture:
    decoder = Decoder([by_scale()])
    decoder.feed(data)
    return decoder.render().image


def test_every_prefix_decodes_and_improves() -> None:
    _, size = Header.parse(stream(1200))
    decoder = Decoder([by_scale()], references=known)
    decoder.feed(stream(1200)[:size])
    best = psnr(decoder.render().image, now())
    for place in range(size, 1200, 13):
        decoder.feed(stream(1200)[place : place + 13])
        shown = psnr(decoder.render().image, now())
        assert shown > best - 0.3
        best = max(best, shown)


def test_both_ends_have_the_same_picture() -> None:
    encoder = Encoder(now(), by_scale(), target_bytes=700, reference=before())
    data = b"".join(encoder)
    rendering = decoded(data).render()
    assert psnr(rendering.image, now()) == pytest.approx(encoder.report().psnr, abs=0.01)
    assert encoder.report().reference
    assert encoder.head == Header.parse(data)[1]


def test_the_quality_to_expect_counts_the_reference() -> None:
    _, size = Header.parse(stream())
    for data in (stream()[:size], stream(300), stream(1200)):
        rendering = decoded(data).render()
        assert abs(rendering.predicted_psnr - psnr(rendering.image, now())) < 4
    curve = Curve()
    curve.feed(stream(1200))
    assert curve.psnr()[0] > 20
    assert curve.offsets[0] == size


def test_without_the_reference_the_receiver_is_told_which() -> None:
    decoder = Decoder([by_scale()])
    with pytest.raises(MissingReference, match=r"before\.png, 18 bytes whose SHA-256 begins"):
        decoder.feed(stream())


def test_a_reference_of_no_use_costs_nothing() -> None:
    other = Held(picture=picture(9), data=b"another")
    with_it = Encoder(now(), by_scale(), target_bytes=300, reference=other)
    assert b"".join(with_it) == b"".join(Encoder(now(), by_scale(), target_bytes=300))
    assert not with_it.report().reference


def test_a_reference_smaller_than_the_coarsest_octave_is_of_no_use() -> None:
    tiny = Held(picture=picture()[:10, :10], data=b"tiny")
    assert tiny.used_for(now()) is None


def test_what_no_stream_can_say_is_not_started_from(monkeypatch: pytest.MonkeyPatch) -> None:
    said = before().used_for(now())
    assert said is not None
    monkeypatch.setattr(module, "MOST_SIZE", len(before().data) - 1)
    assert before().used_for(now()) is None
    monkeypatch.undo()
    wide = np.tile(picture(), (1, 1026, 1))
    for width, use in ((64 + 65_535, True), (64 + 65_536, False)):
        held = Held(picture=wide[:, :width], data=b"wide", view=(0, 0, 64, 64))
        used = held.used_for(now())
        assert (used is not None) is use
        if used is not None:
            assert Reference.parse(used[0].encode(), 0)[0] == used[0]


def test_a_name_too_long_to_be_said_is_left_out() -> None:
    for name, there in (("n" * 255, True), ("n" * 256, False), ("é" * 128, False)):
        used = replace(before(), name=name).used_for(now())
        assert used is not None
        assert used[0].name == (name if there else "")
        assert Reference.parse(used[0].encode(), 0)[0] == used[0]


def test_models_of_white_noise_start_from_nothing() -> None:
    encoder = Encoder(picture(), model(), target_bytes=300, reference=before())
    assert encoder.chain.reference is None


def test_a_thumbnail_helps() -> None:
    small = octaves.picture(octaves.means(octaves.signal(now())))
    thumbnail = Held(picture=small, data=b"thumbnail")
    data = b"".join(Encoder(now(), by_scale(), target_bytes=400, reference=thumbnail))
    decoder = Decoder([by_scale()], references=lambda _: small)
    decoder.feed(data)
    alone = b"".join(Encoder(now(), by_scale(), target_bytes=400))
    assert psnr(decoder.render().image, now()) > psnr(decoded_alone(alone), now()) + 1


@pytest.mark.parametrize("length", [0, 10, 30, 60, 100, 250])
def test_a_stream_goes_on(length: int) -> None:
    encoder = Encoder(
        now(), by_scale(), target_bytes=300, prefix=stream()[:length], reference=before()
    )
    assert stream()[:length] + b"".join(encoder) == stream()


def test_a_stream_goes_on_from_its_own_reference_only() -> None:
    other = Held(picture=before().picture, data=b"other bytes")
    for reference in (None, other):
        with pytest.raises(MissingReference):
            Encoder(now(), by_scale(), prefix=stream()[:200], reference=reference)


def test_a_stream_does_not_go_on_from_more_than_its_reference() -> None:
    grown = replace(before(), data=before().data + b" and more")
    with pytest.raises(MissingReference):
        Encoder(now(), by_scale(), prefix=stream()[:200], reference=grown)


def test_a_stream_without_reference_goes_on_without() -> None:
    alone = b"".join(Encoder(now(), by_scale(), target_bytes=300))
    encoder = Encoder(now(), by_scale(), target_bytes=300, prefix=alone[:100], reference=before())
    assert alone[:100] + b"".join(encoder) == alone


def test_a_target_within_the_header_is_too_small() -> None:
    with pytest.raises(TargetError, match="needs at least"):
        Encoder(now(), by_scale(), target_bytes=40, reference=before())


def test_what_makes_no_sense_is_corrupt() -> None:
    header, _ = Header.parse(stream())
    assert header.reference is not None
    for broken in (
        replace(header.reference, trust=b"\x47"),
        replace(header.reference, trust=header.reference.trust + b"\x01"),
    ):
        with pytest.raises(CorruptStream):
            found(broken, before().picture, 64, 64)
        decoder = Decoder([by_scale()], references=known)
        with pytest.raises(CorruptStream):
            decoder.feed(replace(header, reference=broken).encode())
        curve = Curve()
        curve.feed(replace(header, reference=broken).encode())
        assert curve.offsets == []
    with pytest.raises(CorruptStream, match="too small"):
        found(header.reference, before().picture[:10], 64, 64)


def test_a_moved_camera_is_followed() -> None:
    wide = octaves.picture(SOURCE.sample(np.random.default_rng(3)))
    held = Held(picture=wide[4:60, 4:60], data=b"still")
    moved = wide[6:62, 1:57]
    used = held.used_for(moved)
    assert used is not None
    assert used[0].shift == (-2, 3)


@pytest.mark.parametrize("method", ["flow", "ancestral"])
def test_renderings_that_look_real_keep_what_is_known(method: str) -> None:
    decoder = decoded(stream())
    rendering = decoder.render("flow" if method == "flow" else "ancestral")
    assert psnr(rendering.image, now()) > psnr(decoder.render().image, now()) - 6
