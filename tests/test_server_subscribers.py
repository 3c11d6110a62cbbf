"""Who listens, and who pays."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from diffc_server.encoding.subscribers import Account, Subscribers

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


@dataclass(eq=False, slots=True)
class Purse:
    """An account with a time to wait."""

    seconds: float = 0.0
    charged: float = 0.0

    def wait(self) -> float:
        """Return it."""
        return self.seconds

    def charge(self, seconds: float) -> None:
        """Add it up."""
        self.charged += seconds


def ignore() -> None:
    """Whatever has changed."""


_account: Account = Purse()


async def test_all_are_woken_as_often_as_they_joined() -> None:
    listeners, woken = Subscribers(), list[str]()
    first, second = (lambda: woken.append("first")), (lambda: woken.append("second"))
    listeners.join(first, None)
    listeners.join(second, None)
    listeners.join(first, None)
    listeners.notify()
    assert sorted(woken) == ["first", "first", "second"]
    listeners.leave(first)
    woken.clear()
    listeners.notify()
    assert sorted(woken) == ["first", "second"]
    assert len(listeners) == 2


async def test_who_leaves_when_it_is_woken_disturbs_nobody() -> None:
    listeners, woken = Subscribers(), list[int]()

    def first() -> None:
        woken.append(1)
        listeners.leave(first)

    listeners.join(first, None)
    listeners.join(lambda: woken.append(2), None)
    listeners.notify()
    assert (woken, len(listeners)) == ([1, 2], 1)


async def test_the_first_who_can_pay_is_waited_for() -> None:
    listeners = Subscribers()
    assert listeners.wait() == 0.0
    listeners.join(ignore, Purse(30.0))
    assert listeners.wait() == 30.0
    listeners.join(ignore, Purse(20.0))
    assert listeners.wait() == 20.0
    listeners.join(ignore, None)
    assert listeners.wait() == 0.0


async def test_each_pays_once() -> None:
    listeners, purse, other = Subscribers(), Purse(), Purse()
    for account in (purse, purse, other, None, None):
        listeners.join(ignore, account)
    payers = listeners.payers()
    assert len(payers) == 3
    assert {id(account) for account in payers} == {id(purse), id(other), id(None)}


async def test_a_change_is_waited_for_but_not_longer() -> None:
    listeners, loop = Subscribers(), asyncio.get_running_loop()
    began = loop.time()
    await listeners.changed(within=5.0)
    assert loop.time() - began == pytest.approx(5.0)
    loop.call_later(1.0, listeners.join, ignore, None)
    await listeners.changed(within=5.0)
    assert loop.time() - began == pytest.approx(6.0)
    loop.call_later(1.0, listeners.leave, ignore)
    await listeners.changed(within=5.0)
    assert loop.time() - began == pytest.approx(7.0)
