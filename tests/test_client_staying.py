"""Commands that stay up; they are told to stop in the tests of each."""

from __future__ import annotations

import pytest

from diffc_client.staying import stay


def test_work_that_fails_says_why() -> None:
    async def work() -> None:
        raise OSError("the port is taken")

    with pytest.raises(OSError, match="the port is taken"):
        stay(work())
