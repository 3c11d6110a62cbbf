"""Ready streams over HTTP: read once for all who ask what they are called, and sent as they lie."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from pathlib import Path
from typing import NoReturn

import pytest
from fakes import stream_of
from http_client import ask, asking, head_of, request
from serving import pictures, serving

from diffc_server.catalogue.file import File
from diffc_server.encoding import source, stream_file
from diffc_server.encoding.stream_file import StreamFiles, length
from diffc_server.threads.pools import WorkerPools
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

pytestmark = pytest.mark.asyncio

STREAM = stream_of("big.dfc", 300_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = pictures(tmp_path)
    (folder / "big.dfc").write_bytes(STREAM)
    return folder


async def test_a_tag_is_found_out_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, read = stream_file._tag, []

    def noted(file: File) -> str:
        read.append(file)
        return real(file)

    monkeypatch.setattr(stream_file, "_tag", noted)
    streams, file = StreamFiles(WorkerPools(1)), File.at(folder / "big.dfc")
    tags = await asyncio.gather(*(streams.tag(file) for _ in range(50)))
    assert set(tags) == {f'"{hashlib.sha256(STREAM).hexdigest()[:32]}"'}
    assert await streams.tag(file) == tags[0]
    assert read == [file]
    file.path.write_bytes(STREAM[:-1])
    assert await streams.tag(File.at(file.path)) != tags[0]
    assert length(file) == len(STREAM)


async def test_so_many_are_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_file, "MOST_TAGS", 2)
    streams = StreamFiles(WorkerPools(1))
    for number in range(4):
        (folder / f"{number}.dfc").write_bytes(STREAM[:100])
        await streams.tag(File.at(folder / f"{number}.dfc"))
    assert len(streams._tags) == 2


async def test_who_leaves_takes_the_answer_from_nobody(folder: Path) -> None:
    streams, file = StreamFiles(WorkerPools(1)), File.at(folder / "big.dfc")
    first, second = (asyncio.create_task(streams.tag(file)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == await streams.tag(file)


async def test_a_link_that_is_swapped_in_gives_nothing(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(STREAM)
    streams, file = StreamFiles(WorkerPools(1)), File.at(folder / "big.dfc")
    file.path.unlink()
    file.path.symlink_to(secret)
    with pytest.raises(RequestRefused):
        await streams.tag(file)
    with pytest.raises(RequestRefused):
        await streams.read(file, 0, 10)


async def test_a_link_that_is_swapped_in_after_the_look(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between finding the file and opening it, between tag and body, and within the body."""
    secret = tmp_path / "secret"
    secret.write_bytes(stream_of("secret", 300_000))
    real, path = File.open, folder / "big.dfc"
    for at in (1, 2, 3):
        opened = [0]

        def swapping(file: File, at: int = at, opened: list[int] = opened) -> object:
            opened[0] += 1
            if opened[0] == at:
                path.unlink()
                path.symlink_to(secret)
            return real(file)

        async with serving(folder) as daemon, asking(daemon, request("/big.dfc")) as reader:
            with monkeypatch.context() as patch:
                patch.setattr(File, "open", swapping)
                status, _ = await head_of(reader)
                body = await reader.read()
        assert status == (200 if at == 3 else 415)
        assert at != 3 or (STREAM.startswith(body) and len(body) < len(STREAM))
        path.unlink()
        path.write_bytes(STREAM)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
async def test_what_cannot_be_read_now_is_told_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def failing(*_: object) -> NoReturn:
        raise OSError(number, "none")

    async with serving(folder) as daemon:
        for place in (
            "diffc_server.encoding.stream_file.File.open",
            "diffc_server.encoding.stream_file.read_block",
        ):
            with monkeypatch.context() as patch:
                patch.setattr(place, failing)
                answer = await ask(daemon, "/big.dfc")
                assert (answer.status, "Retry-After" in answer.fields) == (503, True)
        assert (await ask(daemon, "/big.dfc")).body == STREAM


async def test_ranges_hold_what_they_send(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = source.read_block

    def noted(file: File, position: int, size: int) -> bytes:
        read.append(size)
        return real(file, position, size)

    monkeypatch.setattr(stream_file, "read_block", noted)
    async with serving(folder) as daemon:
        answers = await asyncio.gather(
            *(ask(daemon, "/big.dfc", f"Range: bytes={n}-{n}") for n in range(30))
        )
        assert b"".join(answer.body for answer in answers) == STREAM[:30]
        assert read == [1] * 30
        assert (await ask(daemon, "/big.dfc", "Range: bytes=-5")).body == STREAM[-5:]
        assert (await ask(daemon, "/big.dfc", "Range: bytes=300000-")).status == 416
        assert len(daemon._pipeline._held) == 0
        assert daemon._service.buffers.nbytes == 0


async def test_no_stream_is_none(folder: Path) -> None:
    (folder / "none.dfc").write_bytes(b"something else")
    streams = StreamFiles(WorkerPools(1))
    with pytest.raises(RequestRefused) as caught:
        await streams.tag(File.at(folder / "none.dfc"))
    assert caught.value.code == Code.UNREADABLE_IMAGE
