"""What carries packets: datagrams of UDP, files in a folder, or standard input and output.

udp://HOST:PORT     datagrams; HOST may be a group (224.0.0.0/4, ff00::/8) or a broadcast address
-                   standard input or output, each packet behind its length as u16
DIR                 a folder, one packet a file, NUMBER.packet
"""

from __future__ import annotations

import argparse
import ipaddress
import math
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from diffc_stream.destination import standard_input, standard_output
from diffc_stream.errors import AddressError, DamagedPacket
from diffc_stream.flags import Endpoint, endpoint
from diffc_stream.replacement import replacing

LARGEST = 1400
"""Bytes of a packet."""
MOST_FILES = 100_000
"""Packets in a folder."""
SUFFIX = ".packet"
SCHEME = "udp://"
STANDARD = "-"
MOMENT = 0.2
"""Seconds without a packet after which a receiver may do something else."""
_BUFFER = 2**20
_LENGTH = struct.Struct("<H")


class Sender(Protocol):
    """Something that carries packets away."""

    def send(self, packet: bytes) -> None:
        """Send a packet.  Raises OSError."""
        ...


class Datagrams(AbstractContextManager["Datagrams"]):
    """A UDP socket that sends to ``there``, or receives at ``here``."""

    def __init__(
        self,
        *,
        there: Endpoint | None = None,
        here: Endpoint | None = None,
        hops: int = 1,
    ) -> None:
        """Open the socket.  ``hops`` is how many routers a group's packets may pass.

        Raises AddressError for addresses that cannot be had.
        """
        end = there or here
        assert end is not None
        if there is not None and not there.port:
            raise AddressError(f"{there}: nothing can be sent to port 0")
        try:
            found = socket.getaddrinfo(end.host, end.port, type=socket.SOCK_DGRAM)
            family, kind, protocol, _, address = found[0]
            self._address: Any = address
            self._socket = socket.socket(family, kind, protocol)
        except (OSError, UnicodeError) as error:  # UnicodeError: it cannot be a host's name
            why = getattr(error, "strerror", None) or error
            raise AddressError(f"{end}: {why}") from error
        try:
            self._prepare(here is not None, hops)
        except OSError as error:
            self._socket.close()
            raise AddressError(f"{end}: {error.strerror or error}") from error

    def _prepare(self, receives: bool, hops: int) -> None:
        group = ipaddress.ip_address(str(self._address[0]).partition("%")[0])
        six = group.version == 6
        level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
        if not receives:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            option = socket.IPV6_MULTICAST_HOPS if six else socket.IP_MULTICAST_TTL
            self._socket.setsockopt(level, option, hops)
            return
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        if group.is_multicast:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            option = socket.IPV6_JOIN_GROUP if six else socket.IP_ADD_MEMBERSHIP
            self._socket.setsockopt(level, option, group.packed + bytes(4))
        self._socket.bind(self._address)
        self._socket.setblocking(False)

    @property
    def port(self) -> int:
        """The port that is received at."""
        return int(self._socket.getsockname()[1])

    def send(self, packet: bytes) -> None:
        """Send a packet.  Raises OSError."""
        self._socket.sendto(packet, self._address)

    def receive(self, seconds: float) -> bytes | None:
        """Return a packet that has come or comes within ``seconds``; None if none does."""
        if not select.select([self._socket], [], [], max(0.0, seconds))[0]:
            return None
        try:
            return self._socket.recv(LARGEST + 1)
        except BlockingIOError:  # its checksum was wrong
            return None

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class Folder:
    """A folder with a packet in each file, which appears when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0

    def send(self, packet: bytes) -> None:
        """Write a packet.  Raises OSError."""
        self._path.mkdir(parents=True, exist_ok=True)
        while (file := self._path / f"{self._number:06}{SUFFIX}").exists():
            self._number += 1
        with replacing(file) as written:
            written.write(packet)
        self._number += 1

    def receive(self) -> Iterator[bytes]:
        """Return an iterator of the packets that are there, by name.  Both raise OSError."""
        files = sorted(file for file in self._path.iterdir() if file.name.endswith(SUFFIX))
        return _read(files[:MOST_FILES])


class Framed:
    """Packets one after the other, each behind its length: a serial line, a pipe."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def send(self, packet: bytes) -> None:
        """Write a packet.  Raises OSError."""
        self._stream.write(_LENGTH.pack(len(packet)) + packet)
        self._stream.flush()

    def receive(self) -> Iterator[bytes]:
        """Yield packets until the end.  Raises OSError, or DamagedPacket if they are not framed."""
        while head := self._read(_LENGTH.size):
            [size] = _LENGTH.unpack(head) if len(head) == _LENGTH.size else [0]
            if not 1 <= size <= LARGEST:
                raise DamagedPacket("these are no packets, each behind its length")
            packet = self._read(size)
            if len(packet) < size:
                return
            yield packet

    def _read(self, size: int) -> bytes:
        """Return ``size`` bytes, or fewer at the end."""
        data = b""
        while len(data) < size and (more := self._stream.read(size - len(data))):
            data += more
        return data


@contextmanager
def opened_to(where: str, *, hops: int = 1) -> Iterator[Sender]:
    """Open what packets are sent to: ``udp://HOST:PORT``, a folder, or ``-``.

    Raises AddressError, or DestinationError if standard output is closed.
    """
    if where == STANDARD:
        yield Framed(standard_output())
    elif where.startswith(SCHEME):
        with Datagrams(there=_endpoint(where), hops=hops) as datagrams:
            yield datagrams
    else:
        yield Folder(Path(where))


@contextmanager
def arriving(
    where: str, *, seconds: float | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Iterator[bytes | None]]:
    """Open what packets come from, and yield an iterator of them.

    Where nothing has come for a moment, it gives None.  It ends after ``seconds``; a folder when
    all is read that is there, standard input where that ends.  Raises AddressError, OSError if
    there is no such folder, and DestinationError if standard input is closed.
    """
    end = math.inf if seconds is None else clock() + seconds
    if where == STANDARD:
        # Without a buffer, which a thread that waits for more would hold when the program ends.
        buffered = standard_input()
        unbuffered = getattr(buffered, "raw", buffered)
        yield _with_pauses(Framed(unbuffered).receive(), end, clock)
    elif where.startswith(SCHEME):
        with Datagrams(here=_endpoint(where)) as datagrams:
            yield _datagrams(datagrams, end, clock)
    else:
        yield _with_pauses(Folder(Path(where)).receive(), end, clock, pauses=False)


def _read(files: Sequence[Path]) -> Iterator[bytes]:
    for file in files:
        if file.is_file():  # a pipe would be waited for
            with file.open("rb") as packet:
                yield packet.read(LARGEST + 1)


def _datagrams(
    datagrams: Datagrams, end: float, clock: Callable[[], float]
) -> Iterator[bytes | None]:
    while (now := clock()) < end:
        yield datagrams.receive(min(MOMENT, end - now))


def _with_pauses(
    packets: Iterator[bytes], end: float, clock: Callable[[], float], *, pauses: bool = True
) -> Iterator[bytes | None]:
    for packet in packets:
        yield packet
        if pauses:
            yield None
        if clock() >= end:
            return


def _endpoint(where: str) -> Endpoint:
    try:
        return endpoint(where.removeprefix(SCHEME))
    except argparse.ArgumentTypeError as error:
        raise AddressError(str(error)) from None
