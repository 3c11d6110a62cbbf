"""A place for one picture."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from diffc_client import Refinement
from diffc_client.api.latest import Latest
from diffc_stream.errors import LinkLost


def refinement(size: int) -> Refinement:
    return Refinement(
        image=np.zeros((1, 1, 3), np.uint8),
        bytes=size,
        bpp=8.0 * size,
        predicted_psnr=None,
        complete=False,
        description={},
    )


def taken(newest: Latest) -> int | None:
    found = newest.take()
    return None if found is None else found.bytes


def test_the_newest_takes_the_place_of_what_nobody_took() -> None:
    newest = Latest()
    newest.put(refinement(1))
    assert taken(newest) == 1
    newest.put(refinement(2))
    newest.put(refinement(3))
    newest.finish()
    newest.put(refinement(4))
    assert [taken(newest), taken(newest), taken(newest)] == [3, None, None]


def test_what_came_is_taken_before_a_failure_is_told() -> None:
    newest = Latest()
    newest.put(refinement(1))
    newest.finish(LinkLost("gone"))
    newest.finish()
    assert taken(newest) == 1
    with pytest.raises(LinkLost, match="gone"):
        newest.take()


def test_nothing_is_taken_after_a_stop() -> None:
    newest = Latest()
    newest.put(refinement(1))
    newest.stop()
    newest.put(refinement(2))
    newest.finish(LinkLost("gone"))
    assert taken(newest) is None


def test_whoever_takes_waits() -> None:
    newest, seen = Latest(), list[int | None]()
    thread = threading.Thread(target=lambda: seen.append(taken(newest)))
    thread.start()
    newest.put(refinement(7))
    thread.join(10)
    assert seen == [7]
