"""Objects somewhere else, by URL."""

from __future__ import annotations

import builtins
import errno
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from diffc_server.cache import object_store as module
from diffc_server.cache.backend import SUFFIX, Backend
from diffc_server.cache.object_store import TRIAL, ObjectStore, _time
from diffc_stream.errors import AddressError, MissingPackage

NAME = "0" * 64 + SUFFIX
OTHER = "1" * 64 + SUFFIX


@pytest.fixture(params=["memory", "local"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield f"local://{tmp_path}/store"
        return
    MemoryFileSystem.store.clear()
    yield "memory://bucket/streams"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def test_what_is_written_is_read(url: str) -> None:
    backend: Backend = ObjectStore(url)
    assert backend.read(NAME) is None
    assert backend.entries() == []
    for data in (b"short", b"something longer", b"other"):
        backend.write(NAME, data)
        assert backend.read(NAME) == data
    backend.write(OTHER, b"")
    with fsspec.open(f"{url}/notes.txt", "wb") as file:
        file.write(b"mine")
    assert {entry.name: entry.size for entry in ObjectStore(url).entries()} == {NAME: 5, OTHER: 0}
    with backend.locked():
        backend.remove(NAME)
        backend.remove(NAME)
    assert backend.read(NAME) is None
    assert url.removeprefix("memory://") in backend.where or "store" in backend.where


def test_what_this_process_used_counts(url: str) -> None:
    other, backend = ObjectStore(url), ObjectStore(url)
    other.write(NAME, b"")
    [before] = backend.entries()
    backend.touch(NAME)
    [after] = backend.entries()
    assert after.used >= before.used
    backend.remove(NAME)
    assert backend.entries() == []


def test_whatever_goes_wrong_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = ObjectStore("memory://bucket/streams")

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the far end\nsays no")

    for method in ("cat_file", "pipe_file", "ls", "rm_file"):
        monkeypatch.setattr(MemoryFileSystem, method, fail)
    for attempt in (
        lambda: backend.read(NAME),
        lambda: backend.write(NAME, b""),
        lambda: backend.remove(NAME),
        backend.entries,
    ):
        with pytest.raises(OSError, match=r"RuntimeError: the far end says no$"):
            attempt()


def test_a_place_that_may_only_be_read_is_not_ready(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = ObjectStore(url)
    backend.check()
    refused = PermissionError(errno.EACCES, "Access Denied")

    def refuse(*_: object, **__: object) -> None:
        raise refused

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "pipe_file", refuse)
        patch.setattr(module, "replacing", refuse)
        backend.check()  # Nothing has been written yet: it need not be tried.
        with pytest.raises(PermissionError):
            backend.write(NAME, b"")
        for _ in range(2):
            with pytest.raises(PermissionError, match="Access Denied"):
                backend.check()
    backend.check()  # A sender to which nobody comes meanwhile finds out, too.
    assert backend.entries() == []
    assert backend.read(TRIAL) is None


def test_passwords_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    class Host:
        protocol = ("ftp",)

        def makedirs(self, *_: object, **__: object) -> None:
            pass

    def url_to_fs(_: str, **__: object) -> tuple[Host, str]:
        return Host(), "/streams/"

    monkeypatch.setattr("fsspec.core.url_to_fs", url_to_fs)
    assert ObjectStore("ftp://me:secret@host/streams/").where == "ftp:///streams"


def test_a_place_that_nobody_knows() -> None:
    with pytest.raises(AddressError, match="not a valid place for a store: Protocol not known"):
        ObjectStore("nonsense://bucket/streams")
    with pytest.raises(AddressError, match="not a valid place for a store: name a bucket"):
        ObjectStore("memory://")


def test_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("fsspec"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingPackage, match=r"pip install 'diffc-stream\[remote\]'"):
        ObjectStore("memory://bucket/streams")


def test_without_what_the_place_needs() -> None:
    if find_spec("s3fs"):
        pytest.skip("it is here")
    with pytest.raises(MissingPackage, match=r"needs another package: .*s3fs"):
        ObjectStore("s3://bucket/streams")


def test_times_of_all_kinds() -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    for facts in (
        {"mtime": moment.timestamp()},
        {"LastModified": moment},
        {"updated": "2026-11-21T00:00:00Z"},
    ):
        assert _time(facts) == moment.timestamp()
    assert _time({"mtime": None, "created": "yesterday"}) == 0.0
