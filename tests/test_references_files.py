"""Pictures that streams start from, made of files and of streams."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sources import by_scale, picture

from diffc_stream import references
from diffc_stream.codec import Decoder, Encoder, Held
from diffc_stream.container import Header, Reference
from diffc_stream.errors import MissingReference, StreamError, UnreadablePicture
from diffc_stream.metrics import psnr
from diffc_stream.references import References, among, held

MODELS = [by_scale()]


def png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture()).save(out, "PNG")
    return out.getvalue()


def noisy(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    noise = np.random.default_rng(seed).normal(0, 1, (64, 64, 3))
    return np.clip(np.rint(picture() + noise), 0, 255).astype(np.uint8)


def encoded(seed: int, target: int, reference: Held | None) -> bytes:
    return b"".join(Encoder(noisy(seed), by_scale(), target_bytes=target, reference=reference))


def chain(length: int) -> list[bytes]:
    """Return a picture file and streams that start each from the one before."""
    files = [png()]
    for seed in range(length):
        reference = held(files[-1], MODELS, name=f"{seed}", find=among(files))
        files.append(encoded(seed, 150, reference))
        assert Header.parse(files[-1])[0].reference is not None
    return files


def test_a_picture_file_is_itself() -> None:
    np.testing.assert_array_equal(held(png(), MODELS).picture, picture())


def test_a_stream_starts_from_a_stream_that_starts_from_a_file() -> None:
    files = chain(3)
    decoder = Decoder(MODELS, references=References(MODELS, among(files)))
    decoder.feed(files[-1])
    assert psnr(decoder.render().image, noisy(2)) > 30


def test_a_link_that_is_missing_is_named() -> None:
    files = chain(3)
    del files[1]
    decoder = Decoder(MODELS, references=References(MODELS, among(files)))
    with pytest.raises(MissingReference, match="1, "):
        decoder.feed(files[-1])


def test_longer_files_serve_too() -> None:
    files = chain(1)
    decoder = Decoder(MODELS, references=References(MODELS, among([files[0] + b"more"])))
    decoder.feed(files[1])
    assert decoder.ready


def test_wrong_bytes_are_not_taken() -> None:
    files = chain(1)
    decoder = Decoder(MODELS, references=References(MODELS, lambda _: b"something else"))
    with pytest.raises(MissingReference):
        decoder.feed(files[1])


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(UnreadablePicture):
        held(b"no picture", MODELS)


def test_streams_cannot_start_from_one_another_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    files = chain(3)
    monkeypatch.setattr(references, "MOST_BACK", 2)
    decoder = Decoder(MODELS, references=References(MODELS, among(files)))
    with pytest.raises(StreamError, match="more than 2 streams"):
        decoder.feed(encoded(3, 150, held_of(files)))


def held_of(files: list[bytes]) -> Held:
    """Return the last of ``files``, made without the limit."""

    def known(reference: Reference) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        data = among(files)(reference)
        assert data is not None
        if not data.startswith(b"DFC"):
            return picture()
        decoder = Decoder(MODELS, references=known)
        decoder.feed(data)
        return decoder.render().image

    decoder = Decoder(MODELS, references=known)
    decoder.feed(files[-1])
    return Held(picture=decoder.render().image, data=files[-1])
