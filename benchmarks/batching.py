"""Whether a denoiser gains by evaluating several pictures at once.

    python -m benchmarks.batching [--sides 64 128 256 512] [--batches 1 2 4 8] [--json [FILE]]

Batches of noise of one shape, by each engine at hand, on as many threads as OMP_NUM_THREADS says
(or all cores).  Evaluations a second, the best of several rounds, in which the batches take turns,
so that other programs disturb all alike; evaluations a second of computing time (CPU seconds of all
threads), which other programs disturb less; and whether every picture of a batch comes out as it
does alone, bit for bit.  ONNX Runtime is given a graph whose first dimension is free (extra
``training``); the graphs of models have it fixed at 1.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from diffc_stream import threads
from diffc_stream.diffusion import graph
from diffc_stream.diffusion.collection import DEFAULT
from diffc_stream.diffusion.weights import read_description

from .command import count, exit_code, tell

Floats = NDArray[np.float32]
Network = Callable[[Floats, Floats], Floats]

SIDES = (64, 128, 256, 512)
BATCHES = (1, 2, 4, 8)
ROUNDS = 2
LEAST = 0.2
"""Seconds that a round computes for each batch, at least."""
MOST_PIXELS = 2**19
"""Larger batches are left out: they would take gigabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one batch gives."""

    engine: str
    side: int
    batch: int
    a_second: float
    """Evaluations of single pictures."""
    a_cpu_second: float
    gain: float
    """``a_second`` over that of a batch of one."""
    cpu_gain: float
    """The same of ``a_cpu_second``."""
    same_bits: bool
    """Whether all pictures are as they are alone."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and return the exit code."""
    parsed = _parser().parse_args(arguments)
    return exit_code("batching", lambda: _run(parsed))


def measured(engine: str, network: Network, side: int, batches: Sequence[int]) -> list[Rate]:
    """Return the rates of ``network`` for pictures of ``side`` by ``side`` pixels."""
    description = read_description(DEFAULT)
    rng = np.random.default_rng(0)
    most = max(batches)
    shape = (most, description.architecture.channels, side, side)
    z = rng.standard_normal(shape, np.float32)
    features = rng.standard_normal((most, description.architecture.features), np.float32)
    alone = [network(z[i : i + 1], features[i : i + 1]) for i in range(most)]
    best = dict.fromkeys(batches, (0.0, 0.0))
    same = {}
    for batch in batches:
        together = network(z[:batch], features[:batch])
        same[batch] = all(np.array_equal(together[i : i + 1], alone[i]) for i in range(batch))
    for _ in range(ROUNDS):
        for batch in batches:
            rates = _rates(partial(network, z[:batch], features[:batch]), batch)
            best[batch] = (max(best[batch][0], rates[0]), max(best[batch][1], rates[1]))
    first = best[batches[0]]
    return [
        Rate(
            engine=engine,
            side=side,
            batch=batch,
            a_second=best[batch][0],
            a_cpu_second=best[batch][1],
            gain=best[batch][0] / first[0],
            cpu_gain=best[batch][1] / first[1],
            same_bits=same[batch],
        )
        for batch in batches
    ]


def networks() -> Iterator[tuple[str, Network]]:
    """Yield the engines at hand by name, each with the default model, for any batch."""
    with contextlib.suppress(ImportError):
        yield "onnxruntime", _onnxruntime()
    try:
        from diffc_stream.diffusion.network import TorchNetwork, load_network
    except ImportError:
        return
    yield "torch", TorchNetwork(load_network(DEFAULT))


def _onnxruntime() -> Network:
    import onnx

    from diffc_stream.diffusion.runtime import RuntimeNetwork

    model = onnx.load(str(graph.beside(DEFAULT)), load_external_data=False)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]
    # The shapes that the graph computes begin with a constant 1.
    model.graph.initializer.append(
        onnx.helper.make_tensor("any", onnx.TensorProto.INT64, [1], [-1])
    )
    fixed = {
        value.name
        for value in model.graph.initializer
        if value.data_type == onnx.TensorProto.INT64
        and not value.HasField("data_location")
        and onnx.numpy_helper.to_array(value).tolist() == [1]
    }
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for node in model.graph.node:
        if node.op_type == "Concat" and node.output[0] in shapes and node.input[0] in fixed:
            node.input[0] = "any"
    return RuntimeNetwork(
        model.SerializeToString(),
        DEFAULT.read_bytes(),
        location=DEFAULT.name,
        architecture=read_description(DEFAULT).architecture,
    )


def _rates(evaluate: Callable[[], object], batch: int) -> tuple[float, float]:
    """Return pictures a second, and a second of computing time."""
    began, computed, done = time.perf_counter(), time.process_time(), 0
    while not done or time.perf_counter() - began < LEAST:
        evaluate()
        done += batch
    return done / (time.perf_counter() - began), done / (time.process_time() - computed)


def table(rates: Sequence[Rate]) -> str:
    """Return a line for each engine and size, in Markdown: rates, and gains in CPU time."""
    lines = ["| engine | side | alone, a second | gain of batches (of CPU time) | same bits |"]
    lines.append("|---|---|---|---|---|")
    for engine, side in dict.fromkeys((rate.engine, rate.side) for rate in rates):
        found = [rate for rate in rates if (rate.engine, rate.side) == (engine, side)]
        gains = ", ".join(f"{r.batch}: {r.gain:.2f} ({r.cpu_gain:.2f})" for r in found[1:])
        same = "yes" if all(rate.same_bits for rate in found) else "no"
        lines.append(f"| {engine} | {side} | {found[0].a_second:.1f} | {gains} | {same} |")
    return "\n".join(lines)


def _run(parsed: argparse.Namespace) -> None:
    rates = []
    for engine, network in networks():
        for side in parsed.sides:
            batches = [batch for batch in parsed.batches if batch * side * side <= MOST_PIXELS]
            found = measured(engine, network, side, [1, *(b for b in batches if b > 1)])
            print(table(found).splitlines()[-1], file=sys.stderr, flush=True)
            rates += found
    tell(
        table(rates),
        {"threads": threads.count(), "rates": [asdict(rate) for rate in rates]},
        parsed.json,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.batching",
        description=(__doc__ or "").partition("\n")[0],
    )
    parser.add_argument("--sides", type=count, nargs="+", default=SIDES, metavar="PIXELS")
    parser.add_argument("--batches", type=count, nargs="+", default=BATCHES, metavar="N")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="- is stdout")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
