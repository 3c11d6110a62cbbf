"""What streams of a mirror start from stays, and is as long as they need."""

from __future__ import annotations

from itertools import pairwise

import pytest

from diffc_client.mirror import starts as module
from diffc_client.mirror.starts import Starts
from diffc_client.mirror.state import Record, Records
from diffc_stream.container import Header, Reference
from diffc_stream.container.reference import DIGEST
from diffc_stream.session import MAX_STREAM, Entry, Reason


def header(name: str | None, size: int = 600) -> Header:
    reference = None
    if name is not None:
        reference = Reference(size=size, digest=bytes(DIGEST), name=name, trust=b"\0")
    return Header(
        model="00000002", width=64, height=64, seed=0, ratio=200, about=True, reference=reference
    )


def records(*names: str, length: int = 300) -> Records:
    images = {}
    for name in names:
        entry = Entry(name=name, size=0, time=0, thumbprint="")
        images[name] = Record(entry=entry, ended=Reason.TARGET, length=length)
    return Records(images=images)


def test_others_need_the_most_of_them() -> None:
    known = records("a.jpg", "b.jpg", "c.jpg")
    starts = Starts(known)
    assert starts.least("a.jpg") == 0
    assert starts.note("b.jpg", header("a.jpg.dfc"), files=False) == "a.jpg"
    assert starts.note("b.jpg", header("a.jpg.dfc"), files=False) is None  # known
    assert starts.note("c.jpg", header("a.jpg.dfc", 200), files=False) == "a.jpg"
    assert starts.least("a.jpg") == 600
    assert not starts.enough("a.jpg", Reason.TARGET, 599)
    assert starts.enough("a.jpg", Reason.TARGET, 600)
    assert starts.enough("a.jpg", Reason.COMPLETE, 100)
    assert starts.want("a.jpg")
    assert known.images["a.jpg"].ended is None
    assert not starts.want("unknown.jpg")
    assert starts.note("b.jpg", header(None), files=False) is None
    assert starts.least("a.jpg") == 200
    # The next run knows it too.
    known.images["a.jpg"].ended, known.images["a.jpg"].length = Reason.TARGET, 100
    again = Starts(known)
    assert again.least("a.jpg") == 200
    assert known.images["a.jpg"].ended is None


def test_names_of_files_and_those_that_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    known = records("gate/b.jpg.dfc")
    starts = Starts(known)
    assert starts.note("gate/b.jpg", header("a.jpg.dfc"), files=True) == "gate/a.jpg.dfc"
    for name in ("../a.dfc", "a.jpg", "b.jpg.dfc"):
        assert starts.note("b.jpg", header(name), files=False) is None
    assert starts.note("b.jpg", header("a.jpg.dfc", MAX_STREAM + 1), files=False) is None
    assert set(known.starts) == {"gate/b.jpg"}
    monkeypatch.setattr(module, "MOST_STARTS", 1)
    assert starts.note("c.jpg", header("b.jpg.dfc"), files=False) is None
    assert set(known.starts) == {"gate/b.jpg"}


def test_a_picture_goes_with_the_last_that_starts_from_it() -> None:
    known = records("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")
    starts = Starts(known)
    for name, start in (("b", "a"), ("c", "b"), ("d", "b")):
        starts.note(f"{name}.jpg", header(f"{start}.jpg.dfc"), files=False)

    def remove(name: str) -> list[str]:
        removed = starts.removed(name)
        known.images.pop(name)
        return removed

    assert remove("e.jpg") == ["e.jpg"]
    assert remove("b.jpg") == []
    assert remove("c.jpg") == ["c.jpg"]
    starts = Starts(known)  # also after a restart
    assert remove("d.jpg") == ["d.jpg", "b.jpg"]
    assert known.starts == {}
    assert remove("a.jpg") == ["a.jpg"]


def test_a_chain_of_any_length_goes_with_its_last() -> None:
    names = [f"{number}.jpg" for number in range(3000)]
    known = records(*names)
    starts = Starts(known)
    for start, name in pairwise(names):
        assert starts.note(name, header(f"{start}.dfc"), files=False) == start
    for name in names[:-1]:
        assert starts.removed(name) == []
        del known.images[name]
    assert starts.removed(names[-1]) == names[::-1]
    assert known.starts == {}


def test_what_starts_from_a_replaced_picture_is_asked_for_again() -> None:
    known = records("a.jpg", "b.jpg", "c.jpg")
    starts = Starts(known)
    for name in ("b.jpg", "gone.jpg"):
        starts.note(name, header("a.jpg.dfc", 10), files=False)
    assert starts.outdated("a.jpg") == ["b.jpg"]
    assert starts.outdated("c.jpg") == []
    ended = [known.images[name].ended for name in ("a.jpg", "b.jpg", "c.jpg")]
    assert ended == [Reason.TARGET, None, Reason.TARGET]
