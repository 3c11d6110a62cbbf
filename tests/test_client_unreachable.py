"""Why nobody could be reached."""

from __future__ import annotations

import errno

import pytest

from diffc_client import Address
from diffc_client.remote.unreachable import unreachable

SENDER = Address.parse("ws://h:1")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (TimeoutError(), "ws://h:1 does not answer"),
        (
            OSError(errno.ECONNREFUSED, "[Errno 111] Connect call failed ('127.0.0.1', 1)"),
            "ws://h:1 cannot be reached: Connection refused",
        ),
        (OSError(-2, "Name not known"), "ws://h:1 cannot be reached: Name not known"),
        (OSError("Multiple exceptions"), "ws://h:1 cannot be reached: Multiple exceptions"),
    ],
)
def test_the_systems_own_words(error: OSError, line: str) -> None:
    assert str(unreachable(SENDER, error)) == line
