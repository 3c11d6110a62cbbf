"""Graph files: they let any ONNX runtime run a model's network.

A graph is an ONNX file beside the model file, with the same name but for ``.onnx``.  It contains no
weights.  Instead it refers to those in the model file (ONNX calls that external data), so that
every receiver, including the browser, computes with the same bytes.  ``python -m training.onnx``
makes it.

Before a graph is run, this module checks which model it belongs to and which files it would read.
It does so without the ``onnx`` package.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffc_stream.diffusion.files import contents, line
from diffc_stream.diffusion.weights import Description
from diffc_stream.errors import UnreadableModel

SUFFIX = ".onnx"
MOST_BYTES = 4 * 2**20
"""Larger graph files are refused; that of the default model has 51 kB."""

_DEEPEST = 12
"""Deepest nesting of messages that is read.  Our graphs have four levels."""

# The messages within messages of onnx.proto that may lead to tensors or facts, by field number.
_WITHIN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 14: "fact", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
"""Wire types of protocol buffers; the others are obsolete."""


def beside(path: Path) -> Path:
    """Return the path at which the graph of the model file ``path`` is, if it has one."""
    return path.with_suffix(SUFFIX)


def read_graph(path: Path, description: Description) -> bytes:
    """Return the graph beside the model file ``path``, which ``description`` describes.

    Raises UnreadableModel if the graph is too large, is not an ONNX file, was made for other
    weights, or refers to any file but its model file.
    """
    file = beside(path)
    try:
        data = contents(file, MOST_BYTES)
    except OSError as error:
        raise UnreadableModel(f"{file}: not a graph: {line(error)}") from error
    try:
        facts, locations = told(data)
    except ValueError as error:
        raise UnreadableModel(f"{file}: not an ONNX graph: {error}") from error
    if facts.get("fingerprint") != description.fingerprint:
        raise UnreadableModel(f"{file}: not the graph of the model {description.fingerprint}")
    if locations != {description.file_name}:
        raise UnreadableModel(f"{file}: its weights are not those of {description.file_name} alone")
    return data


def told(data: bytes) -> tuple[dict[str, str], set[str]]:
    """Return the facts (metadata) of an ONNX graph, and all files that it refers to.

    Raises ValueError if ``data`` is not an ONNX graph.
    """
    facts: dict[str, str] = {}
    locations: set[str] = set()
    for kind, message in _messages("model", memoryview(data)):
        entry = {number: bytes(value).decode() for number, value in _fields(message)}
        key, value = entry.get(1, ""), entry.get(2, "")
        if kind == "fact":
            facts[key] = value
        elif key == "location":
            locations.add(value)
    return facts, locations


def _messages(kind: str, message: memoryview, depth: int = 0) -> Iterator[tuple[str, memoryview]]:
    """Yield every fact and every piece of external data within ``message``, with its kind."""
    if depth > _DEEPEST:
        raise ValueError("messages within messages without end")
    for number, value in _fields(message):
        within = _WITHIN[kind].get(number)
        if within in ("fact", "external"):
            yield within, value
        elif within is not None:
            yield from _messages(within, value, depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the content of every field that holds bytes; skip other fields."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _BYTES:
            length, at = _varint(message, at)
            value = message[at : at + length]
            at += length
        elif wire == _VARINT:
            _, at = _varint(message, at)
        elif wire in (_EIGHT, _FOUR):
            at += 8 if wire == _EIGHT else 4
        else:
            raise ValueError(f"a field of the unknown type {wire}")
        if at > len(message):
            raise ValueError("it ends in the middle of a field")
        if wire == _BYTES:
            yield number, value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at ``at``, and the place after it."""
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(message):
            raise ValueError("it ends in the middle of a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")
