"""Packets over a Meshtastic radio at a serial port: from standard input, or to standard output.

    diffc send-packets photo.dfc - --size 230 --packets-per-second 0.2 --station DL0ABC \
        | python -m examples.meshtastic send /dev/ttyUSB0
    python -m examples.meshtastic receive /dev/ttyUSB0 | diffc receive-packets - photo.png

A packet is the payload of one message to all, on the port for private applications; a message has
room for 233 bytes, and nobody is asked to acknowledge it.  Radios repeat it for others, as many
hops as is said.

Meshtastic's own package for Python is under the GPL, version 3, and is not used here: these are the
few fields of its client API that are needed, after its public description (meshtastic.org, "Client
API").  Messages to and from the radio are frames

    0x94 0xc3 length:u16 message        big-endian

of protocol buffers: ToRadio has a MeshPacket in field 1, and asks in field 3 to be told of what is
received; FromRadio has a MeshPacket in field 2.  A MeshPacket has its receiver in field 2, the
channel's index in 3, what it holds in 4, its number in 6, and how many hops are left in 9; what it
holds is the port in field 1 and the payload in 2.
"""

from __future__ import annotations

import argparse
import os
import select
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from diffc_stream.errors import DiffcError, one_line
from diffc_stream.transport.carriers import Framed

LARGEST = 233
"""Bytes of a payload."""
PRIVATE = 256
"""The port for private applications."""
EVERYBODY = 0xFFFFFFFF
HOPS = 3
START = b"\x94\xc3"
LONGEST = 512
"""Bytes of a message; a longer one is none."""
BEAT = 300.0
"""Seconds after which the radio is told that somebody is here still."""
HEARTBEAT = b"\x3a\x00"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Frames:
    """Cuts what comes from a radio into messages; what is between them is its log."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes, and yield the messages that they complete."""
        self._pending += data
        while (place := self._pending.find(START)) >= 0:
            del self._pending[:place]
            if len(self._pending) < 4:
                return
            [length] = struct.unpack_from(">H", self._pending, 2)
            if length > LONGEST:
                del self._pending[:1]
            elif len(self._pending) < 4 + length:
                return
            else:
                yield bytes(self._pending[4 : 4 + length])
                del self._pending[: 4 + length]
        del self._pending[:-1]  # the first half of a start, perhaps


def framed(message: bytes) -> bytes:
    """Return a message as it goes to the radio."""
    return START + struct.pack(">H", len(message)) + message


def broadcast(payload: bytes, number: int, *, channel: int = 0, hops: int = HOPS) -> bytes:
    """Return the message to a radio that sends ``payload``, 1 to 233 bytes, to everybody.

    ``number`` tells messages apart, for those who repeat them.  Raises ValueError if the payload is
    too long.
    """
    if not 1 <= len(payload) <= LARGEST:
        raise ValueError(f"a packet of {len(payload)} bytes: a message has room for {LARGEST}")
    data = _field(1, PRIVATE) + _field(2, payload)
    packet = _fixed(2, EVERYBODY) + _field(3, channel) + _field(4, data)
    return _field(1, packet + _fixed(6, number) + _field(9, hops))


def asking(number: int) -> bytes:
    """Return the message that asks a radio to tell what it receives."""
    return _field(3, number)


def received(message: bytes) -> bytes | None:
    """Return the payload that a message from a radio holds, None if it holds none of ours."""
    try:
        data = _found(_found(message, 2), 4)
        held = dict(_fields(data))
    except ValueError:
        return None
    payload = held.get(2)
    return payload if held.get(1) == PRIVATE and isinstance(payload, bytes) else None


def send(
    port: int, packets: Iterator[bytes], *, first: int, channel: int = 0, hops: int = HOPS
) -> int:
    """Send packets to the radio at a descriptor; return how many.  Raises OSError, ValueError."""
    sent = 0
    for packet in packets:
        while select.select([port], [], [], 0)[0] and os.read(port, 4096):
            pass  # it waits for whoever does not read what it says
        number = (first + sent) % 2**32 or 1
        _write(port, framed(broadcast(packet, number, channel=channel, hops=hops)))
        sent += 1
    return sent


def receive(
    port: int, take: Callable[[bytes], None], *, clock: Callable[[], float] = time.monotonic
) -> None:
    """Give what the radio at a descriptor receives to ``take``, until it is gone."""
    frames, told = Frames(), clock()
    _write(port, framed(asking(1)))
    while True:
        if clock() - told >= BEAT:
            _write(port, framed(HEARTBEAT))
            told = clock()
        if not select.select([port], [], [], 1.0)[0]:
            continue
        try:
            data = os.read(port, 4096)
        except OSError:  # unplugged
            return
        if not data:
            return
        for message in frames.feed(data):
            payload = received(message)
            if payload:
                take(payload)


def opened(path: str) -> int:
    """Return the descriptor of a serial port, at 115,200 baud.  Raises OSError."""
    import termios
    import tty

    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        tty.setraw(port)
        settings = termios.tcgetattr(port)
        settings[4] = settings[5] = termios.B115200
        termios.tcsetattr(port, termios.TCSANOW, settings)
    except (OSError, termios.error) as error:
        os.close(port)
        raise OSError(f"{path} is no serial port") from error
    return port


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        port = opened(options.port)
        try:
            if options.way == "send":
                packets = Framed(sys.stdin.buffer).receive()
                first = int.from_bytes(os.urandom(4), "little")
                send(port, packets, first=first, channel=options.channel, hops=options.hops)
            else:
                receive(port, Framed(sys.stdout.buffer).send)
        finally:
            os.close(port)
    except (DiffcError, OSError, ValueError) as error:
        said = one_line(error) if isinstance(error, OSError) else error
        print(f"meshtastic: {said}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _write(port: int, data: bytes) -> None:
    while data:
        data = data[os.write(port, data) :]


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3 | _VARINT) + _varint(value)
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _fixed(number: int, value: int) -> bytes:
    return _varint(number << 3 | _FIXED32) + struct.pack("<I", value)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _found(message: bytes, number: int) -> bytes:
    """Return a field that holds bytes.  Raises ValueError if there is none."""
    for found, value in _fields(message):
        if found == number and isinstance(value, bytes):
            return value
    raise ValueError("no such field")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protocol buffer.  Raises ValueError if it is none."""
    place = 0
    while place < len(message):
        tag, place = _read(message, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _read(message, place)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, place = _read(message, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError("no protocol buffer")
        if place + size > len(message):
            raise ValueError("a protocol buffer that is cut")
        yield tag >> 3, message[place : place + size]
        place += size


def _read(message: bytes, place: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if place + index >= len(message):
            break
        byte = message[place + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    raise ValueError("a protocol buffer that is cut")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.meshtastic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("way", choices=("send", "receive"))
    add("port", help="the serial port of the radio, /dev/ttyUSB0 for instance")
    add("--channel", type=int, default=0, help="index of the channel to send on (0)")
    add("--hops", type=int, default=HOPS, choices=range(8), help="that others repeat it (3)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
