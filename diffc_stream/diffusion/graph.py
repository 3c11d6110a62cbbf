"""Graph files: what computes a model's network, for whoever has an ONNX runtime.

A graph is an ONNX file beside the model file, of the same name but for ``.onnx``.  It holds no
weights: they are external data, which point into the model file, so that every receiver, the
browser too, computes with the same bytes.  ``python -m training.onnx`` makes it.

What matters of a graph before anything runs it is read here, without the ``onnx`` package: whose it
is, and where it would have its weights read from.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffc_stream.diffusion.files import contents, line
from diffc_stream.diffusion.weights import Description
from diffc_stream.errors import UnreadableModel

SUFFIX = ".onnx"
MOST_BYTES = 4 * 2**20
"""A graph file larger than this is refused; that of the default model has 51 kB."""

_DEEPEST = 12
"""Messages within messages, of which a graph of ours has four; each is read once per level."""

# Where in onnx.proto messages hold messages, by field number, as far as tensors and facts go.
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
"""Wire types of protocol buffers; the others have been given up."""


def beside(path: Path) -> Path:
    """Return where the graph of the model file ``path`` is, if it has one."""
    return path.with_suffix(SUFFIX)


def read_graph(path: Path, description: Description) -> bytes:
    """Return the graph beside the model file ``path``, of which ``description`` tells.

    Raises UnreadableModel for one that is too large, that is no ONNX file, that was made for other
    weights, or that would have anything read but its model file.
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

    Raises ValueError for what is no ONNX graph.
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
    """Yield number and content of every field that has bytes; the others are skipped."""
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
    """Return the number that begins at ``at`` and where it ends."""
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
