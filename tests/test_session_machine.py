"""Two sessions and whatever may happen to them, in any order: a state machine of Hypothesis.

The two ways of the link are delivered independently, so that acknowledgements, or anything else,
may be held back for as long as one likes.  The suite runs the same few examples every time; more,
and other ones every time, are run by

    DIFFC_EXAMPLES=2000 python -m pytest tests/test_session_machine.py
"""

from __future__ import annotations

import os
import pickle

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from pair import Pair
from session_rules import PICTURES, Machine

EXAMPLES = int(os.environ.get("DIFFC_EXAMPLES", "0"))
SETTINGS = settings(
    max_examples=EXAMPLES or 120,
    stateful_step_count=60 if EXAMPLES else 40,
    derandomize=not EXAMPLES,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_whatever_happens() -> None:
    run_state_machine_as_test(Machine, settings=SETTINGS)


def test_a_session_forgets_the_streams_that_have_ended() -> None:
    def size(streams: int) -> int:
        pair = Pair(PICTURES)
        for _ in range(streams):
            stream = pair.receiver.open("tiny")
            pair.run()
            assert pair.received[stream] == PICTURES["tiny"]
        return len(pickle.dumps(pair.receiver)) + len(pickle.dumps(pair.sender))

    # But for some numbers of a byte or two more.
    assert size(400) <= size(4) + 100
