"""Streams kept on disk: used, continued, never trusted, never in the way."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from diffc_server import CachingOpener, Source
from diffc_stream.container import Header, Prefix, Step, StreamWriter
from diffc_stream.container.grammar import Kind
from diffc_stream.errors import PrefixMismatch

FINGERPRINT = "0f0f0f0f"


class WriterOpener:
    """Opens any file as a proper stream whose payloads follow from ``salt``."""

    def __init__(self, salt: int = 1) -> None:
        self.fingerprints: tuple[str, ...] = (FINGERPRINT,)
        self.computed = 0
        self.prefixes: list[int] = []
        """How many bytes it was asked to go on from, each time."""
        self.refuses = False
        """It can go on from none."""
        self._salt = salt

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a file."""
        self.prefixes.append(len(prefix))
        if self.refuses and prefix:
            raise PrefixMismatch("refused")
        model = model or self.fingerprints[0]
        pieces = Prefix(prefix).beyond(self._pieces(model, len(prefix)))
        return Source(pixels=600, model=model, pieces=pieces)

    def _pieces(self, model: str, held: int) -> Iterator[bytes]:
        writer = StreamWriter()
        head = writer.header(Header(model=model, width=30, height=20, seed=0))
        for number in range(20):
            payload = bytes([number * self._salt % 256]) * 400
            step = Step(kind=Kind.REFINE, length=len(payload), delta_code=7)
            piece = head + writer.step(step, payload)
            self.computed += max(0, min(len(piece), writer.written - held))
            yield piece
            head = b""
        yield writer.check()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"a picture")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def whole(source: Source) -> bytes:
    return b"".join(source.pieces)


def test_computed_once(picture: Path, folder: Path) -> None:
    first = whole(CachingOpener(WriterOpener(), folder).open(picture))
    [kept] = folder.iterdir()
    assert kept.read_bytes() == first
    opener = WriterOpener()
    source = CachingOpener(opener, folder).open(picture)
    assert source.pixels == 600
    assert list(source.pieces) == [first]
    assert opener.computed == 0


def test_a_part_is_kept_and_continued(picture: Path, folder: Path) -> None:
    complete = whole(WriterOpener().open(picture))
    assert b"".join(islice(CachingOpener(WriterOpener(), folder).open(picture).pieces, 12))
    [kept] = folder.iterdir()
    part = kept.read_bytes()
    assert 2400 <= len(part) < len(complete)
    assert complete.startswith(part)
    opener = WriterOpener()
    assert whole(CachingOpener(opener, folder).open(picture)) == complete
    assert opener.prefixes == [len(part)]
    assert opener.computed == len(complete) - len(part)
    [kept] = folder.iterdir()
    assert kept.read_bytes() == complete


@pytest.mark.parametrize("where", [0, 5, 12, 1000, 5000])
def test_damage_is_noticed(picture: Path, folder: Path, where: int) -> None:
    complete = whole(CachingOpener(WriterOpener(), folder).open(picture))
    [kept] = folder.iterdir()
    damaged = bytearray(complete)
    damaged[where] ^= 0xFF
    kept.write_bytes(damaged)
    assert whole(CachingOpener(WriterOpener(), folder).open(picture)) == complete


def test_a_torn_file_is_used_as_far_as_it_goes(picture: Path, folder: Path) -> None:
    complete = whole(CachingOpener(WriterOpener(), folder).open(picture))
    [kept] = folder.iterdir()
    for length in (0, 3, 20, 700, 3000):
        kept.write_bytes(complete[:length])
        assert whole(CachingOpener(WriterOpener(), folder).open(picture)) == complete


def test_an_encoder_that_changed_its_mind(picture: Path, folder: Path) -> None:
    pieces = CachingOpener(WriterOpener(), folder).open(picture).pieces
    assert len(list(islice(pieces, 12))) == 12
    with pytest.raises(PrefixMismatch, match="comes out differently"):
        whole(CachingOpener(WriterOpener(salt=3), folder).open(picture))
    assert list(folder.iterdir()) == []


def test_what_cannot_be_continued_is_dropped_before_it_is_handed_out(
    picture: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(list(islice(CachingOpener(WriterOpener(), folder).open(picture).pieces, 12))) == 12
    opener = WriterOpener(salt=3)
    opener.refuses = True
    assert whole(CachingOpener(opener, folder).open(picture)) == whole(
        WriterOpener(salt=3).open(picture)
    )
    assert opener.prefixes[1] == 0
    assert "refused" in caplog.text
    [kept] = folder.iterdir()
    assert kept.name.endswith(".whole.dfc")


@pytest.mark.parametrize("stored", [0, 12, 21])
@pytest.mark.parametrize("held", [1, 700, 4000, 8000])
def test_it_goes_on_from_whichever_is_longer_of_what_is_held_and_stored(
    picture: Path, folder: Path, stored: int, held: int
) -> None:
    """Held: by whoever asks, since some of it has been sent."""
    complete = whole(WriterOpener().open(picture))
    list(islice(CachingOpener(WriterOpener(), folder).open(picture).pieces, stored))
    opener = WriterOpener()
    source = CachingOpener(opener, folder).open(picture, FINGERPRINT, complete[:held])
    assert whole(source) == complete[held:]
    assert all(length >= held for length in opener.prefixes)
    [kept] = folder.iterdir()
    assert kept.read_bytes() == complete


def test_what_was_sent_counts_and_not_what_is_stored(picture: Path, folder: Path) -> None:
    whole(CachingOpener(WriterOpener(), folder).open(picture))
    sent = whole(WriterOpener(salt=3).open(picture))
    opener = CachingOpener(WriterOpener(salt=3), folder)
    assert whole(opener.open(picture, FINGERPRINT, sent[:3000])) == sent[3000:]


def test_another_picture_or_model_is_another_stream(picture: Path, folder: Path) -> None:
    whole(CachingOpener(WriterOpener(), folder).open(picture))
    picture.write_bytes(b"another picture")
    whole(CachingOpener(WriterOpener(), folder).open(picture))
    other = WriterOpener()
    other.fingerprints = ("12345678",)
    whole(CachingOpener(other, folder).open(picture))
    assert len(list(folder.iterdir())) == 3


def test_a_stream_of_another_model_is_found_again(picture: Path, folder: Path) -> None:
    """Whichever model is preferred by now."""
    old, new = WriterOpener(), WriterOpener()
    part = b"".join(islice(CachingOpener(old, folder).open(picture).pieces, 12))
    new.fingerprints = ("12345678", FINGERPRINT)
    opener = CachingOpener(new, folder)
    assert opener.fingerprints == new.fingerprints
    source = opener.open(picture, FINGERPRINT)
    assert source.model == FINGERPRINT
    assert part.startswith(next(source.pieces))
    assert new.computed == 0
    source = opener.open(picture)
    assert source.model == "12345678"
    assert not whole(source).startswith(part[:16])


def test_only_so_much_is_kept(tmp_path: Path, folder: Path) -> None:
    opener = CachingOpener(WriterOpener(), folder, most_bytes=20_000)
    for number in range(4):
        path = tmp_path / f"{number}.png"
        path.write_bytes(bytes([number]))
        whole(opener.open(path))
        for kept in folder.iterdir():
            os.utime(kept, (kept.stat().st_mtime - 10,) * 2)
    assert sum(kept.stat().st_size for kept in folder.iterdir()) <= 20_000
    assert len(list(folder.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_only_a_pity(
    picture: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opener = CachingOpener(WriterOpener(), folder)
    folder.rmdir()
    with caplog.at_level(logging.WARNING):
        assert whole(opener.open(picture)) == whole(WriterOpener().open(picture))
    assert "cannot cache in" in caplog.text


def test_streams_are_not_cached(tmp_path: Path, folder: Path) -> None:
    ready = tmp_path / "ready.dfc"
    ready.write_bytes(b"")
    whole(CachingOpener(WriterOpener(), folder).open(ready))
    assert list(folder.iterdir()) == []
