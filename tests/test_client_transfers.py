"""Streams on their way to a mirror: what touches a disk runs on no event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import stream_of
from mirroring import NAMES, mirroring
from serving import pictures, serving
from virtual_time import VirtualLoop

from diffc_client.mirror import transfer, transfers
from diffc_client.mirror.transfer import Incoming
from diffc_client.remote.links import AnyLink

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]

BY_PATH = ("open", "stat", "unlink", "mkdir", "rmdir", "rename", "replace", "link")
BY_DESCRIPTOR = ("fsync", "ftruncate", "lseek")


class Disk:
    """Sees who touches files below a folder while nothing runs in an executor."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.touched: list[str] = []
        self._patch = patch
        self._within = str(folder.resolve())
        self._away = 0
        execute: Callable[..., Any] = VirtualLoop.run_in_executor

        def elsewhere(*arguments: Any) -> Any:
            self._away += 1
            try:
                return execute(*arguments)
            finally:
                self._away -= 1

        patch.setattr(VirtualLoop, "run_in_executor", elsewhere)

    def watch(self) -> None:
        """Begin to look."""
        for name in (*BY_PATH, *BY_DESCRIPTOR):
            self._watch(name, getattr(os, name))

    def _watch(self, name: str, work: Callable[..., Any]) -> None:
        def watched(*arguments: Any, **more: Any) -> Any:
            below = name in BY_DESCRIPTOR or more.get("dir_fd") is not None
            if not self._away and (below or str(arguments[0]).startswith(self._within)):
                self.touched.append(f"{name} {arguments}")
            return work(*arguments, **more)

        self._patch.setattr(os, name, watched)


async def test_no_disk_is_touched_on_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, kept = pictures(tmp_path), tmp_path / "kept"
    kept.mkdir()
    with monkeypatch.context() as patch:
        disk = Disk(patch, kept)
        async with serving(folder) as daemon, mirroring(kept, daemon.url, delete=True) as watcher:
            disk.watch()
            await watcher.until_complete(*NAMES)
            (folder / "a.png").unlink()
            (folder / "new.png").write_bytes(b"new")
            (folder / "b.png").write_bytes(b"another")
            await watcher.until_complete("new.png")
            await watcher.until(lambda: watcher.complete.count("b.png") == 2)
            await watcher.until(lambda: watcher.mirror.pictures == len(NAMES))
    assert not disk.touched
    assert sorted(path.name for path in kept.glob("*.dfc")) == ["b.png.dfc", "new.png.dfc"]


async def test_what_cannot_be_written_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of the user's is where the sender has a folder."""
    folder, kept = pictures(tmp_path), tmp_path / "kept"
    kept.mkdir()
    (kept / "sub").write_bytes(b"mine")
    asked: list[str] = []
    ask = transfer.ask

    async def noted(link: AnyLink, name: str, *arguments: Any) -> Incoming:
        asked.append(name)
        return await ask(link, name, *arguments)

    monkeypatch.setattr(transfers, "ask", noted)
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete("a.png", "b.png")
        await watcher.until(lambda: "sub/c.jpg" in asked)
        await asyncio.sleep(10 * transfers.RETRY_DISK)
        assert asked.count("sub/c.jpg") == 1
        (folder / "new.png").write_bytes(b"new")
        await watcher.until_complete("new.png")
        assert (kept / "sub").read_bytes() == b"mine"
        (kept / "sub").unlink()
        await watcher.until_complete("sub/c.jpg")
    assert (kept / "sub" / "c.jpg.dfc").read_bytes() == stream_of("c.jpg", 5000)
