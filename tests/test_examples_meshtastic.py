"""The adapter to Meshtastic's radios, before a serial port that is a pseudo-terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import LARGE, long_stream, model

from diffc_stream.packets import Broadcast
from diffc_stream.reception import Reception
from diffc_stream.transport.carriers import Framed
from examples import mesh, meshtastic
from examples.meshtastic import Frames, asking, broadcast, framed, received

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="serial ports of POSIX")

PACKETS = list(Broadcast(long_stream(), size=230, budget=2300))
SENT = bytes.fromhex("0a18 15ffffffff 1801 2208 088002 1203616263 3504030201 4805")
"""ToRadio, MeshPacket to all on channel 1, port 256 and "abc", number 0x01020304, five hops."""


@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    """Return the radio's end of a serial line, and the path of the other one."""
    import pty
    import tty

    radio, port = pty.openpty()
    tty.setraw(port)
    yield radio, os.ttyname(port)
    for descriptor in (radio, port):
        with suppress(OSError):
            os.close(descriptor)


def heard(message: bytes) -> bytes:
    """Return what a radio tells of a message that another one was told to send."""
    # Field 1 of ToRadio is field 2 of FromRadio; its own field 1 is a number.
    return b"\x08\x05\x12" + message[1:]


def test_a_message_is_what_the_client_api_says() -> None:
    assert broadcast(b"abc", 0x01020304, channel=1, hops=5) == SENT
    assert framed(SENT)[:4] == b"\x94\xc3\x00" + bytes([len(SENT)])
    assert asking(300) == b"\x18\xac\x02"
    for size in (0, 234):
        with pytest.raises(ValueError, match="has room for 233"):
            broadcast(bytes(size), 1)


def test_what_is_received() -> None:
    for packet in PACKETS:
        assert received(heard(broadcast(packet, 1))) == packet
    text = heard(broadcast(b"abc", 1)).replace(b"\x08\x80\x02", b"\x08\x01\x00")
    for other in (b"", b"\x1a\x02ab", b"\x12\x05ab", text, b"\x07", b"\xff" * 12, asking(1)):
        assert received(other) is None


@given(st.binary(max_size=80))
def test_noise_is_nothing(noise: bytes) -> None:
    assert received(noise) is None


def test_frames_are_found_in_a_log() -> None:
    messages = [heard(broadcast(packet, number)) for number, packet in enumerate(PACKETS[:3])]
    log = b"INFO | booting \x94\r\n\x94\xc3\xff\xff\x94"
    data = log.join(map(framed, messages))
    for step in (1, 7, len(data)):
        frames = Frames()
        found: list[bytes] = []
        for place in range(0, len(data), step):
            found += frames.feed(data[place : place + step])
        assert found == messages


def test_packets_go_to_the_radio(line: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    radio, path = line
    pipe = io.BytesIO()
    for packet in PACKETS:
        Framed(pipe).send(packet)
    pipe.seek(0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(pipe))
    os.write(radio, b"what nobody reads")
    assert meshtastic.main(["send", path, "--hops", "2"]) == 0
    frames = Frames()
    sent: list[bytes] = []
    while len(sent) < len(PACKETS):
        sent += frames.feed(os.read(radio, 4096))
    assert [received(heard(message)) for message in sent] == PACKETS
    assert all(message.endswith(b"\x48\x02") for message in sent)


def test_a_broadcast_over_a_mesh(line: tuple[int, str]) -> None:
    radio, path = line
    port = meshtastic.opened(path)
    reception = Reception({model(LARGE).fingerprint: model(LARGE)})
    drawn = np.random.default_rng(2)
    for number, packet in enumerate(PACKETS):
        if mesh.FAR[1] in mesh.VILLAGE.heard(0, drawn):
            os.write(radio, b"DEBUG\n" + framed(heard(broadcast(packet, number + 1))))

    def take(packet: bytes) -> None:
        reception.take(packet)
        if reception.progress.packets + reception.progress.duplicates == expected:
            os.close(radio)  # unplugged

    expected = sum(mesh.FAR[1] in have for have in _again(len(PACKETS)))
    meshtastic.receive(port, take)
    os.close(port)
    assert 0 < expected < len(PACKETS)
    assert reception.render().predicted_psnr > 20


def _again(packets: int) -> list[set[int]]:
    drawn = np.random.default_rng(2)
    return [mesh.VILLAGE.heard(0, drawn) for _ in range(packets)]


def test_the_radio_is_asked_and_told_that_somebody_listens(line: tuple[int, str]) -> None:
    radio, path = line
    port = meshtastic.opened(path)
    times = iter([0.0, 400.0, 400.0, 401.0])
    os.write(radio, framed(heard(broadcast(b"abc", 1))))
    asked: list[bytes] = []

    def take(_: bytes) -> None:
        asked.append(os.read(radio, 4096))
        os.close(radio)

    meshtastic.receive(port, take, clock=lambda: next(times))
    os.close(port)
    assert list(Frames().feed(asked[0])) == [asking(1), meshtastic.HEARTBEAT]


def test_what_is_no_radio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "nothing"):
        assert meshtastic.main(["receive", str(path)]) == 1
    assert capsys.readouterr().err.count("\n") == 2
