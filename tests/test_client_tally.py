"""How far a mirror has come."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from diffc_client.mirror.state import Record, Records
from diffc_client.mirror.tally import Counting, Tally
from diffc_client.mirror.transfers import Transfers
from diffc_stream.session import MAX_STREAM, WHOLE, Entry, Reason, Target


def record(
    name: str,
    *,
    size: int = 7,
    ended: int | None = None,
    held: int = 0,
    refused: bool = False,
) -> Record:
    return Record(
        entry=Entry(name=name, size=size, time=0, thumbprint="0" * 16),
        ended=None if ended is None else Reason.COMPLETE,
        length=ended or 0,
        held=held,
        refused=refused,
    )


def test_an_empty_one_is_done() -> None:
    assert Tally.of([], WHOLE) == Tally()
    assert str(Tally()) == "0 of 0 pictures; 0 bytes here, about 0 to come"


def test_streams_are_taken_to_be_as_long_as_others_are() -> None:
    records = [
        *(record("a.png", ended=1000), record("b.png", ended=3000)),
        *(record("c.png", held=500), record("d.png", held=5000), record("e.png", refused=True)),
    ]
    tally = Tally.of(records, WHOLE)
    assert tally == Tally(pictures=5, whole=2, refused=1, held=9500, left=1500)
    assert tally.missing == 2
    assert str(tally) == ("2 of 5 pictures, 1 refused; 9,500 bytes here, about 1,500 to come")


def test_until_one_is_whole_nobody_knows() -> None:
    tally = Tally.of([record("a.png", held=10), record("ready.dfc", size=100)], WHOLE)
    assert (tally.held, tally.left) == (10, None)
    assert str(tally).endswith("an unknown number to come")


def test_no_stream_is_longer_than_any_whatever_a_sender_says() -> None:
    assert Tally.of([record("huge.dfc", size=2**53, held=200)], WHOLE).left == MAX_STREAM - 200


def test_what_is_ready_or_asked_for_is_known() -> None:
    records = [record("ready.DFC", size=5000, held=200), record("a.png", held=300)]
    assert Tally.of(records, Target(bytes=1000)).left == 800 + 700
    assert Tally.of(records[:1], WHOLE).left == 4800


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_it_is_told_while_something_comes(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.INFO, "diffc_client")
    coming = record("a.dfc", size=9000)
    records = Records(images={"a.dfc": coming})
    transfers = cast(Transfers, SimpleNamespace(running=1))
    counting = Counting(records, WHOLE, every=60.0)
    telling = asyncio.create_task(counting.keep_told(tmp_path, transfers))
    await asyncio.sleep(1)
    coming.held = 6000
    await asyncio.sleep(15)
    assert counting.tally.held == 6000
    assert not caplog.messages
    await asyncio.sleep(50)
    [line] = caplog.messages
    assert line.endswith(
        "0 of 1 pictures; 6,000 bytes here, about 3,000 to come, at 100 bytes a second"
    )
    coming.ended, coming.length = Reason.COMPLETE, 9000
    await asyncio.sleep(60)
    assert "1 of 1 pictures; 9,000 bytes here, about 0 to come" in caplog.messages[1]
    await asyncio.sleep(600)
    assert len(caplog.messages) == 2
    telling.cancel()
