"""Simulate a bad link on one machine: a TCP proxy that is slow, late, cut, silent or corrupting.

    down, up = Impairment(rate=1000, delay=0.3), Impairment(delay=0.3)
    async with Link("127.0.0.1", 8765, down=down, up=up) as link:
        ...  # connect to 127.0.0.1, port link.port

``down`` is the way towards the client that connects, ``up`` the other one.  Only the payload of TCP
counts: a real link carries some 40 bytes more per packet.  Time is the event loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import struct
from collections.abc import Sequence
from typing import Self

from diffc_stream.errors import AddressError

from .admission import PASSING, SHORT
from .impairment import PERFECT, Break, Faults, Impairment, Line

MOST_CONNECTIONS = 256
"""Default limit of connections at once; more are reset as soon as they come."""
MOST_IN_FLIGHT = 2**24
"""Most bytes in flight in one direction of a connection, whatever its rate and delay."""
QUEUE = 4096
"""Bytes that may queue before a way: few, or else the sender would not notice that it is slow."""
SHORTAGE = 1.0
"""Seconds to wait when there is no descriptor for a connection, which the system queues then."""
MOST_DRAINED = 1 << 20
"""Most bytes that are read from a connection after it is cut, so that it ends with FIN, not RST."""


class Way:
    """One direction of one connection."""

    def __init__(
        self, impairment: Impairment, line: Line, faults: Faults, queue: int, *, recorded: bool
    ) -> None:
        self.impairment = impairment
        self.carried = 0
        """Bytes that have arrived at its end."""
        self.arrivals: list[tuple[float, int]] = []
        """When they arrived, in the event loop's time, and how many each time, if recorded."""
        self._recorded = recorded
        self._line = line
        self._faults = faults
        self._queue = queue
        self._clock = asyncio.get_running_loop().time
        self._flight: asyncio.Queue[tuple[float, bytes | Break | None]] = asyncio.Queue()
        self._airborne = 0
        self._landed = asyncio.Event()
        self._due = -math.inf

    async def carry(self, source: socket.socket, sink: socket.socket) -> Break | None:
        """Carry all that comes until it ends; return how the connection broke, if it did."""
        async with asyncio.TaskGroup() as tasks:
            taking = tasks.create_task(self._take(source))
            broken = await self._deliver(sink)
            taking.cancel()
        return broken

    async def _take(self, source: socket.socket) -> None:
        """Read bytes whenever the line has room for them, and put them in flight."""
        place, held, ready = 0, b"", self._clock()
        stalled: Impairment | None = None
        while True:
            impairment = self.impairment
            if impairment is not stalled and impairment.stalls_at(place):
                stalled = impairment
                await asyncio.sleep(impairment.stall)
                ready = self._clock()
            broken = impairment.broken_at(place)
            if broken is not None:
                return self._launch(broken, ready)
            if not held:
                try:
                    held, waited = await _receive(source, impairment.most_at_once)
                except OSError:  # The peer is gone.
                    return self._launch(Break.RESET, self._clock() + impairment.delay)
                ready = self._clock() if waited else ready
                if not held:
                    return self._launch(None, ready + impairment.delay)
                continue  # The impairment may have been changed meanwhile.
            if await self._waited_for_room():
                ready = self._clock()
            piece = held[: impairment.fit(place)]
            held = held[len(piece) :]
            # Bytes that were waiting cross right behind the last piece, even if this task was woken
            # late: so the rate holds in the long run.
            ready = self._line.crossed(len(piece), impairment.rate, ready)
            await self._until(ready)
            late = impairment.delay + self._faults.lateness(place, impairment)
            self._launch(self._faults.damaged(piece, place, impairment), ready + late)
            place += len(piece)

    async def _deliver(self, sink: socket.socket) -> Break | None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                due, item = await self._flight.get()
                await self._until(due)
                if item is None:
                    sink.shutdown(socket.SHUT_WR)
                    return None
                if isinstance(item, Break):
                    return item
                await loop.sock_sendall(sink, item)
                self.carried += len(item)
                if self._recorded:
                    self.arrivals.append((self._clock(), len(item)))
                self._airborne -= len(item)
                self._landed.set()
                await asyncio.sleep(0)  # Lets readers on the same loop see each piece.
        except OSError:  # The peer is gone.
            return Break.RESET

    def _launch(self, item: bytes | Break | None, due: float) -> None:
        """Make ``item`` (None is the end) arrive at ``due``, but not before earlier items."""
        self._due = max(self._due, due)
        self._flight.put_nowait((self._due, item))
        self._airborne += len(item) if isinstance(item, bytes) else 0

    async def _waited_for_room(self) -> bool:
        """Wait until no more is in flight than this way holds; return whether that took time."""
        waited = False
        while self._airborne >= min(self.impairment.holds, MOST_IN_FLIGHT) + self._queue:
            waited = True
            self._landed.clear()
            await self._landed.wait()
        return waited

    async def _until(self, due: float) -> None:
        if due > self._clock():
            await asyncio.sleep(due - self._clock())


class Connection:
    """One connection through a link."""

    def __init__(self, down: Way, up: Way) -> None:
        self.down = down
        self.up = up
        self._ended = 0
        self._broken: asyncio.Future[Break] = asyncio.get_running_loop().create_future()

    def end(self, how: Break) -> None:
        """Break the connection, unless it has ended."""
        if not self._broken.done():
            self._broken.set_result(how)

    async def carry(self, near: socket.socket, far: socket.socket) -> Break:
        """Carry both ways until they have ended or the connection breaks; return how it ended."""
        async with asyncio.TaskGroup() as tasks:
            down = tasks.create_task(self._carry(self.down, far, near))
            up = tasks.create_task(self._carry(self.up, near, far))
            how = await self._broken
            down.cancel()
            up.cancel()
        return how

    async def _carry(self, way: Way, source: socket.socket, sink: socket.socket) -> None:
        broken = await way.carry(source, sink)
        self._ended += 1
        if broken is not None:
            self.end(broken)
        elif self._ended == 2:
            self.end(Break.CUT)


class Link:
    """Make the server at ``host``:``port`` available at another address, over a bad link.

    ``down`` and ``up`` are one impairment each, or a sequence with one for each successive
    connection, of which the last is for all that follow.  TCP's handshake takes a round trip, as on
    a real link.  If one end vanishes, or the server cannot be reached, the other end sees a reset.
    While this process has no descriptors left, new connections wait or are reset; others go on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        down: Impairment | Sequence[Impairment] = PERFECT,
        up: Impairment | Sequence[Impairment] = PERFECT,
        seed: int = 0,
        queue: int = QUEUE,
        listen: tuple[str, int] = ("127.0.0.1", 0),
        most: int = MOST_CONNECTIONS,
        recorded: bool = True,
    ) -> None:
        """Carry ``most`` connections at once, each with a queue of about ``queue`` bytes per way.

        ``listen`` is the address to connect to; port 0 is any free one.  With ``recorded``, the
        link remembers every connection and when its bytes arrived, which takes memory while it
        exists.
        """
        self.port = 0
        """The port to connect to, once the link is entered."""
        self.connections: list[Connection] = []
        """All connections so far, or only the open ones if they are not recorded."""
        self.accepted = 0
        """Number of connections so far."""
        self._listen = listen
        self._most = most
        self._recorded = recorded
        self._open = self._gone_down = self._gone_up = 0
        self._upstream = (host, port)
        self._seed = seed
        self._queue = queue
        self._down_line, self._up_line = Line(), Line()
        self._sockets: set[socket.socket] = set()
        self._take_on(down, up)

    async def __aenter__(self) -> Self:
        """Listen.  Raises AddressError if the address is not available, or a host is unknown."""
        self._family, self._upstream = await _resolved(*self._upstream)
        family, address = await _resolved(*self._listen)
        self._listener = self._socket(family)
        try:
            if os.name == "posix":  # Elsewhere this option means sharing the port.
                self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            self._listener.bind(address)
        except OSError as error:
            self._close(self._listener, Break.CUT)
            why = (error.strerror or str(error)).lower()
            raise AddressError(f"cannot listen on {address[0]} {address[1]}: {why}") from error
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._accepting.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._accepting
        finally:
            for left in tuple(self._sockets):
                self._close(left, Break.CUT)

    @property
    def carried_down(self) -> int:
        """Bytes that have arrived at the clients."""
        return self._gone_down + sum(connection.down.carried for connection in self.connections)

    @property
    def carried_up(self) -> int:
        """Bytes from the clients that have arrived at the server."""
        return self._gone_up + sum(connection.up.carried for connection in self.connections)

    @property
    def open(self) -> int:
        """Number of open connections."""
        return self._open

    def impair(self, *, down: Impairment | None = None, up: Impairment | None = None) -> None:
        """Change the impairments of all connections from the next bytes on; None keeps one."""
        self._take_on(down or self._down, up or self._up)
        for connection in self.connections:
            connection.down.impairment = down or connection.down.impairment
            connection.up.impairment = up or connection.up.impairment

    def cut(self, how: Break = Break.CUT) -> None:
        """Break all open connections now."""
        for connection in self.connections:
            connection.end(how)

    def _take_on(
        self, down: Impairment | Sequence[Impairment], up: Impairment | Sequence[Impairment]
    ) -> None:
        self._down = (down,) if isinstance(down, Impairment) else tuple(down)
        self._up = (up,) if isinstance(up, Impairment) else tuple(up)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    near, _ = await loop.sock_accept(self._listener)
                except OSError as error:
                    if error.errno in PASSING or isinstance(error, ConnectionAbortedError):
                        continue  # It is gone already.
                    if error.errno not in SHORT:
                        raise
                    await asyncio.sleep(SHORTAGE)
                    continue
                self._sockets.add(near)
                if self._open >= self._most:
                    self._close(near, Break.RESET)
                    continue
                self._open += 1
                tasks.create_task(self._connect(near))

    async def _connect(self, near: socket.socket) -> None:
        connection = Connection(
            self._way("down", self._down, self._down_line),
            self._way("up", self._up, self._up_line),
        )
        self.connections.append(connection)
        self.accepted += 1
        far: socket.socket | None = None
        round_trip = connection.down.impairment.delay + connection.up.impairment.delay
        try:
            far = self._socket(self._family)
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            await asyncio.sleep(round_trip)
            await asyncio.get_running_loop().sock_connect(far, self._upstream)
            how = await connection.carry(near, far)
        except OSError:
            how = Break.RESET  # The server cannot be reached, or there is no descriptor for it.
        if how is not Break.SILENCE:  # Silent connections keep their sockets, and count.
            self._close(near, how)
            if far is not None:
                self._close(far, how)
            self._open -= 1
        if not self._recorded:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self._gone_down += connection.down.carried
        self._gone_up += connection.up.carried
        self.connections.remove(connection)

    def _way(self, name: str, choices: Sequence[Impairment], line: Line) -> Way:
        faults = Faults(f"{self._seed} {self.accepted} {name}")
        chosen = choices[min(self.accepted, len(choices) - 1)]
        return Way(chosen, line, faults, self._queue, recorded=self._recorded)

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        made = socket.socket(family)
        made.setblocking(False)
        # Accepted sockets inherit this.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._queue)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._sockets.add(made)
        return made

    def _close(self, used: socket.socket, how: Break) -> None:
        self._sockets.discard(used)
        with used, contextlib.suppress(OSError):
            if how is Break.RESET:
                used.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                used.shutdown(socket.SHUT_WR)
                # If bytes are left to read, the system sends RST instead of FIN.
                drained = 0
                while drained < MOST_DRAINED and (data := used.recv(QUEUE)):
                    drained += len(data)


async def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Return the first address of a host, which may be an address.  Raises AddressError."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.inet_pton(family, host)
            return family, (host, port)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise AddressError(f"{host!r} cannot be found: {why}") from error
    family, *_, address = found[0]
    return family, (str(address[0]), port)


async def _receive(source: socket.socket, size: int) -> tuple[bytes, bool]:
    """Return up to ``size`` bytes, and whether they had to be waited for."""
    try:
        return source.recv(size), False
    except BlockingIOError:
        return await asyncio.get_running_loop().sock_recv(source, size), True
