"""What answers hold is counted, once for all who hold the same."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from diffc_server.http.buffers import Buffers
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code


def test_what_is_held_is_counted_and_given_back() -> None:
    buffers = Buffers(1000)
    with buffers.held("a", 100), buffers.held("b", 200, b"x"):
        assert (buffers.nbytes, buffers.clients) == (300, 2)
    assert (buffers.nbytes, buffers.clients) == (0, 0)


def test_one_body_for_all_counts_once() -> None:
    buffers, body = Buffers(1000), bytes(400)
    with ExitStack() as held:
        for number in range(10):
            held.enter_context(buffers.held(f"{number}", 400, body))
        assert buffers.nbytes == 400
        with buffers.held("other", 400, bytes(bytearray(400))):
            assert buffers.nbytes == 800
    assert (buffers.nbytes, buffers.clients) == (0, 0)


def test_a_visitor_has_half_and_all_have_what_there_is() -> None:
    buffers = Buffers(1000)
    with buffers.held("a", 300), buffers.held("b", 300):
        with pytest.raises(RequestRefused, match="too many") as caught, buffers.held("a", 300):
            pass
        assert (caught.value.code, caught.value.retry) == (Code.BUSY, True)
        assert caught.value.after
        with buffers.held("c", 300):
            with pytest.raises(RequestRefused), buffers.held("d", 300, b"y"):
                pass
            assert (buffers.nbytes, buffers.clients) == (900, 3)
    assert (buffers.nbytes, buffers.clients) == (0, 0)


def test_one_of_any_size_is_held_alone() -> None:
    buffers = Buffers(1000)
    with buffers.held("a", 5000):
        assert buffers.nbytes == 5000


def test_what_fails_is_given_back() -> None:
    buffers = Buffers(1000)
    with pytest.raises(ZeroDivisionError), buffers.held("a", 100, b"x"):
        _ = 1 / 0
    assert (buffers.nbytes, buffers.clients) == (0, 0)
