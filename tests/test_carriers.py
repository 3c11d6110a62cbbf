"""What carries packets: datagrams, files, and pipes."""

import io
import itertools
import sys
from pathlib import Path

import pytest

from diffc_stream.errors import AddressError, DamagedPacket, DestinationError
from diffc_stream.flags import Endpoint
from diffc_stream.transport import carriers
from diffc_stream.transport.carriers import Datagrams, Folder, Framed, arriving, opened_to

LOOPBACK = Endpoint(host="127.0.0.1", port=0)


def test_datagrams_arrive_one_by_one() -> None:
    with Datagrams(here=LOOPBACK) as receiver:
        there = Endpoint(host="127.0.0.1", port=receiver.port)
        assert receiver.receive(0) is None
        with Datagrams(there=there) as sender:
            sender.send(b"one")
            sender.send(bytes(2000))
        assert receiver.receive(5) == b"one"
        assert receiver.receive(5) == bytes(carriers.LARGEST + 1), "cut, and so no packet"
        assert receiver.receive(0) is None


def test_a_group_on_the_loopback() -> None:
    try:
        receiver = Datagrams(here=Endpoint(host="239.77.1.2", port=0))
    except AddressError:
        pytest.skip("no groups on this machine")
    with receiver:
        with Datagrams(there=Endpoint(host="239.77.1.2", port=receiver.port)) as sender:
            try:
                sender.send(b"all")
            except OSError:
                pytest.skip("no way to groups on this machine")
        assert receiver.receive(1) in (b"all", None)


def test_addresses_that_cannot_be_had() -> None:
    with pytest.raises(AddressError, match="neither HOST:PORT"), opened_to("udp://nowhere"):
        pass
    with pytest.raises(AddressError, match="to port 0"), opened_to("udp://127.0.0.1:0"):
        pass
    with (
        pytest.raises(AddressError, match="203"),
        Datagrams(here=Endpoint(host="203.0.113.7", port=0)),
    ):
        pass


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_names_that_no_host_can_have(host: str) -> None:
    with pytest.raises(AddressError, match=host), opened_to(f"udp://{host}:7000"):
        pass
    with pytest.raises(AddressError, match=host), arriving(f"udp://{host}:7000"):
        pass


def test_arriving_datagrams_end_after_a_while() -> None:
    times = itertools.count(0.0, 0.5)
    with arriving("udp://127.0.0.1:0", seconds=2, clock=lambda: next(times)) as packets:
        assert set(packets) == {None}


def test_a_folder_has_a_packet_a_file(tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    with opened_to(str(outbox)) as sender:
        sender.send(b"one")
        sender.send(b"two")
    Folder(outbox).send(b"three")
    (outbox / "note.txt").write_text("no packet")
    (outbox / f"folder{carriers.SUFFIX}").mkdir()
    (outbox / f"large{carriers.SUFFIX}").write_bytes(bytes(5000))
    names = sorted(file.name for file in outbox.iterdir())
    assert names[:3] == ["000000.packet", "000001.packet", "000002.packet"]
    with arriving(str(outbox)) as packets:
        assert list(packets) == [b"one", b"two", b"three", bytes(carriers.LARGEST + 1)]


def test_a_pipe_has_packets_behind_their_length() -> None:
    pipe = io.BytesIO()
    for packet in (b"one", bytes(1400)):
        Framed(pipe).send(packet)
    assert pipe.getvalue()[:5] == b"\x03\x00one"
    pipe.write(b"\x09\x00cut")
    pipe.seek(0)
    assert list(Framed(pipe).receive()) == [b"one", bytes(1400)]


def test_pipes_that_are_closed_are_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DestinationError, match="standard output is closed"), opened_to("-"):
        pass
    with pytest.raises(DestinationError, match="standard input is closed"), arriving("-"):
        pass


@pytest.mark.parametrize("data", [b"\x00\x00", b"\xff\xffxx", b"\x01"])
def test_what_is_not_framed_is_said(data: bytes) -> None:
    with pytest.raises(DamagedPacket, match="behind its length"):
        list(Framed(io.BytesIO(data)).receive())
