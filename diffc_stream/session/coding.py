"""Encode and decode messages: DATA is binary, with a checksum; all others are MessagePack."""

from __future__ import annotations

from typing import cast

import msgpack

from diffc_stream.container.grammar import crc32c
from diffc_stream.container.varint import Truncated, encode_varint, parse_varint
from diffc_stream.errors import CorruptStream, LocalProtocolError, RemoteProtocolError
from diffc_stream.session.fields import Record
from diffc_stream.session.messages import CONTROL, MAX_MESSAGE, MAX_STREAM, Data, Message, title

_CRC_SIZE = 4


def encode(message: Message) -> bytes:
    """Return the bytes of ``message``.  Raises LocalProtocolError if a field does not fit."""
    if isinstance(message, Data):
        return encode_data(message.stream, message.offset, message.payload)
    try:
        values = _RECORDS[type(message)].plain(message)
    except ValueError as error:
        raise LocalProtocolError(f"{title(type(message))}: {error}") from error
    return bytes([message.kind]) + cast(bytes, msgpack.packb(values))


def encode_data(stream: int, offset: int, payload: bytes) -> bytes:
    """Return the bytes of a DATA message without constructing one, because most messages are DATA.

    Raises LocalProtocolError if it is too large.
    """
    body = _DATA + encode_varint(stream) + encode_varint(offset) + payload
    if len(body) + _CRC_SIZE > MAX_MESSAGE:
        raise LocalProtocolError(f"DATA: {len(payload)} bytes do not fit a message")
    return body + crc32c(body).to_bytes(_CRC_SIZE, "little")


def decode(data: bytes) -> Message:
    """Return the message that ``data`` encodes.  Raises RemoteProtocolError if there is none."""
    if not data:
        raise RemoteProtocolError("an empty message")
    if len(data) > MAX_MESSAGE:
        raise RemoteProtocolError(f"a message of {len(data)} bytes, more than {MAX_MESSAGE}")
    if data[0] == Data.kind:
        return _decode_data(data)
    message = _BY_KIND.get(data[0])
    if message is None:
        raise RemoteProtocolError(f"a message of unknown type 0x{data[0]:02x}")
    values = _unpack(data[1:], title(message))
    try:
        parsed = _RECORDS[message].parse(values)
    except ValueError as error:
        raise RemoteProtocolError(f"{title(message)}: {error}") from error
    return cast(Message, parsed)


def data_size(stream: int, offset: int, payload: int) -> int:
    """Return the size in bytes of a DATA message with ``payload`` bytes of payload."""
    return 1 + len(encode_varint(stream)) + len(encode_varint(offset)) + payload + _CRC_SIZE


def _decode_data(data: bytes) -> Data:
    body, crc = data[:-_CRC_SIZE], data[-_CRC_SIZE:]
    if len(data) <= _CRC_SIZE or crc32c(body) != int.from_bytes(crc, "little"):
        raise RemoteProtocolError("DATA: the checksum does not match")
    try:
        stream, place = parse_varint(body, 1)
        offset, place = parse_varint(body, place)
    except (Truncated, CorruptStream):
        raise RemoteProtocolError("DATA: a damaged head") from None
    if stream < 1 or place == len(body) or offset + len(body) - place > MAX_STREAM:
        raise RemoteProtocolError("DATA: stream, offset or length out of range")
    return Data(stream=stream, offset=offset, payload=body[place:])


def _unpack(data: bytes, name: str) -> list[object]:
    try:
        # A new unpacker for each message, because one that has raised must not be used again.
        values = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_str_len=1024,
            max_bin_len=0,
            max_array_len=64,
            max_map_len=0,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError):
        raise RemoteProtocolError(f"{name}: not a MessagePack array within the limits") from None
    if not isinstance(values, list):
        raise RemoteProtocolError(f"{name}: not an array")
    return values


_DATA = bytes([Data.kind])
_RECORDS = {message: Record(message) for message in CONTROL}
_BY_KIND = {message.kind: message for message in CONTROL}
