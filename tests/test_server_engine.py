"""Which encoder made a stream: marks, and the tags that follow from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffc_server.cache.store import MAKER
from diffc_server.encoding import engine
from diffc_server.encoding.engine import Provenance, entity_tag_of, mark

OWN, OTHER = "0" * MAKER, "1" * MAKER


def test_a_mark_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(bytes.fromhex(mark())) == MAKER // 2
    assert engine.mark.__wrapped__() == mark()
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"another {name}")
    assert engine.mark.__wrapped__() != mark()


def test_another_processor_is_another_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PROCESSORS", tmp_path / "cpuinfo")
    marks = []
    for flags, speed in (("avx512", 1), ("avx512", 2), ("avx2", 2)):
        core = f"flags : {flags}\nbogomips : {speed}\n"
        (tmp_path / "cpuinfo").write_text(core * speed)
        marks.append(engine.mark.__wrapped__())
    assert marks[0] == marks[1] != marks[2]


def test_where_little_is_known_of_processors_each_machine_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_PROCESSORS", tmp_path / "missing")
    marks = []
    for name in ("one", "one", "two"):
        monkeypatch.setattr("platform.node", lambda name=name: name)
        marks.append(engine.mark.__wrapped__())
    assert marks[0] == marks[1] != marks[2]


def test_tags_follow_from_all_who_made_it() -> None:
    alone, shared = Provenance(OWN), Provenance(OWN)
    assert alone.ahead(0) == OWN
    alone.went_on(0)
    # Its own bytes came back from the store.
    shared.took(OWN)
    assert shared.ahead(100) == OWN
    shared.went_on(100)
    assert shared.maker == alone.maker == OWN
    # Another's are another stream, and so is what one's own encoder makes of it.
    shared.took(OTHER)
    assert shared.maker == OTHER
    both = shared.ahead(100)
    shared.went_on(100)
    assert shared.maker == both
    assert len({OWN, OTHER, both}) == 3
    # The same encoder goes on with what it made.
    shared.went_on(200)
    assert shared.maker == both
    third = Provenance(OWN)
    third.took(OTHER)
    assert third.ahead(101) not in (OWN, OTHER, both)
    tags = {entity_tag_of(key, maker) for key in "ab" for maker in (OWN, OTHER, both)}
    assert len(tags) == 6
