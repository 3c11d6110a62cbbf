"""Connections to a broker: addresses, logins, and what a hostile broker cannot do."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from authority import issue
from broker import broker

from diffc_stream.errors import AddressError, LinkLost, MissingPackage, SafetyError, Unauthorized
from diffc_stream.transport import mqtt
from diffc_stream.transport.mqtt import (
    Broker,
    Login,
    check_login,
    connected,
    read_login,
)
from diffc_stream.transport.tls import believing

PASSWORD = (
    "camera:$7$101$zLvuz4TNl4bTIeip$n1D/wIA3KiZs9EcoDEP+Y2MV6ncUEfLo7wUuprhcj"
    "+fdquwAVQ8jRcYUCs2aAqdZloOIZly41kl/QUpdescjWA==\n"
)
"""What mosquitto_passwd writes for the password ``right``."""


@pytest.mark.parametrize(
    ("url", "port", "tls", "prefix", "said"),
    [
        ("mqtt://hub/cam", 1883, False, "cam", "mqtt://hub:1883/cam"),
        ("mqtts://hub/a/b%20c/", 8883, True, "a/b c", "mqtts://hub:8883/a/b c"),
        ("mqtt://[::1]:99/cam", 99, False, "cam", "mqtt://[::1]:99/cam"),
    ],
)
def test_an_address(url: str, port: int, tls: bool, prefix: str, said: str) -> None:
    found = Broker.parse(url)
    assert (found.port, found.tls, found.prefix, str(found)) == (port, tls, prefix, said)


@pytest.mark.parametrize(
    "url",
    [
        *("mqtt://hub", "mqtt://hub/", "mqtt:///cam", "ws://hub/cam", "mqtt://hub:0/cam"),
        *("mqtt://hub/a//b", "mqtt://hub/a%2Bb", "mqtt://hub/%23", "mqtt://hub/$SYS/x"),
        *("mqtt://user:secret@hub/cam", "mqtt://hub/cam?x", "mqtt://hub:x/cam", "mqtt://hub/%0a"),
        f"mqtt://hub/{'x' * 300}",
    ],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        Broker.parse(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "login"
    path.write_text("camera:pass:word\n")
    login = Login("camera", "pass:word")
    assert read_login(path) == login
    assert "pass" not in repr(login)
    monkeypatch.delenv(mqtt.ENVIRONMENT, raising=False)
    assert read_login(None) is None
    monkeypatch.setenv(mqtt.ENVIRONMENT, "camera:pass:word")
    assert read_login(None) == login
    check_login(Broker.parse("mqtt://hub/cam"), None, exposed=False)
    for url in ("mqtts://hub/cam", "mqtt://localhost/cam"):
        check_login(Broker.parse(url), login, exposed=False)
    check_login(Broker.parse("mqtt://hub/cam"), login, exposed=True)
    with pytest.raises(SafetyError, match="could read the password"):
        check_login(Broker.parse("mqtt://hub/cam"), login, exposed=False)


@pytest.mark.parametrize("text", [b"", b"secret", b":secret", b"a:secret\nb:c\n", b"\xff\xfe:"])
def test_what_is_no_login_is_not_quoted(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "login"
    path.write_bytes(text)
    with pytest.raises(SafetyError) as caught:
        read_login(path)
    assert "secret" not in str(caught.value)
    with pytest.raises(SafetyError, match="cannot be read"):
        read_login(tmp_path / "missing")


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "aiomqtt", None)
    with pytest.raises(MissingPackage, match=r"diffc-stream\[mqtt\]"):
        mqtt.library()


# paho-mqtt drops a socket without closing it when the handshake fails; Python closes it at once.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")
@pytest.mark.asyncio
async def test_logins_and_tls(tmp_path: Path) -> None:
    issued = issue(tmp_path)
    passwords = tmp_path / "passwords"
    lines = (
        *(f"certfile {issued.chain}", f"keyfile {issued.chain}", "allow_anonymous false"),
        f"password_file {passwords}",
    )
    passwords.write_text(PASSWORD)
    passwords.chmod(0o600)
    with broker(tmp_path, *lines) as port:
        at = Broker.parse(f"mqtts://localhost:{port}/cam")
        trusted = believing(issued.ca)
        async with connected(at, Login("camera", "right"), tls=trusted) as client:
            await client.publish("cam/x", b"1", 1)
        for login in (None, Login("camera", "wrong")):
            with pytest.raises(Unauthorized, match="--mqtt-login"):
                async with connected(at, login, tls=trusted):
                    pass
        with pytest.raises(LinkLost, match="certificate verify failed"):
            async with connected(at, Login("camera", "right"), tls=believing(None)):
                pass


@pytest.mark.asyncio
async def test_nobody_answers() -> None:
    pytest.importorskip("aiomqtt", reason="aiomqtt is not installed: the extra mqtt")
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(LinkLost, match=f"mqtt://127.0.0.1:{port}/cam: "):
        async with connected(Broker.parse(f"mqtt://127.0.0.1:{port}/cam")):
            pass


@pytest.mark.asyncio
async def test_a_packet_without_end_ends_the_connection() -> None:
    """A broker says that 200 MB follow: none of them is read."""
    pytest.importorskip("aiomqtt", reason="aiomqtt is not installed: the extra mqtt")
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"\x20\x02\x00\x00")  # CONNACK
        writer.write(b"\x30\x80\x80\x80\x60" + b"x" * 1000)  # PUBLISH, of 96 * 2^21 bytes
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(LinkLost):
        async with connected(Broker.parse(f"mqtt://127.0.0.1:{port}/cam")) as client:
            async for _ in client.messages:
                raise AssertionError("a message")
    async with asyncio.timeout(30):
        await gone.wait()
    server.close()
    await server.wait_closed()
