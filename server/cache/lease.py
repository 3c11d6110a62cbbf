"""Leases: objects by which the senders that share a place agree on who encodes a picture.

A lease is an object that is created exclusively: of several senders that try, one succeeds.  It
names its owner and when it expires, and the owner renews it while it encodes.  If the owner is
killed, the lease ends LEASE seconds after the last renewal, and another sender creates the lease's
heir: an object whose name follows from the owner that expired, so that again only one succeeds.

A lease only saves work.  Where objects cannot be created exclusively, where a store shows old
data, or where a sender was suspended and wakes up late, two senders may encode the same picture:
their streams are equal, or else the store keeps the first (see :mod:`.store`).
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

LEASE = 15.0
"""Seconds after its last renewal when a lease expires."""
RENEW = LEASE / 3
"""Seconds between two renewals."""
SKEW = 10.0
"""Seconds by which the clocks of senders may differ without harm."""
SUFFIX = ".lease"
MOST_HEIRS = 16
"""Owners that were killed one after the other; beyond that, all of them are forgotten."""
MOST_SEEN = 4096
"""Leases of others that are remembered."""

_OWNER = re.compile(r"[0-9a-f]{16}")


class Lease(Protocol):
    """The right to encode a picture.  renew() and release() block, and raise OSError."""

    def renew(self) -> bool:
        """Keep it for LEASE seconds more; return False if it was lost."""
        ...

    def release(self) -> None:
        """Let others have it."""
        ...

    def close(self) -> None:
        """Drop it without waiting: others have it at once, or when it expires."""
        ...


class NoLease:
    """Stands in for a lease where there can be none: nothing keeps others from encoding."""

    def renew(self) -> bool:
        """Do nothing."""
        return True

    def release(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Objects(Protocol):
    """Keeps small objects.  All methods raise OSError."""

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes; None if there is none of that name."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Create an object; return False if there is one of that name."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Create an object, or replace the one of that name."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        ...


class Leases:
    """Gives out leases in a place of objects."""

    def __init__(
        self,
        objects: Objects,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep leases in ``objects``.

        ``clock`` returns seconds since 1970, and ``steady`` seconds that nobody sets.
        """
        self._objects = objects
        self._clock = clock
        self._steady = steady
        self._seen: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        """Leases of others as they were last seen to change, and when that was."""

    def claim(self, key: str) -> ExpiringLease | None:
        """Return a lease; None if another sender has one.  Raises OSError."""
        dead: list[tuple[str, str]] = []
        name = key + SUFFIX
        while (found := self._objects.read(name)) is not None:
            if not self._expired(name, found):
                return None
            dead.append((name, owner_of(found)))
            name = f"{key}.{owner_of(found)}{SUFFIX}"
            if len(dead) == MOST_HEIRS:
                self.forget(dead)
                return None
        lease = ExpiringLease(self, name, dead)
        return lease if self._objects.create(name, lease.text()) else None

    def held(self, key: str) -> bool:
        """Tell whether another sender has a lease.  Raises OSError."""
        name = key + SUFFIX
        for _ in range(MOST_HEIRS):
            found = self._objects.read(name)
            if found is None:
                return False
            if not self._expired(name, found):
                return True
            name = f"{key}.{owner_of(found)}{SUFFIX}"
        return False

    def forget(self, leases: list[tuple[str, str]]) -> None:
        """Remove leases, unless they have other owners by now.  Raises OSError."""
        for name, owner in leases:
            self._seen.pop(name, None)
            found = self._objects.read(name)
            if found is not None and owner_of(found) == owner:
                self._objects.remove(name)

    def replace(self, name: str, text: bytes) -> None:
        """Write a lease anew.  Raises OSError."""
        self._objects.replace(name, text)

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock()

    @property
    def steadily(self) -> float:
        """Seconds that nobody sets."""
        return self._steady()

    def _expired(self, name: str, found: bytes) -> bool:
        """Tell whether an owner has not renewed its lease in time.

        The owner's clock may differ from ours, so what counts beside it is how long the lease has
        not changed before our eyes.
        """
        if self._clock() > _expiry(found) + SKEW:
            return True
        data, since = self._seen.get(name, (None, 0.0))
        if data != found:
            self._seen[name] = found, self._steady()
            if len(self._seen) > MOST_SEEN:
                self._seen.popitem(last=False)
            return False
        return self._steady() - since > LEASE


class ExpiringLease:
    """A lease that is an object, and that ends by itself unless it is renewed."""

    def __init__(self, leases: Leases, name: str, dead: list[tuple[str, str]]) -> None:
        """Prepare a lease; ``dead`` are the expired ones before it, the oldest first."""
        self._leases = leases
        self._name = name
        self._dead = dead
        self._owner = secrets.token_hex(8)
        self._until = leases.steadily + LEASE

    def text(self) -> bytes:
        """Return what its object says, as of now."""
        return json.dumps(
            {"owner": self._owner, "expires": round(self._leases.now + LEASE, 3)}
        ).encode()

    def renew(self) -> bool:
        """Keep it for LEASE seconds more; return False if others may have it by now."""
        if self._leases.steadily >= self._until:
            return False
        until = self._leases.steadily + LEASE
        self._leases.replace(self._name, self.text())
        self._until = until
        return True

    def release(self) -> None:
        """Remove it, and the expired ones before it; the first of them first."""
        self._leases.forget([*self._dead, (self._name, self._owner)])

    def close(self) -> None:
        """Do nothing: it expires."""


def owner_of(found: bytes) -> str:
    """Return the owner of a lease, 16 hex digits; of a torn one, digits that follow from it."""
    try:
        owner = json.loads(found)["owner"]
        if _OWNER.fullmatch(owner):
            return str(owner)
    except (ValueError, TypeError, LookupError, RecursionError):
        pass
    return hashlib.sha256(found).hexdigest()[:16]


def _expiry(found: bytes) -> float:
    """Return when a lease expires, in seconds since 1970; of a torn one, never."""
    try:
        expires = json.loads(found)["expires"]
    except (ValueError, TypeError, LookupError, RecursionError):
        return float("inf")
    return float(expires) if isinstance(expires, int | float) else float("inf")
