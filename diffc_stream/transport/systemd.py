"""Tell systemd how the daemon is, over its notification socket.

The protocol is sd_notify(3): a datagram of ``NAME=value`` lines to the socket that NOTIFY_SOCKET
names.  A name that begins with @ is an abstract socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping


class Supervisor:
    """Tells systemd, if it is there, what the daemon is doing, until it is closed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Find systemd's socket in the ``environment`` of this process."""
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._breath = _breath(environment)
        self._door: socket.socket | None = None
        with contextlib.suppress(OSError):
            if address:
                # Kept open: signs of life have to go out when there is no descriptor left, too.
                self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._door.setblocking(False)

    def close(self) -> None:
        """Say nothing more."""
        if self._door is not None:
            self._door.close()

    def ready(self, status: str) -> None:
        """Report that the daemon is up, with a ``status`` of one line."""
        self._tell("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Report that the daemon is stopping."""
        self._tell("STOPPING=1", "STATUS=draining")

    async def watch(self) -> None:
        """Send signs of life to the watchdog for as long as the event loop runs."""
        while self._breath is not None:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._breath)

    def _tell(self, *words: str) -> None:
        if self._door is None:
            return
        # The daemon serves even if systemd does not listen, and does not wait if its queue is full.
        with contextlib.suppress(OSError):
            self._door.sendto("\n".join(words).encode(), self._address)


def _breath(environment: Mapping[str, str]) -> float | None:
    """Return the seconds between signs of life: half of the watchdog's timeout."""
    text, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not text.isdecimal() or whose not in ("", str(os.getpid())):
        return None
    return max(int(text), 1000) / 2e6
