"""The connections to one HTTP server: one that is not needed is kept for the next request."""

from __future__ import annotations

from .address import Address
from .credentials import Access
from .http_client import ConnectionDropped, HttpConnection, ResponseHead


class HttpConnections:
    """Dials a server as often as requests run at the same time."""

    def __init__(self, server: Address, *, idle: float, access: Access) -> None:
        """Dial ``server``; ``idle`` is how many seconds it may send nothing."""
        self._server = server
        self._idle = idle
        self._access = access
        self._spare: HttpConnection | None = None

    async def dial(self) -> None:
        """Connect before the first request.  Raises as :meth:`HttpConnection.dial` does."""
        self._spare = await self._connected()

    async def ask(
        self, address: Address, wanted: range, connection: HttpConnection | None = None
    ) -> tuple[HttpConnection, ResponseHead]:
        """Ask for a range of a file; return the connection, and the head of the answer on it.

        The request goes over ``connection``, if that takes another one; afterwards pass the
        connection to :meth:`keep`.  Raises LinkLost, RemoteProtocolError.
        """
        fields = {
            "Range": f"bytes={wanted.start}-{wanted.stop - 1}",
            # A range of a compressed file could not be decompressed.
            "Accept-Encoding": "identity",
            "User-Agent": "diffc-client",
        }
        if connection is not None and not connection.reusable:
            connection.close()
            connection = None
        connection = connection or await self._connected()
        try:
            try:
                return connection, await connection.ask(address.target, fields)
            except ConnectionDropped:
                # Servers close idle connections; a new one should work.
                connection.close()
                connection = await self._connected()
                return connection, await connection.ask(address.target, fields)
        except BaseException:
            connection.close()
            raise

    def keep(self, connection: HttpConnection) -> None:
        """Take back a connection: keep it for the next request, or close it."""
        if connection.reusable and self._spare is None:
            self._spare = connection
        else:
            connection.close()

    async def close(self) -> None:
        """Close the one that is kept."""
        if self._spare is not None:
            self._spare.close()
            await self._spare.closed()

    async def _connected(self) -> HttpConnection:
        """Return a connection that is ready for a request."""
        spare, self._spare = self._spare, None
        return spare or await HttpConnection.dial(
            self._server, idle=self._idle, access=self._access
        )
