"""Write a stream: header, steps, and a check wherever one is due."""

from __future__ import annotations

from diffc_stream.container.grammar import (
    CHECK_DUE,
    CHECK_SIZE,
    CHECK_TAG,
    Before,
    Header,
    Step,
    crc32c,
    segments,
)


class StreamWriter:
    """Turn a header and steps into bytes, keeping count and checksum."""

    def __init__(self) -> None:
        self.written = 0
        """Bytes so far."""
        self.payload = 0
        """Of them, bytes of step payloads; the rest is side information."""
        self.before = Before()
        """What the next step is described in terms of."""
        self._crc = 0
        self._unchecked = 0

    def header(self, header: Header) -> bytes:
        """Return the header's bytes."""
        return self._take(header.encode())

    def step(self, step: Step, payload: bytes) -> bytes:
        """Return a whole step: its description and its payload with the checks due in it."""
        out = bytearray(self._take(step.encode(self.before)))
        self.before = self.before.after(step)
        start = 0
        for size in segments(step.length):
            out += self._take(payload[start : start + size])
            start += size
            if self._unchecked >= CHECK_DUE:
                out += self.check()
        self.payload += step.length
        return bytes(out)

    def check(self) -> bytes:
        """Return a check record over all since the last one, or nothing right after it."""
        if self._unchecked == 0:
            return b""
        record = bytes([CHECK_TAG]) + (self._crc & 0xFFFF).to_bytes(2, "little")
        self._take(record)
        self._crc = self._unchecked = 0
        return record

    def size(self, step: Step, *, checked: bool) -> int:
        """Return how many bytes ``step`` would add, with a check after it if ``checked``."""
        total = len(step.encode(self.before))
        unchecked = self._unchecked + total
        for size in segments(step.length):
            total += size
            unchecked += size
            if unchecked >= CHECK_DUE:
                total += CHECK_SIZE
                unchecked = 0
        return total + (CHECK_SIZE if checked and unchecked else 0)

    def _take(self, data: bytes) -> bytes:
        self._crc = crc32c(data, self._crc)
        self.written += len(data)
        self._unchecked += len(data)
        return data
