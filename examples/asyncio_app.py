"""Receive all pictures of a sender at the same time over one link, in an asyncio program.

    python -m examples.asyncio_app ws://127.0.0.1:8765 pictures/ --first coffee.jpg --psnr 30

The sender sends next what improves most by a byte, and the picture of --first counts five times as
much; once it is good enough, the others get the whole link.  The streams are kept, so a program
that was stopped continues where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from diffc_client import Address, FileStream, Sender, Store, connect, outdated
from diffc_stream import DiffcError, save_png
from diffc_stream.threads import wait_asleep

LOOKED_AT = 5.0
"""Weight of the picture of --first."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(prog="asyncio_app", description=__doc__.partition("\n")[0])
    parser.add_argument("url", metavar="URL", help="ws://HOST:PORT")
    parser.add_argument("folder", metavar="DIR", type=Path, help="where pictures and streams go")
    parser.add_argument("--first", metavar="PICTURE", help="the picture that is looked at")
    parser.add_argument("--psnr", metavar="DB", type=float, default=30.0, help="good enough")
    options = parser.parse_args(arguments)
    wait_asleep()
    code = 0
    try:
        asyncio.run(Gallery(options.url, options.folder, options.first, options.psnr).receive())
    except* (DiffcError, OSError) as group:
        for error in group.exceptions:
            print(f"asyncio_app: {error}", file=sys.stderr)
        code = 1
    return code


class Gallery:
    """Pictures of one sender, kept in a folder."""

    def __init__(self, url: str, folder: Path, first: str | None, psnr: float) -> None:
        self._address = Address.parse(url)
        self._folder = folder
        self._store = Store(folder / "streams")
        self._first = first
        self._psnr = psnr

    async def receive(self) -> None:
        """Receive all pictures.  Raises DiffcError or OSError, or a group of them."""
        async with connect(str(self._address)) as sender, asyncio.TaskGroup() as tasks:
            for name in await sender.images():
                tasks.create_task(self._receive(sender, name))

    async def _receive(self, sender: Sender, name: str) -> None:
        with self._store.open(replace(self._address, image=name)) as kept:
            try:
                await self._follow(sender, name, kept)
            except DiffcError as error:
                if not (kept.length and outdated(error)):
                    raise
                kept.restart()  # the sender has replaced the picture
                await self._follow(sender, name, kept)

    async def _follow(self, sender: Sender, name: str, kept: FileStream) -> None:
        out = self._folder / f"{name}.png"
        out.parent.mkdir(parents=True, exist_ok=True)
        weight = LOOKED_AT if name == self._first else 1.0
        async with aclosing(sender.open(name, weight=weight, kept=kept)) as refinements:
            async for refinement in refinements:
                # On a thread, because writing a file would block the other pictures.
                await asyncio.to_thread(save_png, out, refinement.image)
                quality = refinement.predicted_psnr or 0.0
                print(f"{name}: {refinement.bytes:,} bytes, about {quality:.1f} dB")
                if quality >= self._psnr:
                    break  # this tells the sender to stop


if __name__ == "__main__":
    sys.exit(main())
