"""Write a stream: header, steps, and a check wherever one is due."""

from __future__ import annotations

from collections.abc import Iterator

from diffc_stream.container.clip import Motion, Second, Turn
from diffc_stream.container.grammar import (
    ABOUT_TAG,
    CHECK_DUE,
    CHECK_SIZE,
    CHECK_TAG,
    MOST_ABOUT,
    Before,
    Header,
    Step,
    crc32c,
    segments,
)


class StreamWriter:
    """Turn a header and steps into bytes.  Keeps the count and the checksum."""

    def __init__(self) -> None:
        self.written = 0
        """Bytes written so far."""
        self.payload = 0
        """Bytes of step payloads among them; the rest is side information."""
        self.before = Before()
        """The steps before, in terms of which the next one is described."""
        self._picture = 0
        self._befores: dict[int, Before] = {}
        self._crc = 0
        self._unchecked = 0

    def header(self, header: Header) -> bytes:
        """Return the header's bytes."""
        return self._take(header.encode())

    def step(self, step: Step, payload: bytes) -> bytes:
        """Return a whole step: its description and its payload, including any checks due in it."""
        return b"".join(data for data, _ in self._parts(step, payload))

    def cut(self, step: Step, payload: bytes, size: int) -> tuple[bytes, int]:
        """Return the first ``size`` bytes of a step, and how many of them are payload.

        They are the end of the stream: nothing can follow.
        """
        begun, payload_before = self.written, self.payload
        out, contained = b"", 0
        for data, is_payload in self._parts(step, payload):
            kept = data[: size - len(out)]
            out += kept
            contained += len(kept) if is_payload else 0
        self.written, self.payload = begun + len(out), payload_before + contained
        return out, contained

    def _parts(self, step: Step, payload: bytes) -> Iterator[tuple[bytes, bool]]:
        """Yield the parts of a step, each with whether it is payload."""
        yield self._take(step.encode(self.before)), False
        self.before = self.before.after(step)
        start = 0
        for size in segments(step.length):
            yield self._take(payload[start : start + size]), True
            self.payload += size
            start += size
            if self._unchecked >= CHECK_DUE:
                yield self.check(), False

    def check(self) -> bytes:
        """Return a check of all bytes since the last one, or nothing if there are none."""
        if self._unchecked == 0:
            return b""
        record = bytes([CHECK_TAG]) + (self._crc & 0xFFFF).to_bytes(2, "little")
        self._take(record)
        self._crc = self._unchecked = 0
        return record

    def about(self, facts: bytes) -> bytes:
        """Return a record of facts about the picture, 1 to MOST_ABOUT bytes, with its check."""
        assert 1 <= len(facts) <= MOST_ABOUT
        return self._take(bytes([ABOUT_TAG, len(facts)]) + facts) + self.check()

    def turn(self, picture: int) -> bytes:
        """Return the record after which steps are of another picture, nothing if they are now."""
        if picture == self._picture:
            return b""
        self._befores[self._picture] = self.before
        self._picture, self.before = picture, self._befores.get(picture, Before())
        return self._record(Turn(picture).encode())

    def told(self, record: Motion | Second) -> bytes:
        """Return a record of what the present picture has in common with others."""
        return self._record(record.encode())

    def _record(self, data: bytes) -> bytes:
        data = self._take(data)
        return data + self.check() if self._unchecked >= CHECK_DUE else data

    def size(self, step: Step) -> int:
        """Return how many bytes ``step`` would add to the stream."""
        total = len(step.encode(self.before))
        unchecked = self._unchecked + total
        for size in segments(step.length):
            total += size
            unchecked += size
            if unchecked >= CHECK_DUE:
                total += CHECK_SIZE
                unchecked = 0
        return total

    def _take(self, data: bytes) -> bytes:
        self._crc = crc32c(data, self._crc)
        self.written += len(data)
        self._unchecked += len(data)
        return data
