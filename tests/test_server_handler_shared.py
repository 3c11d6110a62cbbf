"""Plain HTTP requests to senders that share a store, and whose encoders may differ."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes import FakeOpener, stream_of
from http_client import ask
from serving import pictures, serving, settled

from diffc_server import Pipeline, open_store

pytestmark = pytest.mark.asyncio
LENGTH = 5000
STREAM = stream_of("a.png", LENGTH)
OWN, OTHER = "0" * 16, "1" * 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


def pipeline(home: Path, engine: str) -> Pipeline:
    return Pipeline(FakeOpener(), store=open_store(str(home / "store")), engine=engine)


async def test_what_a_sender_with_another_encoder_began_is_gone_on_with(
    folder: Path, tmp_path: Path
) -> None:
    async with serving(folder, pipeline=pipeline(tmp_path, OTHER)) as daemon:
        begun = await ask(daemon, "/a.png.dfc", "Range: bytes=0-999")
    async with serving(folder, pipeline=pipeline(tmp_path, OWN)) as daemon:
        # Whoever holds the other's beginning begins anew, because the rest may differ.
        again = await ask(daemon, "/a.png.dfc", "Range: bytes=1000-", f"If-Range: {begun.tag}")
        assert (again.status, again.body) == (200, STREAM)
        assert again.tag != begun.tag
        rest = await ask(daemon, "/a.png.dfc", "Range: bytes=1000-", f"If-Range: {again.tag}")
        assert (rest.status, rest.body) == (206, STREAM[1000:])


async def test_an_answer_is_never_of_two_tags(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffc_server.encoding.sharing.FOLLOW", 0.001)
    holder = pipeline(tmp_path, OTHER)
    other = holder.stream(folder / "a.png")
    other.join(lambda: None)
    async with serving(folder, pipeline=pipeline(tmp_path, OWN)) as daemon:
        assert (await ask(daemon, "/a.png.dfc", method="HEAD")).status == 200
        await other.reach(1000)
        # The tag was that of this sender's encoder, but the bytes will be another's.
        asking = asyncio.create_task(ask(daemon, "/a.png.dfc", "Range: bytes=0-999"))
        await settled(lambda: daemon._pipeline._metrics.leases["elsewhere"] == 1)
        other.rest()
        answer = await asking
        assert (answer.status, answer.fields["Retry-After"]) == (503, "1")
        answer = await ask(daemon, "/a.png.dfc", "Range: bytes=0-999")
        assert (answer.status, answer.body) == (206, STREAM[:1000])
    await settled(lambda: not other.busy)
    holder.close()
