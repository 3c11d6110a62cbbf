"""Receives visitors."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest

from diffc_server.auth.access_control import AccessControl, Refusal
from diffc_server.auth.limits import Limits
from diffc_server.auth.quotas import ConnectionQuota
from diffc_stream.transport.tokens import Tokens, add_token

FAR = "192.0.2.1"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def held(tmp_path: Path) -> Path:
    return tmp_path / "tokens.toml"


def ask(
    reception: AccessControl, token: str | None = None, *, address: str = FAR, own: bool = True
) -> ConnectionQuota | Refusal:
    values = {} if token is None else {"Authorization": [f"Bearer {token}"]}
    return reception.admit(address, lambda name: values.get(name, []), own=own)


def refused(found: ConnectionQuota | Refusal) -> tuple[int, int | None]:
    assert isinstance(found, Refusal)
    assert "\n" not in found.text
    return found.status.value, found.after


def let_in(found: ConnectionQuota | Refusal) -> ConnectionQuota:
    assert isinstance(found, ConnectionQuota)
    return found


def test_without_tokens_everybody_comes_in(clock: Clock) -> None:
    reception = AccessControl(clock=clock)
    assert not reception.guarded
    quota = let_in(ask(reception, "whatever"))
    assert (quota.name, quota.token, quota.peer, quota.cookie) == ("", None, FAR, "")
    assert reception.still_admits(quota)
    reception.reread()


def test_with_tokens_who_shows_one(held: Path, clock: Clock) -> None:
    token = add_token(held, "ship")
    reception = AccessControl(tokens=Tokens(held), clock=clock)
    assert reception.guarded
    assert let_in(ask(reception, token)).name == "ship"
    found = ask(reception)
    assert refused(found) == (401, None)
    assert isinstance(found, Refusal)
    names = [value.split()[0] for name, value in found.fields if name == "WWW-Authenticate"]
    assert names == ["Basic", "Bearer"]
    assert refused(ask(reception, "wrong")) == (401, None)


def test_guesses_become_slow_for_an_address(held: Path, clock: Clock) -> None:
    token = add_token(held, "ship")
    reception = AccessControl(tokens=Tokens(held), clock=clock)
    for _ in range(10):
        assert refused(ask(reception, "wrong")) == (401, None)
    assert refused(ask(reception, "wrong")) == (429, 6)
    let_in(ask(reception, token))
    assert refused(ask(reception)) == (401, None)
    assert refused(ask(reception, "wrong", address="192.0.2.2")) == (401, None)
    clock.now = 6.0
    assert refused(ask(reception, "wrong")) == (401, None)
    assert refused(ask(reception, "wrong")) == (429, 6)


def test_tokens_come_and_go(held: Path, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    token = add_token(held, "ship", datetime.now(UTC) + timedelta(days=1))
    reception = AccessControl(tokens=Tokens(held), clock=clock)
    quota = let_in(ask(reception, token))
    good = held.read_text()
    held.write_text("[[token")
    reception.reread()
    assert "stay unchanged" in caplog.text
    assert reception.still_admits(quota)
    held.write_text(good.replace("202", "201"))  # it expired ten years ago
    reception.reread()
    assert "read again: 1" in caplog.text
    assert not reception.still_admits(quota)
    assert refused(ask(reception, token)) == (401, None)


def test_limits_that_change_in_the_file_apply_to_who_is_connected(held: Path, clock: Clock) -> None:
    token = add_token(held, "ship")
    reception = AccessControl(tokens=Tokens(held), clock=clock)
    quota = let_in(ask(reception, token))
    assert not quota.paced
    held.write_text(held.read_text() + "bytes_per_hour = 7200\nconnections = 1\n")
    reception.reread()
    assert reception.still_admits(quota)
    quota.spend(7200)
    assert quota.ready_at(clock()) > clock()
    assert refused(ask(reception, token))[0] == 429
    held.write_text(held.read_text().replace("7200", "14_400"))
    reception.reread()
    assert reception.still_admits(quota)
    assert quota.ready_at(clock()) == clock()  # half of it is left


def test_too_many_connections(clock: Clock) -> None:
    reception = AccessControl(limits=Limits(connections=2), clock=clock)
    first, _ = (let_in(ask(reception)) for _ in range(2))
    assert refused(ask(reception)) == (429, 5)
    let_in(ask(reception, address="192.0.2.2"))
    first.release()
    let_in(ask(reception))


def test_too_many_requests(clock: Clock) -> None:
    reception = AccessControl(limits=Limits(requests_per_second=2), clock=clock)
    for _ in range(20):
        let_in(ask(reception)).release()
    assert refused(ask(reception)) == (429, 1)
    clock.now = 0.5
    let_in(ask(reception))


def test_as_many_may_begin_to_ask_as_may_be_connected(clock: Clock) -> None:
    assert AccessControl(limits=Limits(connections=2), clock=clock).newcomers(FAR) == 2
    assert AccessControl(clock=clock).newcomers(FAR) == 1000


@pytest.mark.parametrize("here", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_may_speak_for_everybody(clock: Clock, here: str) -> None:
    usual = AccessControl(clock=clock)
    quotas = [let_in(ask(usual, address=here)) for _ in range(1500)]
    assert usual.newcomers(here) == 0
    assert quotas[0].set_streams(100_000)
    far = [let_in(ask(usual)) for _ in range(1000)]
    assert refused(ask(usual))[0] == HTTPStatus.TOO_MANY_REQUESTS
    assert far[0].set_streams(4096)
    assert not far[0].set_streams(4097)
    strict = AccessControl(limits=Limits(connections=1), clock=clock)
    let_in(ask(strict, address=here))
    assert refused(ask(strict, address=here)) == (429, 5)


def test_a_browser_is_told_what_to_remember(held: Path, clock: Clock) -> None:
    import base64

    token = add_token(held, "ship")
    reception = AccessControl(tokens=Tokens(held), secure=True, clock=clock)
    password = base64.b64encode(f"me:{token}".encode()).decode()
    fields = {"Authorization": [f"Basic {password}"]}
    quota = let_in(reception.admit(FAR, lambda name: fields.get(name, []), own=True))
    assert quota.cookie.startswith(f"__Host-diffc={token};")
    fields = {"Cookie": [quota.cookie.partition(";")[0]]}
    quota = let_in(reception.admit(FAR, lambda name: fields.get(name, []), own=True))
    assert quota.cookie == ""
    assert refused(reception.admit(FAR, lambda name: fields.get(name, []), own=False))[0] == 401


def test_few_are_remembered(held: Path, clock: Clock) -> None:
    add_token(held, "ship")
    reception = AccessControl(tokens=Tokens(held), clock=clock)
    for number in range(5000):
        ask(reception, "wrong", address=f"10.0.{number // 256}.{number % 256}")
    assert reception.remembered <= 4096
