"""TIFF files written entry by entry."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Entries = dict[int, tuple[str, Sequence[int]]]
"""Values by tag, with what struct calls their kind."""

_KINDS = {"B": 1, "H": 3, "I": 4, "Q": 16}


def tiff(*directories: tuple[Entries, bytes], order: str = "<", big: bool = False) -> bytes:
    """Write a chain of directories, each with the bytes of its picture in one strip.

    A directory under 330 is below the one before it, and not in the chain.
    """
    mark = {"<": b"II", ">": b"MM"}[order]
    pointer = "Q" if big else "I"
    head = struct.pack(
        f"{order}HHHQ" if big else f"{order}HI", *((43, 8, 0, 16) if big else (42, 8))
    )
    out = bytearray(mark + head)
    for number, (entries, strip) in enumerate(directories):
        last = number == len(directories) - 1
        out += _directory(len(out), entries, strip, order, pointer, last=last)
    return bytes(out)


def _directory(
    at: int, entries: Entries, strip: bytes, order: str, pointer: str, *, last: bool
) -> bytes:
    room = struct.calcsize(f"<{pointer}")
    every = {**entries, 273: ("I", [0]), 279: ("I", [len(strip)])}
    table = (8 if room == 8 else 2) + len(every) * (4 + 2 * room) + room
    values, lines = b"", b""
    beyond = at + table
    for tag, (kind, numbers) in sorted(every.items()):
        data = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
        if len(data) > room and tag != 273:
            place = struct.pack(f"{order}{pointer}", beyond + len(values))
            values += data + bytes(len(data) % 2)
        else:
            place = data.ljust(room, b"\0")
        lines += struct.pack(f"{order}HH{pointer}", tag, _KINDS[kind], len(numbers)) + place
    start = beyond + len(values)
    index = sorted(every).index(273) * (4 + 2 * room) + 4 + room
    lines = (
        lines[:index] + struct.pack(f"{order}I", start).ljust(room, b"\0") + lines[index + room :]
    )
    count = struct.pack(f"{order}{'Q' if room == 8 else 'H'}", len(every))
    end = start + len(strip)
    following = struct.pack(f"{order}{pointer}", 0 if last else end + end % 2)
    return count + lines + following + values + strip + bytes(end % 2)


def of(samples: NDArray[np.generic], **more: Sequence[int]) -> tuple[Entries, bytes]:
    """Return the directory of samples, (H, W) or (H, W, samples), and its strip."""
    height, width = samples.shape[:2]
    many = samples.shape[2] if samples.ndim == 3 else 1
    bits, kind = 8 * samples.dtype.itemsize, {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    entries: Entries = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits] * many),
        259: ("H", [1]),
        262: ("H", [2 if many >= 3 else 1]),
        277: ("H", [many]),
        278: ("I", [height]),
        339: ("H", [kind] * many),
    }
    entries |= {int(tag[1:]): ("I", value) for tag, value in more.items()}
    return entries, samples.tobytes()
