"""The vectors that the receiver in JavaScript is tested with are what the protocol is now."""

from __future__ import annotations

import pytest
from message_vectors import MESSAGES
from session_vectors import FILES, HERE, written

from diffc_stream.session import Data
from diffc_stream.session.messages import CONTROL


@pytest.mark.parametrize("name", FILES)
def test_the_vectors_are_up_to_date(name: str) -> None:
    assert (HERE / name).read_text() == written(FILES[name]()), (
        "run python tests/session_vectors.py"
    )


def test_there_is_a_vector_of_every_message() -> None:
    assert {type(message) for message in MESSAGES} == {*CONTROL, Data}
