"""No message shows a password."""

from __future__ import annotations

import pytest

from diffc_client.remote.address import Address
from diffc_stream.errors import AddressError
from diffc_stream.transport.mqtt import Broker
from diffc_stream.transport.url import without_login


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ws://host:1/a", "ws://host:1/a"),
        ("mqtt://user:secret@hub:x/cam", "mqtt://...@hub:x/cam"),
        ("ws://a@b:secret@host", "ws://...@host"),
        ("ws://host/a@b", "ws://host/a@b"),
        ("nonsense", "nonsense"),
    ],
)
def test_the_login_is_left_out(url: str, told: str) -> None:
    assert without_login(url) == told


@pytest.mark.parametrize("port", ["x", "0", "99999"])
@pytest.mark.parametrize("parse", [Broker.parse, Address.parse])
def test_errors_have_none(parse: type, port: str) -> None:
    for scheme in ("mqtt", "ws", "https"):
        with pytest.raises(AddressError) as error:
            parse(f"{scheme}://user:secret@hub:{port}/cam")
        assert "secret" not in str(error.value)
