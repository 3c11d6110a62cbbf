"""Abuse by those who have not come in yet, of senders and of mirrors that listen.

Each kind comes from an address of its own, and by numbers that stand beside it.
"""

from __future__ import annotations

import random

from diffc_stream.errors import LinkLost
from diffc_stream.session import PUSH_SUBPROTOCOL, SUBPROTOCOL

from .abuse_attack import Attack, keep_up
from .abuse_wire import BINARY, PING, PONG, TEXT, Wire, frame

HELD = 90.0
"""Seconds that a connection is kept if the daemon does not end it."""
_HELLO = bytes.fromhex("1603010200010001fc0303")
"""How a TLS handshake begins."""
_HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


async def idle(attack: Attack) -> None:
    """Keep 1,200 connections up that never even begin TLS; 60 new ones a second."""

    async def once(_: int) -> None:
        wire = await Wire.dial(attack.front, source="127.0.0.2", secure=False)
        try:
            await _held(wire, HELD)
        finally:
            wire.close()

    await keep_up(attack, 1200, 60, once)


async def handshakes(attack: Attack) -> None:
    """Keep 300 handshakes going by a byte a second; 30 new ones a second."""

    async def once(_: int) -> None:
        wire = await Wire.dial(attack.front, source="127.0.0.3", secure=False)
        try:
            await _drip(wire, _HELLO)
        finally:
            wire.close()

    await keep_up(attack, 300, 30, once)


async def requests(attack: Attack) -> None:
    """Keep 100 requests going by a byte a second, within TLS; 10 new ones a second."""

    async def once(_: int) -> None:
        wire = await Wire.dial(attack.front, source="127.0.0.4")
        try:
            await _drip(wire, _HALF)
        finally:
            wire.close()

    await keep_up(attack, 100, 10, once)


async def tokens(attack: Attack) -> None:
    """Try 10 wrong tokens a second, from four addresses."""
    drawn = random.Random(1)

    async def once(number: int) -> None:
        wire = await Wire.dial(attack.front, source=f"127.0.1.{number % 4 + 1}")
        try:
            await wire.upgrade(attack.front, drawn.randbytes(16).hex())
        finally:
            wire.close()

    await keep_up(attack, 8, 10, once)


async def resets(attack: Attack) -> None:
    """Vanish 20 times a second: in the handshake, in the request, in the conversation."""

    async def once(number: int) -> None:
        stage = number % 4
        wire = await Wire.dial(attack.front, source="127.0.0.5", secure=stage > 1)
        try:
            if stage == 1:
                await wire.send(_HELLO)
            elif stage == 2:
                await wire.send(_HALF)
            elif stage == 3:
                await wire.upgrade(attack.front, attack.token, _protocol(attack))
        finally:
            wire.reset()

    await keep_up(attack, 8, 20, once)


async def nonsense(attack: Attack) -> None:
    """Say 20 times a second what nobody understands, before and after the handshakes."""
    drawn = random.Random(2)
    plain = (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"SSH-2.0-OpenSSH\r\n", bytes(64))
    heads = (
        *(b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"),
        *(b"GET /\x1b[2J HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n"),
        *(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"),
    )
    frames = (
        *(
            frame(b"hello", TEXT),
            frame(b"", 3),
            frame(b"x" * 200, PING),
            frame(b"", PONG, fin=False),
        ),
        *(frame(b"", BINARY), frame(b"\x05\xc1"), frame(b"\x99\x90"), frame(bytes(60_000))),
        *(frame(b"\x01\xdd\xff\xff\xff\xff"), b"\x82\x05hello", b"\xff\xff\xff\xff"),
    )

    async def once(number: int) -> None:
        stage = number % 3
        wire = await Wire.dial(attack.front, source="127.0.0.6", secure=stage > 0)
        try:
            if stage == 0:
                await wire.send(drawn.choice((*plain, drawn.randbytes(200))))
            elif stage == 1:
                await wire.send(drawn.choice(heads))
            else:
                await wire.upgrade(attack.front, attack.token, _protocol(attack))
                await wire.send(drawn.choice(frames))
            await _held(wire, 5.0)
        finally:
            wire.close()

    await keep_up(attack, 12, 20, once)


async def _drip(wire: Wire, data: bytes) -> None:
    """Send a byte a second, the last one for ever, until the daemon hangs up."""
    for place in range(int(HELD)):
        await wire.send(data[place : place + 1] or b"a")
        await _held(wire, 1.0)


async def _held(wire: Wire, seconds: float) -> None:
    """Keep a connection up for so long.  Raises LinkLost if the daemon does not."""
    if await wire.gone(seconds):
        raise LinkLost("it hung up")


def _protocol(attack: Attack) -> str:
    return PUSH_SUBPROTOCOL if attack.front.pushed else SUBPROTOCOL
