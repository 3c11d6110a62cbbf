"""Daemons for the benchmark of abuse, and its adversaries on them, for a moment."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from authority import Issued, issue
from fakes import FINGERPRINT, FakeOpener
from serving import serving, settled

from diffc_benchmarks.abuse_adversary import MIRROR, SENDER, Abuse
from diffc_benchmarks.abuse_attack import Attack, Prey
from diffc_benchmarks.abuse_files import MARK
from diffc_benchmarks.abuse_tally import Tally
from diffc_benchmarks.abuse_wire import Front
from diffc_benchmarks.link_transfers import Streams, stream
from diffc_client import Listener, Mirror
from diffc_client.mirror.authentication import by_token
from diffc_server import Source
from diffc_server.auth.access_control import AccessControl
from diffc_stream.transport.tokens import Tokens, add_token

ONE = "one.dfc"


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return issue(tmp_path)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A file of tokens, and who has which."""
    file = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    names = dict.fromkeys(["honest", *SENDER, *MIRROR])
    return file, {name: add_token(file, name) for name in names}


@pytest.fixture
def tokens(known: tuple[Path, dict[str, str]], tmp_path: Path) -> dict[str, str]:
    file, tokens = known
    shutil.copy(file, tmp_path / "tokens.toml")
    return tokens


@pytest.fixture
def prey(tmp_path: Path) -> Prey:
    folder, secret = tmp_path / "served", tmp_path / "secret"
    folder.mkdir()
    secret.mkdir()
    (folder / ONE).write_bytes(stream(2000, 0))
    (folder / "photo.png").write_bytes(b"photo")
    for name in ("key.dfc", "key.png"):
        (secret / name).write_bytes(stream(200, 0) + MARK)
    return Prey(
        model=FINGERPRINT,
        ready=(ONE,),
        large=ONE,
        photos=("photo.png",),
        folder=str(folder),
        secret=str(secret),
        own=("mine.dfc", "mine2.png"),
    )


class Either(FakeOpener):
    """Opens streams as they are, and whatever else as a picture."""

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        if path.suffix == ".dfc":
            return Streams().open(path, model, prefix)
        return super().open(path, model, prefix)


@asynccontextmanager
async def sender(tmp_path: Path, issued: Issued, tokens: dict[str, str]) -> AsyncIterator[Front]:
    """Run a sender that is in here, and yield what is known of it outside."""
    reception = AccessControl(
        tokens=Tokens(tmp_path / "tokens.toml"),
        secure=True,
        clock=asyncio.get_running_loop().time,
    )
    folder = tmp_path / "served"
    async with serving(
        folder, Either(), reception=reception, certificate=issued.certificate
    ) as daemon:
        yield Front(port=daemon.port, ca=str(issued.ca), tokens=tokens)


@asynccontextmanager
async def mirror(tmp_path: Path, issued: Issued, tokens: dict[str, str]) -> AsyncIterator[Front]:
    """The same for a mirror."""
    async with Listener(
        tmp_path / "kept",
        make=lambda _, folder: Mirror(folder, delete=True, most_bytes=2**20),
        authenticate=by_token(Tokens(tmp_path / "tokens.toml")),
        tls=issued.certificate.context,
    ) as listener:
        yield Front(port=listener.port, ca=str(issued.ca), tokens=tokens, pushed=True)


async def ticks() -> None:
    """Let the event loop do what it has to do, and what follows from that."""
    for _ in range(100):
        await asyncio.sleep(0)


async def tried(kind: str, known: Mapping[str, Abuse], front: Front, prey: Prey) -> Tally:
    """Abuse until it has been tried, and what is done to it has come to something."""
    attack = Attack(front=front, prey=prey, who=kind, share=0.01)
    run = known[kind]
    task = asyncio.create_task(run(attack))
    await settled(lambda: task.done() or bool(attack.tally.tried and attack.tally.most_held))
    await asyncio.wait([task], timeout=0.2)
    assert not task.done() or task.exception() is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await ticks()  # for what was dropped to be closed
    return attack.tally
