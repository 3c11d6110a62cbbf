"""What ``diffc-client list`` prints of a picture."""

from __future__ import annotations

from datetime import UTC, datetime

from diffc_stream.session import Entry


def line(entry: Entry) -> str:
    """Return size, time (UTC), thumbprint and name."""
    return f"{entry.size:>12,}  {moment(entry.time):19}  {entry.thumbprint}  {entry.name}"


def moment(seconds: int) -> str:
    """Return when that is since 1970, in UTC, or the seconds themselves beyond the year 9999."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # which of them depends on the system
        return f"@{seconds}"
