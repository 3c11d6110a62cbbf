"""How far a stream goes on its way to one receiver."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from fakes import StreamOpener
from serving import settled
from sources import LARGE, long_stream

from diffc_server import Pipeline
from diffc_server.encoding.pipeline import LOOK_AHEAD, SharedStream
from diffc_server.websocket import outbound_stream
from diffc_server.websocket.outbound_stream import OutboundStream
from diffc_stream.codec import Curve
from diffc_stream.session import MAX_STREAM, Open, Update
from diffc_stream.session.interleaving import Outlook, Turn

DATA = long_stream()
PIXELS = LARGE.height * LARGE.width
CURVE = Curve()
CURVE.feed(DATA)
PIPELINES: list[Pipeline] = []


@pytest_asyncio.fixture(autouse=True)
async def _nothing_goes_on() -> AsyncIterator[None]:
    """Close the pipelines of a test: what looks ahead would compute on."""
    yield
    while PIPELINES:
        PIPELINES.pop().close()


async def shared(folder: Path, held: int, *, broken: bool = False) -> SharedStream:
    """Return the stream of DATA with the first ``held`` bytes computed, in hundreds."""
    (folder / "a.png").write_bytes(b"")
    PIPELINES.append(Pipeline(StreamOpener({"a.png": DATA}, broken=broken)))
    stream = PIPELINES[-1].stream(folder / "a.png")
    await stream.reach(held)
    stream.join(lambda: None)
    return stream


async def sent(
    folder: Path, held: int, wanted: Open | Update, *, broken: bool = False
) -> OutboundStream:
    return OutboundStream(1, "a.png", await shared(folder, held, broken=broken), wanted)


def wanting(
    *,
    bytes: int | None = None,  # noqa: A002
    bpp: float | None = None,
    side: int | None = None,
    psnr: float | None = None,
    weight: float = 1.0,
) -> Update:
    return Update(stream=1, bytes=bytes, bpp=bpp, side=side, psnr=psnr, weight=weight)


def reached(psnr: float, held: int) -> int | None:
    """Return where a stream of which so much is known is first as good as that."""
    known = Curve()
    known.feed(DATA[:held])
    steps = zip(known.offsets[1:], known.psnr()[1:], strict=True)
    return next((offset for offset, quality in steps if quality >= psnr), None)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wanted", "limit"),
    [
        (wanting(), MAX_STREAM),
        (wanting(bytes=700), 700),
        (wanting(bpp=0.5), PIXELS // 16),
        (wanting(bytes=700, bpp=0.5), 700),
        (wanting(bytes=2000, bpp=0.5), PIXELS // 16),
    ],
)
async def test_bytes_are_known_at_once(tmp_path: Path, wanted: Update, limit: int) -> None:
    stream = await sent(tmp_path, 100, wanted)
    assert stream.limit(0) == (limit, True)
    assert stream.limit(limit - 1) == (limit, True)


@pytest.mark.asyncio
async def test_what_has_been_sent_cannot_be_taken_back(tmp_path: Path) -> None:
    for wanted in (wanting(bytes=700), wanting(side=16)):
        stream = await sent(tmp_path, 2000, wanted)
        assert stream.limit(1500) == (1500, True)
        assert stream.plan(1500, 0, alone=True).outlook is None


@pytest.mark.asyncio
@pytest.mark.parametrize("side", [1, 16, 17, 33, 64, 65, 128, 500])
async def test_a_side_ends_where_an_octave_opens(tmp_path: Path, side: int) -> None:
    opening = CURVE.opening(side)
    stream = await sent(tmp_path, 1000, wanting(side=side))
    assert stream.limit(0) == (opening or MAX_STREAM, True)
    assert (opening is None) == (side > 64)
    found = stream.plan(0, 0, alone=True).outlook
    assert found is not None
    assert found.end == (opening or 1000)
    assert found.last == (opening is not None)


@pytest.mark.asyncio
async def test_an_opening_that_has_not_come_yet(tmp_path: Path) -> None:
    opening = CURVE.opening(64)
    assert opening is not None
    assert opening > 300
    stream = await sent(tmp_path, 300, wanting(side=64))
    assert stream.limit(0) == (MAX_STREAM, True)
    await stream.shared.reach(opening + 100)
    assert stream.limit(0) == (opening, True)


@pytest.mark.asyncio
@pytest.mark.parametrize("psnr", [20.0, 22.0, 25.0, 28.0])
async def test_a_quality_is_settled_once_enough_is_known_beyond(
    tmp_path: Path, psnr: float
) -> None:
    stream = await sent(tmp_path, 100, wanting(psnr=psnr))
    seen = []
    for held in range(200, len(DATA) + 100, 100):
        await stream.shared.reach(held)
        known = min(held, len(DATA))
        limit, sure = stream.limit(0)
        assert limit == (reached(psnr, known) or MAX_STREAM)
        if limit == MAX_STREAM:
            assert sure  # that it has to go on
        else:
            assert sure == (known >= limit + LOOK_AHEAD or stream.shared.complete)
            seen += [limit] if sure else []
    # What was settled stays, within a step or two.
    steps = [CURVE.offsets.index(limit) for limit in seen]
    assert all(abs(b - a) <= 2 for a, b in itertools.pairwise(steps))
    assert len(set(seen)) <= 2
    assert seen[-1] == reached(psnr, len(DATA))


@pytest.mark.asyncio
async def test_a_quality_at_the_end_of_a_stream_is_settled(tmp_path: Path) -> None:
    last = CURVE.psnr()[-1]
    stream = await sent(tmp_path, len(DATA), wanting(psnr=last))
    await settled(lambda: stream.shared.complete or stream.shared._task is None)
    await stream.shared.reach(len(DATA) + 1)
    assert stream.limit(0) == (CURVE.offsets[-1], True)
    stream.change(wanting(psnr=last + 1))
    assert stream.limit(0) == (MAX_STREAM, True)


@pytest.mark.asyncio
async def test_a_quality_is_settled_if_nothing_will_come_any_more(tmp_path: Path) -> None:
    last = CURVE.psnr()[-1]
    stream = await sent(tmp_path, len(DATA), wanting(psnr=last), broken=True)
    limit, sure = stream.limit(0)
    assert (limit, sure) == (CURVE.offsets[-1], False)
    stream.plan(limit, 1000, alone=True)
    await settled(lambda: stream.shared.failure is not None)
    assert stream.limit(limit) == (limit, True)


@pytest.mark.asyncio
async def test_whoever_asks_for_little_gets_a_first_step(tmp_path: Path) -> None:
    """The header alone is nothing to look at."""
    stream = await sent(tmp_path, 5000, wanting(psnr=0.1))
    assert stream.limit(0) == (CURVE.offsets[1], True)


@pytest.mark.asyncio
async def test_of_several_targets_the_first_counts(tmp_path: Path) -> None:
    stream = await sent(tmp_path, 8000, wanting())
    good, opening = reached(25.0, 8000), CURVE.opening(64)
    assert good is not None
    assert opening is not None
    for wanted, limit in (
        (wanting(psnr=25.0, bytes=good + 1), good),
        (wanting(psnr=25.0, bytes=good - 1), good - 1),
        (wanting(psnr=25.0, side=64), min(good, opening)),
        (wanting(psnr=25.0, side=128), good),
        (wanting(psnr=99.0, bytes=4000, side=128), 4000),
        (wanting(bytes=4000, side=64), opening),
        (wanting(bytes=100, side=64, psnr=25.0, bpp=99.0), 100),
    ):
        stream.change(wanted)
        assert stream.limit(0) == (limit, True)


@pytest.mark.asyncio
async def test_bytes_need_no_look_ahead(tmp_path: Path) -> None:
    """A quality that is not settled does not hold up what fewer bytes settle."""
    stream = await sent(tmp_path, 3000, wanting(psnr=25.0))
    limit, sure = stream.limit(0)
    assert not sure
    stream.change(wanting(psnr=25.0, bytes=limit))
    assert stream.limit(0) == (limit, True)


@pytest.mark.asyncio
async def test_an_update_replaces_everything(tmp_path: Path) -> None:
    stream = await sent(tmp_path, 2000, Open(stream=1, image="a.png", bytes=700, weight=3.0))
    found = stream.plan(0, 0, alone=True).outlook
    assert found is not None
    assert (found.end, found.last, found.weight) == (700, True, 3.0)
    stream.change(wanting())
    found = stream.plan(700, 0, alone=True).outlook
    assert found is not None
    assert (found.end, found.last, found.weight) == (2000, False, 1.0)


@pytest.mark.asyncio
async def test_an_outlook_is_what_can_be_sent_now(tmp_path: Path) -> None:
    stream = await sent(tmp_path, 500, wanting())
    found = stream.plan(100, 0, alone=True).outlook
    assert found is not None
    assert (found.position, found.end, found.last) == (100, 500, False)
    curve = Curve()
    curve.feed(DATA[:500])
    assert (found.offsets, found.psnr) == (curve.offsets, curve.psnr())
    assert found.boundaries == curve.boundaries
    assert stream.plan(500, 0, alone=True).outlook is None
    await stream.shared.reach(len(DATA) + 1)
    found = stream.plan(500, 0, alone=True).outlook
    assert found is not None
    assert (found.end, found.last) == (len(DATA), True)


@pytest.mark.asyncio
async def test_the_last_bytes_of_a_stream_that_failed_do_not_wait(tmp_path: Path) -> None:
    stream = await sent(tmp_path, len(DATA), wanting(), broken=True)
    stream.plan(len(DATA), 1000, alone=True)
    await settled(lambda: stream.shared.failure is not None)
    found = stream.plan(len(DATA) - 1, 0, alone=True).outlook
    assert found is not None
    assert found.last


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wanted", "length"),
    [
        (wanting(), 500 + 1000 + LOOK_AHEAD),
        (wanting(bytes=700), 700),
        (wanting(bytes=9000), 500 + 1000 + LOOK_AHEAD),
        # Until it is settled, and in case it is not where it seems.
        (wanting(psnr=20.0), 500 + 1000 + LOOK_AHEAD),
    ],
)
async def test_only_so_much_is_computed(tmp_path: Path, wanted: Update, length: int) -> None:
    stream = await sent(tmp_path, 400, wanted)
    stream.plan(500, 1000, alone=True)
    await settled(lambda: stream.shared._task is None)
    assert length <= len(stream.shared) < length + 100


@pytest.mark.asyncio
async def test_what_has_not_changed_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Outlook] = []

    def counted(outlook: Outlook, *, alone: bool) -> Turn:
        asked.append(outlook)
        return Turn(outlook.end, float(len(asked)))

    monkeypatch.setattr(outbound_stream, "turn", counted)
    stream = await sent(tmp_path, 500, wanting())

    def turn(position: int, *, alone: bool = False) -> float:
        answer = stream.plan(position, 1000, alone=alone).turn
        assert answer is not None
        return answer.gain

    assert [turn(100), turn(100), turn(100)] == [1.0, 1.0, 1.0]
    assert turn(200) == turn(200) == 2.0
    assert turn(200, alone=True) == turn(200, alone=True) == 3.0
    stream.change(wanting(weight=2.0))
    assert turn(200, alone=True) == turn(200, alone=True) == 4.0
    stream.change(wanting(bytes=400, weight=2.0))
    assert turn(200, alone=True) == turn(200, alone=True) == 5.0
    await stream.shared.reach(600)
    stream.change(wanting(weight=2.0))
    assert turn(200, alone=True) == turn(200, alone=True) == 6.0
