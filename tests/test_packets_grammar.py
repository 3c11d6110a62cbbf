"""A packet is the one that was sent, or none."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffc_stream.errors import DamagedPacket
from diffc_stream.packets import LARGEST, SMALLEST, Broadcast, Kind, Packet
from diffc_stream.packets.grammar import HEAD

GOLDEN = "d13412070088b6" + "00" * 56 + "ff"

DOCS = Path(__file__).parent.parent / "docs"
DUMPED = re.compile(
    r"^(?:[0-9a-f]{4}  |      )((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:  .*)?$", re.MULTILINE
)

packets = st.builds(
    Packet,
    kind=st.just(Kind.PIECE),
    stream=st.integers(0, 65_535),
    place=st.integers(0, 65_535),
    body=st.binary(min_size=SMALLEST - HEAD, max_size=LARGEST - HEAD),
)


def test_a_packet_known_by_heart() -> None:
    packet = Packet(kind=Kind.PIECE, stream=0x1234, place=7, body=bytes(56) + b"\xff")
    assert packet.encode().hex() == GOLDEN
    assert Packet.parse(bytes.fromhex(GOLDEN)) == packet


def dumped(name: str, heading: str) -> bytes:
    """Return the bytes of the dump below a heading."""
    return bytes.fromhex("".join(DUMPED.findall((DOCS / name).read_text().partition(heading)[2])))


def test_the_packets_in_the_documentation_are_those_sent() -> None:
    stream = dumped("format.md", "## A whole stream")
    assert len(stream) == 100
    assert b"".join(Broadcast(stream, size=64)) == dumped("packets.md", "## Example")


@given(packets)
def test_packets_are_read_as_written(packet: Packet) -> None:
    assert Packet.parse(packet.encode()) == packet


@given(packets, st.data())
def test_a_flipped_bit_is_noticed(packet: Packet, data: st.DataObject) -> None:
    sent = bytearray(packet.encode())
    bit = data.draw(st.integers(0, 8 * len(sent) - 1))
    sent[bit // 8] ^= 1 << bit % 8
    with pytest.raises(DamagedPacket):
        Packet.parse(bytes(sent))


@given(st.binary(max_size=300))
def test_anything_else_is_no_packet(data: bytes) -> None:
    try:
        packet = Packet.parse(data)
    except DamagedPacket as error:
        assert "\n" not in str(error)
    else:
        assert packet.encode() == data


@pytest.mark.parametrize(
    "packet",
    [
        Packet(kind=Kind.PIECE, stream=0, place=0, body=bytes(SMALLEST - HEAD - 1)),
        Packet(kind=Kind.PIECE, stream=0, place=0, body=bytes(LARGEST - HEAD + 1)),
        Packet(kind=Kind.REPAIR, stream=0, place=0, body=bytes(60)),
        Packet(kind=Kind.REPAIR, stream=0, place=129 << 8, body=bytes(60)),
        Packet(kind=Kind.REPAIR, stream=0, place=1 << 8 | 128, body=bytes(60)),
        Packet(kind=Kind.STATION, stream=0, place=0, body=bytes(58)),
        Packet(kind=Kind.STATION, stream=1, place=0, body=b"DL0ABC"),
        Packet(kind=Kind.STATION, stream=0, place=0, body=b""),
    ],
    ids=lambda packet: f"{packet.kind.name}-{packet.place}-{len(packet.body)}",
)
def test_what_cannot_be_is_refused(packet: Packet) -> None:
    with pytest.raises(DamagedPacket):
        Packet.parse(packet.encode())
