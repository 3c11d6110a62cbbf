"""Read the colour that the boxes of AVIF, HEIF and JPEG 2000 files state."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from diffc_stream.imaging.colour import ROMM_RGB, Coding, coding_of

MOST_BOXES = 1024
"""Of a file, and of a box."""
MOST_META = 2**24
"""Bytes of the box that says what there is."""
_ROMM = 21
"""The number of a space of colours in JPEG 2000; those of others mean sRGB, or grey of it."""


class Told(NamedTuple):
    """The colour that a file states."""

    profile: bytes | None = None
    """ICC."""
    coding: Coding | None = None


NOTHING = Told()


def of_heif(file: BinaryIO) -> Told:
    """Return what an AVIF or HEIF file says of its primary picture; nothing if it is damaged."""
    try:
        for kind, meta in _top(file, b"meta"):
            if kind == b"meta":
                return _of_meta(meta[4:])
    except (struct.error, ValueError, IndexError):
        pass
    return NOTHING


def of_jp2(file: BinaryIO) -> Told:
    """Return what a JP2 file says of its colour; nothing if it is damaged, or a mere codestream."""
    try:
        for kind, header in _top(file, b"jp2h"):
            if kind != b"jp2h":
                continue
            for inner, body in _inside(header):
                told = _of_colr_jp2(body) if inner == b"colr" else None
                if told is not None:
                    return told
    except (struct.error, ValueError, IndexError):
        pass
    return NOTHING


def _of_meta(meta: bytes) -> Told:
    primary, properties, associated = None, list[tuple[bytes, bytes]](), dict[int, list[int]]()
    for kind, body in _inside(meta):
        if kind == b"pitm":
            primary = struct.unpack_from(">H" if body[0] == 0 else ">I", body, 4)[0]
        elif kind == b"iprp":
            for inner, content in _inside(body):
                if inner == b"ipco":
                    properties = list(_inside(content))
                elif inner == b"ipma":
                    associated.update(_associations(content))
    mine = associated.get(primary or 0)
    chosen = properties if mine is None else [properties[i - 1] for i in mine if i > 0]
    told = Told()
    for kind, body in chosen:
        if kind != b"colr":
            continue
        if body[:4] in (b"prof", b"rICC") and told.profile is None:
            told = told._replace(profile=body[4:])
        elif body[:4] == b"nclx" and told.coding is None:
            told = told._replace(coding=coding_of(*struct.unpack_from(">HH", body, 4)))
    return told


def _associations(body: bytes) -> Iterator[tuple[int, list[int]]]:
    """Yield the properties of each item, by number from 1."""
    wide_item, wide_property = body[0] >= 1, bool(body[3] & 1)
    (count,) = struct.unpack_from(">I", body, 4)
    at = 8
    for _ in range(min(count, MOST_BOXES)):
        item = struct.unpack_from(">I" if wide_item else ">H", body, at)[0]
        at += 4 if wide_item else 2
        numbers = []
        many, at = body[at], at + 1
        for _ in range(many):
            if wide_property:
                numbers.append(struct.unpack_from(">H", body, at)[0] & 0x7FFF)
            else:
                numbers.append(body[at] & 0x7F)
            at += 2 if wide_property else 1
        yield item, numbers


def _of_colr_jp2(body: bytes) -> Told | None:
    method = body[0]
    if method in (2, 3):
        return Told(profile=body[3:])
    if method == 1:
        (space,) = struct.unpack_from(">I", body, 3)
        return Told(coding=ROMM_RGB if space == _ROMM else None)
    if method == 5:
        return Told(coding=coding_of(body[3], body[4]))
    return None


def outer(file: BinaryIO, most: int) -> Iterator[tuple[bytes, int, int | None]]:
    """Yield the first ``most`` boxes of a file: kind, offset of the contents, and their size.

    A size of None means the rest of the file.
    """
    at = 0
    for _ in range(most):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        length, kind = struct.unpack_from(">I4s", head)
        start = 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), 16
        yield kind, at + start, max(0, length - start) if length else None
        if length < start:
            return
        at += length


def _top(file: BinaryIO, wanted: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the boxes of a file; only those of the kind ``wanted`` with their contents."""
    for kind, place, size in outer(file, MOST_BOXES):
        if kind != wanted:
            yield kind, b""
            continue
        inside = MOST_META if size is None else size
        if inside > MOST_META:
            return
        file.seek(place)
        yield kind, file.read(inside)


def _inside(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    for _ in range(MOST_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        length = len(data) - at if length == 0 else length
        if length < 8:
            return
        yield kind, data[at + 8 : at + length]
        at += length
