"""Clips, encoded and decoded with an exact model."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sources import by_scale, model, picture

from diffc_stream.clips import ClipDecoder, ClipEncoder
from diffc_stream.codec import Decoder, Encoder
from diffc_stream.container import (
    Header,
    Metadata,
    Motion,
    Payload,
    Second,
    Step,
    StreamReader,
    StreamWriter,
    Turn,
    writer,
)
from diffc_stream.errors import (
    CorruptStream,
    NotAClip,
    NothingDecodable,
    PictureTooLarge,
    TargetError,
    UnknownModel,
    UnsupportedStream,
)
from diffc_stream.metrics import psnr

Picture = NDArray[np.uint8]


def still(count: int = 5) -> list[Picture]:
    """A scene that stays as it is, in which a square moves."""
    pictures = []
    for number in range(count):
        shown = picture(1).copy()
        shown[20:30, 5 + 9 * number : 15 + 9 * number] = 200
        pictures.append(shown)
    return pictures


def encoded(pictures: list[Picture], size: int | None) -> bytes:
    return b"".join(ClipEncoder(pictures, by_scale(), milliseconds=100, target_bytes=size))


def decoder(data: bytes) -> ClipDecoder:
    made = ClipDecoder([by_scale()])
    made.feed(data)
    return made


def quality(made: ClipDecoder, pictures: list[Picture]) -> float:
    return float(np.mean([psnr(made.render(n), shown) for n, shown in enumerate(pictures)]))


@pytest.fixture(scope="module")
def stream() -> bytes:
    return encoded(still(), 1500)


def test_both_ends_see_the_same(stream: bytes) -> None:
    encoder = ClipEncoder(still(), by_scale(), milliseconds=100, target_bytes=1500)
    assert b"".join(encoder) == stream, "the same again"
    made = decoder(stream)
    assert len(stream) == encoder.written <= 1500
    assert (len(made), made.milliseconds, made.bytes_received) == (5, 100, len(stream))
    assert made.steps == encoder.steps
    for number in range(5):
        there, here = encoder.group.guess(number), made.group.guess(number)
        assert np.allclose(there, here, atol=1e-4)


@pytest.mark.parametrize("size", [60, 61, 120, 700, 1500])
def test_the_sender_knows_how_good_it_looks(size: int) -> None:
    encoder = ClipEncoder(still(), by_scale(), milliseconds=100, target_bytes=size)
    data = b"".join(encoder)
    assert encoder.psnr() == pytest.approx(quality(decoder(data), still()), abs=0.01)


def test_no_second_estimate_leads_beyond_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "CHECK_DUE", 1)  # a check after every record
    told = ClipEncoder._told
    ends: list[int] = []

    def noted(self: ClipEncoder, number: int, records: list[Motion | Second]) -> bytes:
        data = told(self, number, records)
        ends.append(self._writer.written)
        return data

    monkeypatch.setattr(ClipEncoder, "_told", noted)
    encoded(still(3), 400)
    assert ends
    for end in ends[:2]:
        assert len(encoded(still(3), end - 1)) <= end - 1


def test_every_prefix_decodes_and_more_is_better(stream: bytes) -> None:
    made = ClipDecoder([by_scale()])
    seen = []
    for number, byte in enumerate(stream):
        made.feed(bytes([byte]))
        if not made.ready:
            with pytest.raises(NothingDecodable):
                made.predicted_psnr()
        elif number % 100 == 0:
            seen.append(quality(made, still()))
    assert len(seen) > 10
    assert seen[-1] > seen[0] + 3
    assert min(np.diff(seen)) > -0.5


def test_it_costs_less_than_its_pictures_by_themselves(stream: bytes) -> None:
    shown = still()
    alone = []
    for one in shown:
        lone = Decoder([by_scale()])
        lone.feed(b"".join(Encoder(one, by_scale(), target_bytes=120)))
        alone.append(psnr(lone.render(symmetries=1).image, one))
    assert quality(decoder(stream[:600]), shown) > np.mean(alone) + 0.5


def test_pictures_of_which_nothing_is_known_are_their_neighbours() -> None:
    data = encoded(still(), 1500)
    reader = StreamReader()
    first = next(n for n in range(len(data)) for e in reader.feed(data[n : n + 1]) if e == Turn(4))
    made = decoder(data[:first])
    assert all(np.array_equal(made.render(0), made.render(n)) for n in range(5))
    with pytest.raises(IndexError):
        made.render(5)


def test_the_first_picture_need_not_be_the_first_to_begin() -> None:
    dull = np.full((64, 64, 3), 128, np.uint8)
    data = encoded([dull, picture(1), picture(2)], 600)
    reader = StreamReader()
    second = [n for n in range(len(data)) for e in reader.feed(data[n : n + 1])][2]
    made = decoder(data[: second + 20])
    assert made.ready
    assert made.render(0).shape == (64, 64, 3)


def test_pictures_that_have_nothing_in_common() -> None:
    shown = [picture(seed) for seed in range(3)]
    data = encoded(shown, 1200)
    assert not [event for event in StreamReader().feed(data) if isinstance(event, Second)]
    assert quality(decoder(data), shown) > 15


def test_a_moved_camera_is_followed() -> None:
    wide = np.concatenate([picture(1), picture(2)], axis=1)
    shown = [np.ascontiguousarray(wide[:, 5 * n : 5 * n + 64]) for n in range(3)]
    encoder = ClipEncoder(shown, by_scale(), milliseconds=100, target_bytes=2000)
    assert any(isinstance(event, Motion) for event in StreamReader().feed(b"".join(encoder)))
    vectors = encoder.group.motions[1][0].vectors
    assert -12 <= np.median(vectors[1]) <= -8, "half pixels, to the left"


def test_facts_come_when_there_is_something_to_see() -> None:
    told = Metadata(description="a square that moves")
    encoder = ClipEncoder(still(), by_scale(), milliseconds=100, target_bytes=1500, metadata=told)
    assert decoder(b"".join(encoder)).metadata == told


def test_the_top_is_an_end() -> None:
    data = encoded([picture(1), picture(1)], None)
    assert quality(decoder(data), [picture(1)] * 2) > 40


def test_what_cannot_be_encoded() -> None:
    shown = still(2)
    with pytest.raises(TargetError, match="at least"):
        encoded(shown, 30)
    with pytest.raises(UnsupportedStream, match="white noise only"):
        ClipEncoder(shown, model(), milliseconds=100)
    with pytest.raises(ValueError, match="one size"):
        encoded([shown[0], shown[1][:-1]], 500)
    for pictures in ([], shown[:1], [np.zeros((1, 1, 3), np.uint8)] * 1025):
        with pytest.raises(ValueError, match=r"2 to 1,024 pictures, not (0|1|1,025)$"):
            encoded(pictures, 500)
    for milliseconds in (0, 60_001):
        with pytest.raises(ValueError, match=r"shown 1 to 60,000 ms, not (0|60,001)$"):
            ClipEncoder(shown, by_scale(), milliseconds=milliseconds)
    with pytest.raises(ValueError, match="a seed is between 0 and"):
        ClipEncoder(shown, by_scale(), milliseconds=100, seed=2**32)
    with pytest.raises(PictureTooLarge, match="8,388,608 for a clip"):
        ClipEncoder([np.zeros((1000, 5000, 3), np.uint8)] * 2, by_scale(), milliseconds=100)


def test_what_cannot_be_decoded(stream: bytes) -> None:
    with pytest.raises(NotAClip, match="a clip of 5 pictures"):
        Decoder([by_scale()]).feed(stream)
    with pytest.raises(NotAClip, match="a single picture"):
        decoder(b"".join(Encoder(picture(), by_scale(), target_bytes=100)))
    with pytest.raises(UnknownModel):
        ClipDecoder([model()]).feed(stream)
    with pytest.raises(PictureTooLarge):
        ClipDecoder([by_scale()], most_pixels=1000).feed(stream)
    head = Header.parse(stream)[1]
    second = Second(earlier=True, later=False, trust=b"\x11\x11\x11").encode()
    motion = Motion(source=0, vectors=b"\x60").encode()
    with pytest.raises(CorruptStream, match="picture 0 starts from one that is not there"):
        decoder(stream[:head] + second)
    with pytest.raises(CorruptStream, match="picture 4 starts from one that is not there"):
        decoder(stream[:head] + Turn(4).encode() + second)
    with pytest.raises(CorruptStream, match="picture 4 starts from one that is not there"):
        decoder(stream[:head] + Turn(4).encode() + motion)


def test_damage_is_found_or_passed_over(stream: bytes) -> None:
    reader, damaged = StreamReader(), bytearray(stream)
    place = next(
        n
        for n in range(len(stream))
        for event in reader.feed(stream[n : n + 1])
        if n > 200 and isinstance(event, Payload)
    )
    damaged[place] ^= 1
    with pytest.raises(CorruptStream):
        decoder(bytes(damaged))
    made = ClipDecoder([by_scale()], damaged=True)
    made.feed(bytes(damaged))
    assert made.damage


def test_a_stream_that_asks_for_too_much_work_is_refused(stream: bytes) -> None:
    header, step = list(StreamReader().feed(stream))[:2]
    assert isinstance(header, Header)
    assert isinstance(step, Step)
    writer = StreamWriter()
    data = writer.header(replace(header, width=512, height=512))
    data += writer.step(step, bytes(step.length)) + writer.turn(4)
    second = Second(earlier=True, later=False, trust=b"\x11" * 6)
    data += b"".join(writer.told(second) for _ in range(20))
    with pytest.raises(CorruptStream, match="more to compute"):
        decoder(data)
