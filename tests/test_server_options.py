"""The options of diffc-server that say who may come in."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from authority import issue

from diffc_server.auth.limits import Limits
from diffc_server.auth.options import SecurityOptions, add_options, new_token, read
from diffc_stream.errors import SafetyError
from diffc_stream.transport.tokens import Tokens


def options(*arguments: str, host: str = "127.0.0.1") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(arguments, argparse.Namespace(host=host))


def safety(*arguments: str, host: str = "127.0.0.1") -> SecurityOptions:
    return read(options(*arguments, host=host))


def test_nothing_is_asked_for_on_the_loopback() -> None:
    found = safety()
    assert found.certificate is None
    assert (found.names, found.origins, found.strict) == ((), (), False)
    assert not found.access_control().guarded


def test_everything(tmp_path: Path) -> None:
    chain, held = issue(tmp_path).chain, tmp_path / "tokens.toml"
    token = new_token(options("--tokens", str(held), "--new-token", "ship", "--expires", "30"))
    assert token
    assert len(Tokens(held)) == 1
    assert "expires" in held.read_text()
    found = safety(
        *("--tls-cert", str(chain), "--tokens", str(held), "--name", "station.example"),
        *("--origin", "https://friend.example", "--peer-connections", "0", "--peer-streams", "3"),
        *("--peer-bytes-per-second", "1e3", "--peer-requests-per-second", "0"),
        host="0.0.0.0",
    )
    assert found.certificate is not None
    assert found.access_control().guarded
    assert found.strict
    assert (found.names, found.origins) == (("station.example",), ("https://friend.example",))
    assert found.access_control().limits == Limits(
        connections=0, streams=3, bytes_per_second=1000.0, requests_per_second=0
    )


def test_beyond_the_loopback(tmp_path: Path) -> None:
    with pytest.raises(SafetyError, match="--insecure"):
        safety(host="0.0.0.0")
    assert not safety("--insecure", host="0.0.0.0").access_control().guarded


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tls-key", "key.pem"], "--tls-cert"),
        (["--tls-cert", "gone.pem"], "gone.pem cannot be read"),
        (["--tokens", "gone.toml"], "gone.toml cannot be read"),
    ],
)
def test_what_cannot_be_meant(arguments: list[str], complaint: str) -> None:
    with pytest.raises(SafetyError, match=complaint):
        safety(*arguments)


def test_a_token_goes_into_a_file() -> None:
    with pytest.raises(SafetyError, match="--tokens FILE"):
        new_token(options("--new-token", "ship"))


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--origin", text] for text in ("friend.example", "ftp://a", "https://a/", "*", "null")),
        *(["--name", text] for text in ("a/b", "http://a", "")),
        *(["--peer-streams", text] for text in ("-1", "x", "1.5")),
        *(["--peer-bytes-per-hour", text] for text in ("-1", "nan", "inf")),
        *(["--expires", text] for text in ("0", "1.5")),
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(*arguments)
    assert "usage:" in capsys.readouterr().err
