"""Machines without AVX-512, on one that has it.

What computes asks the processor what it can do, and most of it may be told otherwise by its
environment.  ONNX Runtime may not: of it a copy is made in which the question is answered no.  It
asks by testing bit 16 of what the instruction ``cpuid`` has said, not far from where it asks by
``xgetbv`` whether the system keeps the registers; in the copy it tests for nothing instead.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from pathlib import Path

from diffc_stream.errors import MissingPackage

_TOLD = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NUMBA_CPU_NAME": "haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL",
}

_XGETBV = b"\x0f\x01\xd0"
# test r32, 0x10000 with the register in the second byte.
_TEST = re.compile(rb"\xf7[\xc0-\xc7]\x00\x00\x01\x00", re.DOTALL)
_NEAR = 4096


def environment(folder: Path) -> dict[str, str]:
    """Return this process's environment, but for one without AVX-512; it needs ``folder``.

    Raises MissingPackage where ONNX Runtime is not installed, or asks in another way.
    """
    _copy_runtime(folder)
    before = os.environ.get("PYTHONPATH")
    path = str(folder) if before is None else f"{folder}{os.pathsep}{before}"
    return {**os.environ, **_TOLD, "PYTHONPATH": path}


def narrowed(library: bytes) -> bytes:
    """Return machine code that does not find AVX-512; as it was where it does not ask."""
    asked = [match.start() for match in re.finditer(re.escape(_XGETBV), library)]
    result = bytearray(library)
    for match in _TEST.finditer(library):
        if any(abs(match.start() - place) < _NEAR for place in asked):
            result[match.end() - 4 : match.end()] = bytes(4)
    return bytes(result)


def _copy_runtime(folder: Path) -> None:
    found = importlib.util.find_spec("onnxruntime")
    if found is None or found.origin is None:
        raise MissingPackage("onnxruntime is not installed")
    copy = folder / "onnxruntime"
    shutil.copytree(Path(found.origin).parent, copy)
    changed = False
    for library in copy.glob("capi/*.so"):
        before = library.read_bytes()
        after = narrowed(before)
        if after != before:
            library.write_bytes(after)
            changed = True
    if not changed:
        raise MissingPackage("this onnxruntime asks for AVX-512 in a way that is not known here")
