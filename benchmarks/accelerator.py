"""What an accelerator gives: evaluations a second, and how near they are to the CPU's.

    python -m benchmarks.accelerator [--device cuda] [--sides 512 2048] [--batches 1 4 16] [--json]

The default model on PyTorch, in float32 and bfloat16, on batches of noise: evaluations a second,
megapixels a second, and the PSNR between its v and that of the CPU in float32 (v has a standard
deviation of about 1; the peak is taken as 4).  ``--device cpu`` tries the same where there is none.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from diffc_stream.diffusion.collection import DEFAULT
from diffc_stream.diffusion.network import load_network
from diffc_stream.diffusion.unet import UNet
from diffc_stream.errors import MissingPackage

from .command import count, exit_code
from .pictures import commit, machine

LEAST = 0.5
"""Seconds that each batch is evaluated, at least."""
PEAK = 4.0
TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one batch gives."""

    dtype: str
    side: int
    batch: int
    a_second: float
    """Evaluations of single pictures."""
    megapixels_a_second: float
    agreement: float
    """PSNR in dB with the CPU's float32."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sides", type=count, nargs="+", default=[512, 2048], metavar="PIXELS")
    parser.add_argument("--batches", type=count, nargs="+", default=[1, 4, 16], metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parsed = parser.parse_args(arguments)
    return exit_code("accelerator", lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    if parsed.device.startswith("cuda") and not torch.cuda.is_available():
        raise MissingPackage("this machine has no GPU that PyTorch can use; try --device cpu")
    rates = measured(torch.device(parsed.device), parsed.sides, parsed.batches)
    if parsed.json:
        record = {"commit": commit(), "machine": machine(), "device": parsed.device}
        print(json.dumps({**record, "rates": [asdict(rate) for rate in rates]}))
        return
    for rate in rates:
        print(
            f"{rate.dtype:8} {rate.side:5} x{rate.batch:<3} {rate.a_second:8.1f} a second, "
            f"{rate.megapixels_a_second:7.1f} megapixels; {rate.agreement:.1f} dB"
        )


def measured(device: torch.device, sides: Sequence[int], batches: Sequence[int]) -> list[Rate]:
    """Return the rates of all batches on a device."""
    network = load_network(DEFAULT)
    wide = network.architecture
    rng = np.random.default_rng(0)
    rates = []
    for side in sides:
        z = rng.standard_normal((max(batches), wide.channels, side, side), np.float32)
        features = rng.standard_normal((max(batches), wide.features), np.float32)
        whole = torch.from_numpy(z), torch.from_numpy(features)
        with torch.inference_mode():
            expected = network(whole[0][:1], whole[1][:1]).numpy()
        for name, dtype in TYPES.items():
            there = load_network(DEFAULT).to(device, dtype)
            for batch in batches:
                given = tuple(part[:batch].to(device, dtype) for part in whole)
                seconds, v = _timed(there, given[0], given[1])
                error = float(np.mean(np.square(v[:1].float().cpu().numpy() - expected)))
                rates.append(
                    Rate(
                        dtype=name,
                        side=side,
                        batch=batch,
                        a_second=batch / seconds,
                        megapixels_a_second=batch * side * side / seconds / 1e6,
                        agreement=float(10 * np.log10(PEAK**2 / max(error, 1e-20))),
                    )
                )
    return rates


@torch.inference_mode()
def _timed(network: UNet, z: torch.Tensor, features: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Return the seconds of one evaluation of a batch, and what comes of it."""
    z = z.contiguous(memory_format=torch.channels_last)
    v: torch.Tensor = network(z, features)
    _finish(z)
    began, done = time.perf_counter(), 0
    while not done or time.perf_counter() - began < LEAST:
        v = network(z, features)
        _finish(z)
        done += 1
    return (time.perf_counter() - began) / done, v


def _finish(of: torch.Tensor) -> None:
    if of.is_cuda:
        torch.cuda.synchronize(of.device)


if __name__ == "__main__":
    raise SystemExit(main())
