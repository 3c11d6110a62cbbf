"""A store's backend in memory, which fails when a test says so."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from diffc_server.cache.backend import Backend, Entry
from diffc_server.cache.lease import Lease


class Drawer:
    """A backend in memory; ``failure`` befalls those who read or write."""

    where = "drawer"

    def __init__(self) -> None:
        self.objects: dict[str, tuple[int, bytes]] = {}
        self.failure: OSError | None = None
        self._clock = 0

    def read(self, name: str) -> bytes | None:
        """Return an object."""
        self._fail()
        return self.objects.get(name, (0, None))[1]

    def write(self, name: str, data: bytes) -> None:
        """Put an object."""
        self._fail()
        self._clock += 1
        self.objects[name] = self._clock, data

    def touch(self, name: str) -> None:
        """Put it on top."""
        self._fail()
        self._clock += 1
        self.objects[name] = self._clock, self.objects[name][1]

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._fail()
        self.objects.pop(name, None)

    def entries(self) -> list[Entry]:
        """List them."""
        self._fail()
        return [
            Entry(name=name, size=len(data), used=used)
            for name, (used, data) in self.objects.items()
        ]

    def check(self) -> None:
        """Fail, if all does."""
        self._fail()

    def locked(self) -> AbstractContextManager[None]:
        """Keep out nobody."""
        return nullcontext()

    def claim(self, key: str) -> Lease | None:
        """Lease to nobody."""
        self._fail()
        return None

    def claimed(self, key: str) -> bool:
        """Lease to nobody."""
        self._fail()
        return True

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure


_backend: Backend = Drawer()
