"""The encoder's facts about the picture, and where they come."""

from functools import cache

import pytest
from encoded import kinds
from sources import model, picture

from diffc_stream.codec import Decoder, Encoder
from diffc_stream.container import Metadata, Step, StreamReader, verified

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
    assert described().startswith(data) or kinds(data) != kinds(described()[:target])


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
