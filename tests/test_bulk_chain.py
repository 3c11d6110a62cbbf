"""The pictures of a fixed camera start from one another, whoever encodes them, and how often."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from publishing import SIDE, files, followed

from diffc_stream.bulk import run as module
from diffc_stream.bulk import worker
from diffc_stream.bulk.chain import Chain
from diffc_stream.bulk.encoding import Settings
from diffc_stream.bulk.manifest import FOLDER, Line
from diffc_stream.bulk.periods import ordered, periods
from diffc_stream.bulk.places import Found, place
from diffc_stream.bulk.run import Summary, run
from diffc_stream.bulk.worker import Job
from diffc_stream.cli import main
from diffc_stream.container import Header
from diffc_stream.diffusion.collection import default_model
from diffc_stream.order import Order

SETTINGS = Settings(bpp=0.5)
HOUR = 3600 * 10**9


def found(name: str, seconds: int, *, linked: bool = False) -> Found:
    time = 400_000 * HOUR + seconds * 10**9
    return Found(name=name, time=time // 10**9, nanoseconds=time, linked=linked)


def names(*given: Found, key_every: float | None = 3600, order: Order | None = None) -> list[str]:
    whole = ordered(periods(given, key_every), order)
    return [" ".join(one.name for one in period) for period in whole]


def test_periods_are_of_a_folder_in_order_of_time() -> None:
    given = (
        *(found("b.png", 10), found("a.png", 20), found("s/a.png", 15), found("c.png", 3600)),
        *(found("d.png", 20), found("old.dfc", 12), found("newest.png", 20, linked=True)),
    )
    assert sorted(names(*given)) == [
        "b.png a.png d.png",
        "c.png",
        "newest.png",
        "old.dfc",
        "s/a.png",
    ]
    assert len(names(*given, key_every=None)) == len(given)
    assert len(names(*given, key_every=1)) == len(given) - 1  # two were taken at once


def test_a_period_comes_when_the_first_of_its_pictures_would() -> None:
    given = (found("a.png", 10), found("b.png", 20), found("c.png", 3600), found("s/d.png", 30))
    assert names(*given, order=Order(newest=True)) == ["c.png", "s/d.png", "a.png b.png"]
    assert names(*given, order=Order(first=("b*", "s/*"))) == ["a.png b.png", "s/d.png", "c.png"]


def encoded(source: Path, out: Path, *, workers: int = 1, key_every: float = 180) -> Summary:
    job = Job(
        source=str(source), destination=str(out), settings=SETTINGS, model=None, key_every=key_every
    )
    return run(job, workers=workers)


def streams(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(out).items() if name.endswith(".dfc")}


def starts(out: Path) -> dict[str, str | None]:
    """Return what each stream starts from, which has to be there."""
    told = {}
    for name, data in streams(out).items():
        said = Header.parse(data)[0].reference
        assert said is None or said.matches((out / said.name).read_bytes())
        told[name] = None if said is None else said.name
    return told


CHAINS = {
    "0.png.dfc": None,
    "1.png.dfc": "0.png.dfc",
    "2.png.dfc": "1.png.dfc",
    "3.png.dfc": None,
    "4.png.dfc": "3.png.dfc",
}


def test_streams_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    source = followed(tmp_path / "source", range(5))
    (source / "bad.png").write_bytes(b"no picture")
    os.utime(source / "bad.png", (1, 1))
    out = tmp_path / "out"
    assert encoded(source, out).encoded == 5
    assert starts(out) == CHAINS
    assert encoded(source, tmp_path / "other", workers=2).failed == 1
    assert streams(tmp_path / "other") == streams(out)
    # Any of them decodes where it is.
    assert main(["decode", str(out / "2.png.dfc"), str(tmp_path / "2.png")]) == 0
    # What is missing is encoded as before; the rest is not encoded again.
    before = streams(out)
    (out / "1.png.dfc").unlink()
    again = encoded(source, out)
    assert (again.encoded, again.skipped, again.failed) == (1, 4, 1)
    assert streams(out) == before


def test_after_a_deleted_picture_streams_are_others(tmp_path: Path) -> None:
    source, out = followed(tmp_path / "source", range(5)), tmp_path / "out"
    encoded(source, out)
    (source / "1.png").unlink()
    again = encoded(source, out)
    assert (again.encoded, again.skipped) == (1, 3)
    assert starts(out) == {**CHAINS, "2.png.dfc": "0.png.dfc"}
    (source / "0.png").write_bytes(b"no picture")
    os.utime(source / "0.png", (1, 1))
    assert encoded(source, out).failed == 1
    assert starts(out)["2.png.dfc"] is None


def test_a_period_goes_on_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = followed(tmp_path / "source", range(3)), tmp_path / "out"
    encoded(source, out)
    whole = streams(out)
    shutil.rmtree(out / FOLDER)
    (out / "2.png.dfc").unlink()
    model = default_model()
    places = place(str(source)), place(str(out))
    monkeypatch.setattr(worker, "_worker", worker._Worker(*places, SETTINGS, model, Chain(model)))
    line = worker.work("2.png", None, ("0.png", "1.png"))
    assert line is not None
    assert line.error is None
    assert streams(out) == whole
    # Without one of those before, it is a key picture.
    (out / "1.png.dfc").unlink()
    (out / "2.png.dfc").unlink()
    assert worker._worker is not None
    worker._worker.last = ""
    assert worker.work("2.png", None, ("0.png", "1.png")) is not None
    assert starts(out)["2.png.dfc"] is None


def dying(name: str, _done: object, before: tuple[str, ...]) -> Line:
    """Die of a picture; else tell what it goes back to."""
    if name == "2.png":
        os._exit(9)
    wrong = "no picture" if name == "5.png" else None
    return Line(name=name, source=" ".join(before), settings="", error=wrong)


def test_nothing_goes_back_to_a_picture_of_which_a_process_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = followed(tmp_path / "source", range(8)), tmp_path / "out"
    monkeypatch.setattr(module, "work", dying)
    monkeypatch.setattr(module, "begin", _nothing)
    assert encoded(source, out, key_every=3600).failed == 2
    [part] = (out / FOLDER).iterdir()
    told = {one["name"]: one["source"] for one in map(json.loads, part.read_text().splitlines())}
    assert told["1.png"] == "0.png"
    assert told["3.png"] == ""
    assert told["4.png"] == "3.png"
    assert told["7.png"] in ("6.png", "3.png 4.png 5.png 6.png")  # it may have begun before


def _nothing(_job: Job) -> None:
    pass


def test_the_command(tmp_path: Path) -> None:
    source, out = followed(tmp_path / "source", range(2)), tmp_path / "out"
    command = ["bulk", str(source), str(out), "--follow-camera", "--key-every", "3600"]
    assert main([*command, "--bpp", "0.5", "--workers", "1"]) == 0
    assert starts(out) == {"0.png.dfc": None, "1.png.dfc": "0.png.dfc"}
    assert len(streams(out)["1.png.dfc"]) <= SIDE * SIDE // 16
