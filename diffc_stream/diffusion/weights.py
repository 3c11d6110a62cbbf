"""Model files: weights, rounded once, with a name and a fingerprint.

A model file is a safetensors file.  Convolutions and matrices with many outputs are stored as 8-bit
integers with a half-precision scale per output, everything else in half precision.  An integer
times its scale is exact in single precision, so that every program that loads the file computes
with the same values.  Rounding costs at most 0.006 dB from log-SNR -6 to 6 (docs/decisions/0008).

The metadata contain the architecture, a name, and a fingerprint: a hash of exactly what the network
computes with, the architecture and the rounded weights.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.files import contents, line, opened, shown
from diffc_stream.errors import UnreadableModel
from diffc_stream.replacement import replacing

Floats = NDArray[np.float32]
Stored = dict[str, NDArray[np.int8] | NDArray[np.float16]]
"""Tensors as the file stores them, by name; the scales of ``x`` are called ``x.scale``."""

MOST_BYTES = 256 * 2**20
"""Bytes of the largest model file; larger ones are refused."""
MOST_HEADER = 2**18
"""Bytes of the longest header; longer ones are refused.  That of the default model has 16 kB."""

INTEGERS_FROM = 96
"""Convolutions and matrices of at least this many outputs are stored as integers.

Those with fewer outputs work on the fine level, where an error of 1 / 254 of the largest weight
costs 0.05 dB at log-SNR 6, and they have only a tenth of the parameters.
"""

SUFFIX = ".safetensors"
"""Suffix of model files."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
"""Names that a model may have: they become part of file names."""
FINGERPRINT = re.compile(r"[0-9a-f]{8}")

_SCALE = ".scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a model file says about itself, read from its header alone."""

    name: str
    fingerprint: str
    """The first 4 bytes of the SHA-256 of architecture and rounded weights, as 8 hex digits."""
    architecture: Architecture
    parameters: int
    bytes: int
    """Size of the file."""

    @property
    def file_name(self) -> str:
        """The file's name where it is released or added, and in its graph."""
        return f"{self.name}-{self.fingerprint}{SUFFIX}"


def rounded(weights: Mapping[str, Floats]) -> Stored:
    """Round single-precision ``weights`` to the form that a model file stores."""
    stored: Stored = {}
    for name, values in weights.items():
        if values.ndim > 1 and values.shape[0] >= INTEGERS_FROM:
            rows = values.reshape(len(values), -1)
            largest = np.abs(rows).max(axis=1)
            # At least the smallest normal half: below that, the scale itself would be imprecise.
            scale = np.maximum(largest / 127, np.finfo(np.float16).smallest_normal)
            scale = scale.astype(np.float16)
            integers = np.clip(np.rint(rows / scale.astype(np.float32)[:, None]), -127, 127)
            stored[name] = integers.astype(np.int8).reshape(values.shape)
            stored[name + _SCALE] = scale
        else:
            stored[name] = values.astype(np.float16)
    return stored


def values(stored: Stored) -> dict[str, Floats]:
    """Return the single-precision weights that ``stored`` stands for.

    Raises KeyError where integers lack their scales.
    """
    result = {}
    for name, tensor in stored.items():
        if name.endswith(_SCALE):
            continue
        single = tensor.astype(np.float32)
        if tensor.dtype == np.int8:
            scale = stored[name + _SCALE].astype(np.float32)
            single *= scale.reshape(-1, *[1] * (single.ndim - 1))
        result[name] = single
    return result


def fingerprint(architecture: Architecture, stored: Stored) -> str:
    """Return the first 8 hex digits of the SHA-256 of architecture and weights."""
    digest = hashlib.sha256(json.dumps(architecture.described(), sort_keys=True).encode())
    for name in sorted(stored):
        tensor = stored[name]
        digest.update(f"{name}{tensor.shape}".encode())
        digest.update(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()[:8]


def write_weights(path: Path, architecture: Architecture, stored: Stored, *, name: str) -> str:
    """Write a model file, wholly or not at all, and return its fingerprint."""
    identity = fingerprint(architecture, stored)
    metadata = {
        "name": name,
        "fingerprint": identity,
        "architecture": json.dumps(architecture.described()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(save(stored, metadata))
    return identity


def read_description(path: Path) -> Description:
    """Return what a model file says about itself, without reading its weights.

    Raises UnreadableModel with one line that says what is wrong.
    """
    try:
        with opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MOST_BYTES:
                raise UnreadableModel(f"{shown(path)}: {size} bytes, too large for a model file")
            return _described(path, file.read(MOST_HEADER), size)
    except OSError as error:
        raise _unreadable(path, error) from error


def read_verified(path: Path) -> tuple[Description, bytes]:
    """Return what a model file says about itself, and all of its bytes.

    Raises UnreadableModel, also if the weights do not have the file's fingerprint.
    """
    description, data, _ = _read(path)
    return description, data


def read_stored(path: Path) -> tuple[Description, Stored]:
    """Return what a model file says about itself, and its tensors as stored.

    Raises UnreadableModel, also if the weights do not have the file's fingerprint.
    """
    description, _, stored = _read(path)
    return description, stored


def read_weights(path: Path) -> tuple[Description, dict[str, Floats]]:
    """Return what a model file says about itself, and the weights to compute with.

    Raises UnreadableModel, also if the weights do not have the file's fingerprint.
    """
    description, stored = read_stored(path)
    try:
        return description, values(stored)
    except (KeyError, ValueError) as error:
        raise _unreadable(path, error) from error


def _read(path: Path) -> tuple[Description, bytes, Stored]:
    try:
        data = contents(path, MOST_BYTES)
        description = _described(path, data[:MOST_HEADER], len(data))
        stored = load(data)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from error
    if fingerprint(description.architecture, stored) != description.fingerprint:
        raise UnreadableModel(
            f"{shown(path)}: damaged: its weights are not those of its fingerprint"
        )
    return description, data, stored


def _described(path: Path, start: bytes, size: int) -> Description:
    """Return what a file of ``size`` bytes that begins with ``start`` says about itself."""
    try:
        tensors = _header(start, size)
        metadata = tensors.pop("__metadata__", {})
        name, identity = metadata["name"], metadata["fingerprint"]
        if not NAME.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is no name")
        if not FINGERPRINT.fullmatch(identity):
            raise ValueError(f"{identity[:80]!r} is no fingerprint")
        return Description(
            name=name,
            fingerprint=identity,
            architecture=_architecture(metadata["architecture"]),
            parameters=sum(
                _whole(tensor["shape"])
                for named, tensor in tensors.items()
                if not named.endswith(_SCALE)
            ),
            bytes=size,
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unreadable(path, error) from error


def _header(start: bytes, size: int) -> dict[str, Any]:
    """Return the header of a safetensors file.  May raise any of the errors of parsing JSON."""
    length = int.from_bytes(start[:8], "little")
    if len(start) < 8 or length > min(MOST_HEADER - 8, size - 8):
        raise ValueError("it has no header, or one that is too long")
    header = _parsed(start[8 : 8 + length].decode())
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name[:2] != "__"]
    if max(ends, default=0) != size - 8 - length:
        raise ValueError("its weights end elsewhere than the file")
    return dict(header)


def _architecture(text: str) -> Architecture:
    described = _parsed(text)
    widths, blocks = (described[key] for key in ("widths", "blocks"))
    if not all(type(count) is int for count in (*widths, *blocks)):
        raise ValueError("an architecture of something else than whole numbers")
    shaped = described.get("shaped", False)
    if type(shaped) is not bool:
        raise ValueError("an architecture that is neither shaped nor not")
    return Architecture(widths=tuple(widths), blocks=tuple(blocks), shaped=shaped)


def _parsed(text: str) -> Any:
    """Parse JSON, without NaN or infinity.  Raises ValueError or RecursionError."""

    def refused(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    return json.loads(text, parse_constant=refused)


def _whole(shape: Sequence[int]) -> int:
    """Return how many values a tensor has.  Raises ValueError if ``shape`` is not a shape."""
    if len(shape) > 8 or not all(type(side) is int and 0 <= side < 2**31 for side in shape):
        raise ValueError("a tensor without a shape")
    return prod(shape)


def _unreadable(path: Path, error: Exception) -> UnreadableModel:
    reason = f"it lacks {error}" if isinstance(error, KeyError) else line(error)
    if isinstance(error, RecursionError):
        reason = "lists within lists without end"
    return UnreadableModel(f"{shown(path)}: not a model file: {reason}")
