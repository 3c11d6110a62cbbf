"""Who is here, and what they may still have."""

from __future__ import annotations

import pytest

from diffc_server.auth import quotas as module
from diffc_server.auth.limits import Limits
from diffc_server.auth.quotas import Budget, ClientQuotas, ConnectionQuota, unlimited_quota
from diffc_stream.transport.tokens import Token

SHIP = Token(name="ship", sha256="0" * 64)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_without_limits_nothing_is_counted() -> None:
    quota = unlimited_quota()
    quota.spend(10**15)
    assert quota.ready_at(5.0) == 5.0
    assert not quota.paced
    assert quota.set_streams(10**6)
    assert quota.account is None


def test_connections_of_one_share_what_it_has(clock: Clock) -> None:
    limits = Limits(streams=3, bytes_per_second=1000.0)
    quotas = ClientQuotas(clock)
    one, two = (ConnectionQuota(quotas.client("10.0.0.1", SHIP, limits)) for _ in range(2))
    other = ConnectionQuota(quotas.client("10.0.0.1", None, limits))
    assert one.set_streams(2)
    assert two.set_streams(1)
    assert not two.set_streams(2)
    assert two.set_streams(1)
    assert other.set_streams(3)
    assert one.ready_at(clock()) == 0.0
    one.spend(5096)
    assert two.ready_at(clock()) == pytest.approx(1.001)
    assert other.ready_at(clock()) == 0.0
    clock.now = 1.1
    assert two.ready_at(clock()) == 1.1
    one.release()
    one.release()
    assert two.set_streams(3)
    one.set_streams(5)  # whose connection has gone counts no more
    assert two.set_streams(3)


def test_an_hour_is_waited_for_too(clock: Clock) -> None:
    quota = ConnectionQuota(ClientQuotas(clock).client("::1", None, Limits(bytes_per_hour=7200.0)))
    quota.spend(7200)
    assert quota.ready_at(clock()) == pytest.approx(0.5)


def test_encoders_are_paid_for(clock: Clock) -> None:
    limits = Limits(encoder_seconds_per_hour=360.0)
    account = ConnectionQuota(ClientQuotas(clock).client("::1", None, limits)).account
    assert account is not None
    assert account.wait() == 0.0
    account.charge(370.0)
    assert account.wait() == pytest.approx(110.0)
    assert not account.full()
    clock.now = 110.0
    assert account.wait() == 0.0
    clock.now = 5000.0
    assert account.full()


def test_limits_of_a_token_are_its_own(clock: Clock) -> None:
    quotas = ClientQuotas(clock)
    token = Token(name="ship", sha256="0" * 64, limits={"streams": 1})
    client = quotas.client("::1", token, Limits())
    assert client.limits == Limits(streams=1)
    quota = ConnectionQuota(client, token=token)
    assert quota.name == "ship"
    assert quota.set_streams(1)
    assert not quota.set_streams(2)
    # They change at once, whoever is connected.
    assert quotas.client("::1", SHIP, Limits()) is client
    assert client.limits == Limits()
    assert quota.set_streams(2)
    quota.release()


def accounts(*quotas: ConnectionQuota) -> list[Budget | None]:
    return [quota.account for quota in quotas]


def test_what_was_used_counts_against_changed_limits(clock: Clock) -> None:
    client = ClientQuotas(clock).client("::1", SHIP, Limits())
    quota = ConnectionQuota(client)
    assert (quota.paced, quota.account) == (False, None)
    quota.change(
        Limits(bytes_per_hour=7200.0, encoder_seconds_per_hour=360.0, requests_per_second=1.0)
    )
    assert quota.paced
    account = quota.account
    assert account is not None
    quota.spend(7200)
    account.charge(370.0)
    assert quota.ready_at(clock()) == pytest.approx(0.5)
    assert account.wait() == pytest.approx(110.0)
    # Twice as much an hour, of which as much has been used.
    quota.change(Limits(bytes_per_hour=14_400.0, encoder_seconds_per_hour=720.0))
    assert quota.ready_at(clock()) == 0.0
    assert quota.account is account
    assert account.wait() == 0.0
    quota.spend(7200)
    account.charge(360.0)
    assert quota.ready_at(clock()) == pytest.approx(0.25)
    assert account.wait() == pytest.approx(55.0, abs=1.0)
    quota.change(Limits())
    assert quota.ready_at(clock()) == 0.0
    assert accounts(quota) == [None]
    assert account.wait() == 0.0  # also for a stream that began before
    account.charge(1e6)
    assert account.full()


def test_strangers_have_no_debts_of_tokens_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_VISITORS", 10)
    monkeypatch.setattr(module, "MOST_TOKENS", 10)
    quotas, limits = ClientQuotas(clock), Limits(bytes_per_hour=3600.0)
    quota = ConnectionQuota(quotas.client("::1", SHIP, limits))
    quota.spend(10**6)
    quota.release()
    for number in range(1000):
        quotas.client(f"2001:db8:0:{number:x}::1", None, limits)
    again = ConnectionQuota(quotas.client("::1", SHIP, limits))
    assert again.ready_at(clock()) > 900_000
    for number in range(100):
        quotas.client("::1", Token(name=f"{number}", sha256=f"{number:064}"), limits)
    assert len(quotas) == 20
    assert quotas.client("::1", SHIP, limits).connections == 1


def test_who_has_left_is_forgotten_when_there_are_many(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_VISITORS", 10)
    quotas = ClientQuotas(clock)
    stays = quotas.client("10.0.0.1", None, Limits())
    here = ConnectionQuota(stays)
    for number in range(1000):
        quotas.client(f"10.1.{number // 256}.{number % 256}", None, Limits())
        assert len(quotas) <= 10
    assert quotas.client("10.0.0.1", None, Limits()) is stays
    here.release()
