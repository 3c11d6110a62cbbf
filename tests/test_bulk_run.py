"""All pictures of a place become streams: once, whole, and whatever happens on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from publishing import files
from viewing import scene

from diffc_stream.budget import Budget
from diffc_stream.bulk import encoding, worker
from diffc_stream.bulk import run as module
from diffc_stream.bulk.encoding import Settings
from diffc_stream.bulk.manifest import FOLDER
from diffc_stream.bulk.places import PlaceNotes, place
from diffc_stream.bulk.run import Summary, run
from diffc_stream.bulk.worker import Job
from diffc_stream.cli import main
from diffc_stream.ledger import Ledger
from diffc_stream.order import Order

SETTINGS = Settings(bytes=60)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "sub").mkdir()
    for number, name in enumerate(("a b.png", "c.png", "sub/ü.png")):
        Image.fromarray(scene(32, number)).save(folder / name)
    (folder / "bad.jpg").write_bytes(b"no picture")
    return folder


def encoded(source: Path | str, destination: Path | str, *, workers: int = 1) -> Summary:
    job = Job(source=str(source), destination=str(destination), settings=SETTINGS, model=None)
    return run(job, workers=workers)


def counts(summary: Summary) -> tuple[int, int, int]:
    return summary.encoded, summary.skipped, summary.failed


def streams(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(folder).items() if name.endswith(".dfc")}


def lines(folder: Path) -> list[dict[str, object]]:
    parts = sorted((folder / FOLDER).iterdir())
    return [json.loads(line) for part in parts for line in part.read_text().splitlines()]


def test_streams_are_those_of_diffc_encode(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert counts(encoded(source, out, workers=2)) == (3, 0, 1)
    found = streams(out)
    assert sorted(found) == ["a b.png.dfc", "c.png.dfc", "sub/ü.png.dfc"]
    for name, data in found.items():
        one = tmp_path / "one.dfc"
        picture = source / name.removesuffix(".dfc")
        assert main(["encode", str(picture), str(one), "--bytes", "60"]) == 0
        assert data == one.read_bytes()
    told = {line["name"]: line for line in lines(out)}
    assert (told["c.png"]["bytes"], told["c.png"]["error"]) == (len(found["c.png.dfc"]), None)
    assert "not a picture" in str(told["bad.jpg"]["error"])
    # Again: nothing but the picture that cannot be used.  What is damaged is not whole.
    (out / "c.png.dfc").unlink()
    assert counts(encoded(source, out)) == (1, 2, 1)
    assert streams(out) == found


def test_files_of_others_are_not_touched(source: Path, tmp_path: Path) -> None:
    (tmp_path / "c.png.dfc").write_bytes(b"mine")
    assert counts(encoded(source, tmp_path)) == (2, 0, 2)
    assert (tmp_path / "c.png.dfc").read_bytes() == b"mine"


def test_a_url_is_a_place_too(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    assert counts(encoded(f"file://{source}", f"file://{tmp_path}/out")) == (3, 0, 1)
    assert counts(encoded(source, f"file://{tmp_path}/out")) == (0, 3, 1)
    assert len(streams(tmp_path / "out")) == 3


KILLED = """
import os, signal, sys
from diffc_stream.bulk.encoding import Settings
from diffc_stream.bulk.run import run
from diffc_stream.bulk.worker import Job

if __name__ == "__main__":
    job = Job(source=sys.argv[1], destination=sys.argv[2], settings=Settings(bytes=60), model=None)
    run(job, workers=1, told=lambda name, wrong: wrong or os.killpg(0, signal.SIGKILL))
"""


def test_it_goes_on_after_kill_9(source: Path, tmp_path: Path) -> None:
    script, out = tmp_path / "killed.py", tmp_path / "out"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(source), str(out)]
    done = subprocess.run(command, check=False, start_new_session=True)
    assert done.returncode == -signal.SIGKILL
    before = streams(out)
    assert before
    again = encoded(source, out)
    # Those that were in flight are repeated, at most: some may have been written already.
    assert again.encoded <= 3 - 1
    assert len(streams(out)) == 3


def dying(name: str, done: object) -> object:
    if name == "c.png":
        os._exit(9)
    return None


def test_a_worker_that_dies_costs_its_picture_alone(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "work", dying)
    monkeypatch.setattr(module, "begin", _nothing)
    assert counts(encoded(source, tmp_path, workers=2)) == (0, 3, 1)
    [line] = lines(tmp_path)
    assert (line["name"], line["error"]) == ("c.png", module._DIED)


def _nothing(_job: Job) -> None:
    pass


def test_a_process_that_died_while_nothing_was_in_flight_is_replaced(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dead:
        def submit(self, *_: object) -> object:
            raise BrokenProcessPool

        def shutdown(self, **_: object) -> None:
            pass

    pools = [Dead()]
    pool = module._pool
    monkeypatch.setattr(module, "work", _failing)
    monkeypatch.setattr(module, "begin", _nothing)
    monkeypatch.setattr(module, "_pool", lambda job: pools.pop() if pools else pool(job))
    assert counts(encoded(source, tmp_path)) == (0, 4, 0)


def begin_with_little_memory(job: Job) -> None:
    worker.begin(job)

    def encode_some(data: bytes, *rest: Any) -> object:
        if data == Path(job.source, "c.png").read_bytes():
            raise MemoryError("6.7 GiB\nfor an array")
        return encoding.encode(data, *rest)

    pytest.MonkeyPatch().setattr(worker, "encode", encode_some)  # the process's, which ends


def test_whatever_a_library_raises_costs_its_picture_alone(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "begin", begin_with_little_memory)
    assert counts(encoded(source, tmp_path)) == (2, 0, 2)
    told = {line["name"]: line["error"] for line in lines(tmp_path)}
    assert told["c.png"] == "MemoryError: 6.7 GiB for an array"


@pytest.mark.parametrize(
    ("engine", "options", "code", "told"),
    [("", ["--model", "{}/no.safetensors"], 6, "no.safetensors"), ("foo", [], 2, "DIFFC_ENGINE")],
)
def test_a_model_that_cannot_be_used_is_told_before_anything_is_made(
    engine: str,
    options: list[str],
    code: int,
    told: str,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if engine:
        monkeypatch.setenv("DIFFC_ENGINE", engine)
    monkeypatch.setattr(module, "run", lambda *_, **__: pytest.fail("it begins"))
    out = tmp_path / "out"
    given = [option.format(tmp_path) for option in options]
    assert main(["bulk", str(source), str(out), "--bytes", "60", *given]) == code
    [line] = capsys.readouterr().err.splitlines()
    assert told in line
    assert not out.exists()


def test_what_cannot_be_used_is_told_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    Image.fromarray(scene(32, 1)).save(source / "good.png")
    (source / "two\u2028lines.png").write_bytes(b"")
    (source / "old\u2028stream.dfc").write_bytes(b"")  # which is no picture
    assert main(["bulk", str(source), str(out), "--bytes", "60", "--workers", "1"]) == 4
    said, complained = capsys.readouterr()
    assert "1 encoded" in said
    assert "1 left out" in said
    assert complained.startswith("diffc: two\\u2028lines.png: its name ")
    assert "1 of 2 pictures were left out" in complained
    told = {line["name"]: line["error"] for line in lines(out)}
    assert {*told} == {"good.png", "two\\u2028lines.png"}
    camera = Job(
        source=str(source), destination=str(out), settings=SETTINGS, model=None, key_every=60
    )
    assert counts(run(camera, workers=1)) == (0, 1, 1)


def test_many_small_pictures_are_taken_a_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def names(*_: object) -> object:
        nonlocal asked
        for number in range(10_000):
            asked = number
            yield f"{number}.png"

    monkeypatch.setattr(module, "pictures", names)
    monkeypatch.setattr(module, "work", _failing)
    monkeypatch.setattr(module, "begin", _nothing)
    behind = []
    done = 0

    def told(_name: str, _wrong: str | None) -> None:
        nonlocal done
        done += 1
        behind.append(asked - done)

    job = Job(source="", destination=str(tmp_path), settings=SETTINGS, model=None)
    assert run(job, workers=2, told=told).skipped == 10_000
    assert max(behind) <= module.AHEAD * 2


def _failing(_name: str, _done: object) -> None:
    return None


def test_a_budget_ends_a_run_and_the_next_goes_on(source: Path, tmp_path: Path) -> None:
    out, now = tmp_path / "out", [20_000 * 86_400.0]
    job = Job(source=str(source), destination=str(out), settings=SETTINGS, model=None)
    order = Order(first=("sub/*", "c*"))

    def ledger() -> Ledger:
        notes = PlaceNotes(place(str(out), make=True), "spent.json")
        return Ledger(Budget(day=125, zone=UTC), notes, clock=lambda: now[0])

    first = run(job, workers=1, order=order, ledger=ledger())
    assert (first.encoded, first.spent, first.bytes) == (2, True, 120)
    assert sorted(streams(out)) == ["c.png.dfc", "sub/ü.png.dfc"]
    again = run(job, workers=1, order=order, ledger=ledger())
    assert (again.encoded, again.skipped, again.spent) == (0, 0, True)
    now[0] += 86_400
    last = run(job, workers=1, order=order, ledger=ledger())
    assert (last.encoded, last.skipped, last.failed, last.spent) == (1, 2, 1, False)
    (out / "spent.json").write_bytes(b"{")
    assert ledger().room() == 0
    assert (out / "spent.json.damaged").read_bytes() == b"{"


def test_the_newest_first(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dated"
    folder.mkdir()
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        (folder / name).write_bytes(b"")
        os.utime(folder / name, (number, number))
    assert list(module.pictures(str(folder), Order(newest=True))) == ["c.png", "b.png", "a.png"]
    assert next(module.pictures(str(folder), Order(newest=True, first=("b*",)))) == "b.png"
    assert list(module.pictures(str(folder))) == ["a.png", "b.png", "c.png"]
