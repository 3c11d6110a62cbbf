"""What is encoded towards a beginning that nobody proves is bounded, and what is proven is free."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import FakeOpener, stream_of
from http_client import ask, asking, request
from serving import pictures, serving, settled
from websocket_client import HELLO, heard
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from diffc_server import Pipeline
from diffc_server.encoding.resume_claims import TURNS, Claim, Claims
from diffc_server.encoding.shared_stream import LOOK_AHEAD, SharedStream
from diffc_stream.errors import RequestRefused
from diffc_stream.session import SUBPROTOCOL, Code, Data, Error, Open, PrefixHash, Welcome, encode

pytestmark = pytest.mark.asyncio

LENGTH = 20_000


class Clock:
    """Seconds, that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        """Return what time it is."""
        return self.now


async def test_what_is_not_proven_is_lost() -> None:
    clock = Clock()
    claims = Claims(clock, 180)
    async with claims.claim(None) as claim:
        claim.charge(70.0)
    with pytest.raises(RequestRefused, match="could not be proven") as caught:
        async with claims.claim(None):
            pass
    assert (caught.value.code, caught.value.retry) == (Code.BUSY, True)
    assert caught.value.after == pytest.approx(11 * 20)
    clock.now += 11 * 20
    async with claims.claim(None) as claim:
        assert claim.wait() == 0.0


async def test_what_is_proven_costs_nothing_of_any_size() -> None:
    claims = Claims(Clock(), 180)
    for _ in range(10):
        async with claims.claim(None) as claim:
            claim.charge(1000.0)
            claim.prove()


async def test_who_leaves_meanwhile_has_lost_it() -> None:
    claims = Claims(Clock(), 180)
    with pytest.raises(ZeroDivisionError):
        async with claims.claim(None) as claim:
            claim.charge(70.0)
            _ = 1 / 0
    with pytest.raises(RequestRefused):
        async with claims.claim(None):
            pass


async def test_they_take_turns_and_wait_for_no_more_than_is_left() -> None:
    claims, inside, go_on = Claims(Clock(), 180), [0], asyncio.Event()

    async def one() -> bool:
        try:
            async with claims.claim(None) as claim:
                inside[0] += 1
                await go_on.wait()
                claim.charge(100.0)
        except RequestRefused:
            return False
        return True

    tasks = [asyncio.create_task(one()) for _ in range(20)]
    await settled(lambda: inside[0] == TURNS)
    go_on.set()
    assert sum(await asyncio.gather(*tasks)) == inside[0] == TURNS


async def test_the_allowance_may_change() -> None:
    clock = Clock()
    claims = Claims(clock, 180)
    async with claims.claim(None) as claim:
        claim.charge(70.0)
    claims.allow(360)
    async with claims.claim(None) as claim:  # of 120 at once, 50 are left
        claim.charge(60.0)
    with pytest.raises(RequestRefused):
        async with claims.claim(None):
            pass
    claims.allow(0)
    async with claims.claim(None):
        pass
    claims.allow(180)
    async with claims.claim(None):
        pass


async def test_there_may_be_no_limit() -> None:
    claims = Claims(Clock(), 0)
    for _ in range(3):
        async with claims.claim(None) as claim:
            claim.charge(1000.0)


class Slow(FakeOpener):
    """Every piece takes ten seconds, by the clock that is looked at."""

    now = 0.0

    def _pieces(self, name: str, model: str, first: int) -> Iterator[bytes]:
        for piece in super()._pieces(name, model, first):
            Slow.now += 10.0
            yield piece


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    monkeypatch.setattr("diffc_server.threads.encoder_threads.perf_counter", lambda: Slow.now)
    return Slow(length=LENGTH)


async def test_hashing_holds_up_neither_the_event_loop_nor_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the bytes are there already, or are encoded for a claim."""
    threads: list[threading.Thread] = []
    accounts: list[object] = []
    hashed = SharedStream.prefix

    def prefix(self: SharedStream, length: int) -> str | None:
        threads.append(threading.current_thread())
        accounts.extend(account for _, account in self._listeners._users)
        return hashed(self, length)

    monkeypatch.setattr(SharedStream, "prefix", prefix)
    async with serving(pictures(tmp_path), FakeOpener(length=LENGTH)) as daemon:
        for held in (stream_of("a.png", 9000), stream_of("a.png", 5000)):
            assert isinstance(await resumed(daemon.url, "a.png", held, len(held)), Data)
        assert isinstance(await resumed(daemon.url, "a.png", b"made up", 5000), Error)
    assert len(threads) == 3
    assert threading.main_thread() not in threads
    assert not [account for account in accounts if isinstance(account, Claim)]


async def resumed(url: str, name: str, prefix: bytes, start: int) -> Data | Error:
    """Ask to go on from ``start``, and return what is answered first."""
    async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)]) as peer:
        await peer.send(HELLO)
        assert isinstance(await heard(peer), Welcome)
        proof = str(PrefixHash(prefix))
        await peer.send(encode(Open(stream=1, image=name, start=start, prefix=proof)))
        answer = await heard(peer)
        assert isinstance(answer, Data | Error)
        return answer


async def test_forged_resumes_are_not_encoded_for_long(tmp_path: Path, slow: Slow) -> None:
    folder = pictures(tmp_path)
    async with serving(folder, slow) as daemon:
        codes = []
        for name in ("a.png", "b.png", "sub/c.jpg"):
            answer = await resumed(daemon.url, name, b"made up", 10_000)
            assert isinstance(answer, Error)
            codes.append(answer.code)
            if answer.code == Code.BUSY:
                assert answer.retry
                assert answer.after
        assert codes == [Code.PREFIX_MISMATCH, Code.BUSY, Code.BUSY]
        assert set(slow.computed) == {"a.png"}
        # Who proves it by what is encoded already has it, and who says nothing is served.
        held = stream_of("a.png", 5000)
        answer = await resumed(daemon.url, "a.png", held, 5000)
        assert isinstance(answer, Data)
        assert answer.payload == stream_of("a.png", LENGTH)[5000 : 5000 + len(answer.payload)]
        assert isinstance(await resumed(daemon.url, "b.png", b"", 0), Data)


async def test_honest_resumes_go_on_as_ever(tmp_path: Path, slow: Slow) -> None:
    folder = pictures(tmp_path)
    for _ in range(3):  # a sender that starts anew has nothing in memory
        async with serving(folder, slow) as daemon:
            for name, of in (("a.png", "a.png"), ("b.png", "b.png"), ("sub/c.jpg", "c.jpg")):
                held = stream_of(of, 15_000)
                answer = await resumed(daemon.url, name, held, len(held))
                assert isinstance(answer, Data)
                assert answer.offset == len(held)


class Stuck(FakeOpener):
    """Of ``a.png`` no piece ends before it is told to."""

    began, go_on = threading.Event(), threading.Event()

    def _pieces(self, name: str, model: str, first: int) -> Iterator[bytes]:
        for piece in super()._pieces(name, model, first):
            if name == "a.png":
                self.began.set()
                self.go_on.wait()
            yield piece


@pytest.mark.parametrize("ask_for", ["a stream", "a range"])
async def test_a_piece_of_a_claim_keeps_nobody_from_a_new_picture(
    tmp_path: Path, ask_for: str
) -> None:
    Stuck.began, Stuck.go_on = threading.Event(), threading.Event()
    opener = Stuck(length=LENGTH)
    async with serving(pictures(tmp_path), opener) as daemon, asyncio.TaskGroup() as tasks:
        try:
            if ask_for == "a stream":
                forged = resumed(daemon.url, "a.png", b"made up", 10_000)
                claim: asyncio.Task[object] = tasks.create_task(forged)
            else:
                far = ask(daemon, "/a.png.dfc", "Range: bytes=10000-10009")
                claim = tasks.create_task(far)
            await asyncio.to_thread(opener.began.wait)
            assert isinstance(await resumed(daemon.url, "b.png", b"", 0), Data)
            assert not claim.done()
        finally:
            opener.go_on.set()


async def test_who_is_sent_a_stream_does_not_wait_as_claims_of_it_do(tmp_path: Path) -> None:
    """Nor is more of it computed for who has claimed it and left."""
    path = pictures(tmp_path) / "a.png"
    gate = threading.Semaphore(0)
    pipeline = Pipeline(FakeOpener(length=LENGTH, gate=gate))
    stream, demand = pipeline.stream(path), pipeline._workers.encoders._demand
    stream.join(lambda: None)
    claim = asyncio.create_task(stream.reach(15_000, claimed=True))
    await settled(lambda: stream.awake)
    assert not demand.needs(stream)
    stream.want(300)
    assert demand.needs(stream)
    gate.release()
    await settled(lambda: len(stream) == 300)
    assert not demand.needs(stream)
    claim.cancel()
    gate.release(1000)
    await settled(lambda: not stream.busy)
    assert len(stream) <= 300 + LOOK_AHEAD + 300
    pipeline.close()


async def test_far_ranges_are_claims_too(tmp_path: Path, slow: Slow) -> None:
    folder = pictures(tmp_path)
    async with serving(folder, slow) as daemon:
        assert (await ask(daemon, "/a.png.dfc", "Range: bytes=15000-15009")).status == 206
        refused = await ask(daemon, "/b.png.dfc", "Range: bytes=15000-15009")
        assert refused.status == 503
        assert int(refused.fields["Retry-After"]) > 60
        assert "b.png" not in slow.computed
        assert (await ask(daemon, "/b.png.dfc", "Range: bytes=0-9")).status == 206
        async with asking(daemon, request("/b.png.dfc")) as reader:
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
