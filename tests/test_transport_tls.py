"""The certificate that a port shows, and whom a peer believes."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from authority import issue

from diffc_stream.errors import SafetyError
from diffc_stream.transport.tls import Certificate, believing, speaks_http, speaks_tls


@asynccontextmanager
async def showing(certificate: Certificate) -> AsyncIterator[int]:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=certificate.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def meeting(port: int, ca: Path) -> AsyncIterator[bytes]:
    """Connect and give the certificate that is shown."""
    context = ssl.create_default_context(cafile=ca)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    yield writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()


@pytest.mark.asyncio
async def test_one_that_was_renewed_is_shown_from_then_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    issued = issue(tmp_path)
    certificate = issued.certificate
    async with showing(certificate) as port, meeting(port, issued.ca) as first:
        certificate.reread()
        assert not caplog.records
        issue(tmp_path, "127.0.0.1")
        certificate.reread()
        assert "read again" in caplog.text
        async with meeting(port, issued.ca) as second:
            assert second != first


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["nonsense", "half", "gone"])
async def test_one_that_cannot_be_read_leaves_the_other(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    issued = issue(tmp_path)
    certificate = issued.certificate
    async with showing(certificate) as port:
        async with meeting(port, issued.ca) as first:
            pass
        if how == "gone":
            issued.chain.unlink()
        elif how == "half":
            other = tmp_path / "other"
            other.mkdir()
            key, _, _ = issue(other).chain.read_text().partition("-----BEGIN CERTIFICATE")
            _, mark, chain = issued.chain.read_text().partition("-----BEGIN CERTIFICATE")
            issued.chain.write_text(key + mark + chain)
        else:
            issued.chain.write_text("nonsense")
        certificate.reread()
        certificate.reread()
        assert [record.message[:28] for record in caplog.records] == [
            "the certificate stays as it "
        ]
        async with meeting(port, issued.ca) as second:
            assert second == first


def test_chain_and_key_may_be_apart(tmp_path: Path) -> None:
    key, mark, chain = issue(tmp_path).chain.read_text().partition("-----BEGIN CERTIFICATE")
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "cert.pem").write_text(mark + chain)
    certificate = Certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    assert certificate.context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("chain", "key", "complaint"),
    [
        (None, None, "No such file"),
        ("x", None, "no certificate and its key"),
        ("good", "gone", "No such file"),
        ("good", "x", "no certificate and its key"),
    ],
)
def test_what_is_none(tmp_path: Path, chain: str | None, key: str | None, complaint: str) -> None:
    home = tmp_path / "a"
    home.mkdir()
    first, second = home / "chain.pem", home / "key.pem"
    if chain == "good":
        issue(home)
    elif chain is not None:
        first.write_text(chain)
    if key == "x":
        second.write_text(key)
    with pytest.raises(SafetyError, match=complaint) as caught:
        Certificate(first, second if key else None)
    assert "\n" not in str(caught.value)


def test_a_key_under_a_password_is_not_asked_for(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    issued = issue(tmp_path)
    text = issued.chain.read_bytes()
    key = serialization.load_pem_private_key(text, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "locked.pem").write_bytes(locked)
    with pytest.raises(SafetyError, match="encrypted"):
        Certificate(issued.chain, tmp_path / "locked.pem")


def test_authorities_that_cannot_be_believed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(SafetyError, match="cannot be read: No such file"):
        believing(gone)
    gone.write_text("nothing of the kind")
    with pytest.raises(SafetyError, match="holds no certificates"):
        believing(gone)
    assert believing(issue(tmp_path).ca).check_hostname
    assert believing(None) is believing(None)  # reading the system's takes long


@pytest.mark.asyncio
async def test_who_speaks_what(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 What\r\n\r\n")
        writer.close()

    async with showing(issue(tmp_path).certificate) as port:
        assert await speaks_tls("127.0.0.1", port, patience=60)
        assert not await speaks_http("127.0.0.1", port, patience=60)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        plain = server.sockets[0].getsockname()[1]
        assert not await speaks_tls("127.0.0.1", plain, patience=60)
        assert await speaks_http("127.0.0.1", plain, patience=60)
    for gone in (port, plain):
        assert not await speaks_tls("127.0.0.1", gone, patience=60)
        assert not await speaks_http("127.0.0.1", gone, patience=60)


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_who_says_nothing_is_not_waited_for() -> None:
    ended = asyncio.Semaphore(0)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while await reader.read(100):
                pass
        writer.close()
        ended.release()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert not await speaks_tls("127.0.0.1", port, patience=3)
        assert not await speaks_http("127.0.0.1", port, patience=3)
        for _ in range(2):
            await ended.acquire()
