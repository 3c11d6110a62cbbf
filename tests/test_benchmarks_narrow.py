"""A copy of ONNX Runtime that does not find AVX-512, and nothing else about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from diffc_benchmarks.narrow import environment, narrowed
from diffc_stream.diffusion.collection import DEFAULT

TEST = bytes.fromhex("41f7c200000100")
"""test r10d, 0x10000"""
XGETBV = bytes.fromhex("0f01d0")


def test_only_what_asks_is_changed() -> None:
    asks = b"\x90" * 9 + XGETBV + b"\x90" * 800 + TEST + b"\x74\x0e"
    assert narrowed(asks) == asks.replace(TEST, bytes.fromhex("41f7c200000000"))
    far = XGETBV + b"\x90" * 5000 + TEST
    assert narrowed(far) == far
    assert narrowed(TEST) == TEST
    assert narrowed(b"") == b""


@pytest.mark.skipif(sys.platform != "linux", reason="the copy is of a library for Linux")
def test_the_copy_computes(tmp_path: Path) -> None:
    told = environment(tmp_path)
    program = f"""
import numpy as np, onnxruntime
from pathlib import Path
from diffc_stream.diffusion.model import load_model
assert onnxruntime.__file__.startswith({str(tmp_path)!r})
denoiser = load_model(Path({str(DEFAULT)!r})).denoiser
assert np.isfinite(denoiser(np.ones((3, 16, 16), np.float32), 1.0)).all()
"""
    subprocess.run([sys.executable, "-c", program], env=told, check=True, timeout=120)
