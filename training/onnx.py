"""Export a model file as an ONNX graph, and check it against PyTorch.

    python -m training.onnx --model small.safetensors --out small.onnx

The graph takes ``z`` (1, 3, H, W), sides multiples of the architecture's, and ``features`` (1, 16)
of the noise level, computed outside (:func:`diffc_stream.diffusion.architecture.noise_features`),
and gives ``v`` like ``z``.  Opset 20, weights stored as they are in the model file (integers with
scales, halves) and widened in the graph, which runtimes fold when they load it: the arithmetic is
single precision with the same rounded weights everywhere.  Fingerprint, name and architecture are
in the graph's metadata.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch.export import Dim

from diffc_stream.diffusion.architecture import NOISE_FEATURES, noise_features
from diffc_stream.diffusion.model import load_network
from diffc_stream.diffusion.unet import UNet
from diffc_stream.diffusion.weights import Description, Stored, read_stored
from diffc_stream.replacement import replacing

Floats = NDArray[np.float32]
Run = Callable[[Floats, Floats], Floats]

OPSET = 20
"""From 21 on, runtimes take other paths; WebAssembly and WebGPU are known to run this one."""
TOLERANCE = 1e-5
"""Largest difference from PyTorch: absolute up to 1, relative beyond."""
CHECKED_SIZES = ((32, 32), (64, 96), (184, 136))
CHECKED_LEVELS = (-6.0, 0.0, 6.0)


def main() -> int:
    """Export, check, write; exit code 1 and no file if the check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m training.onnx", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    description, stored = read_stored(arguments.model)
    network = load_network(arguments.model)
    graph = exported(network, description, stored).SerializeToString()
    worst = difference(network, session(graph))
    verdict = f"{len(graph)} bytes, at most {worst:.1e} from PyTorch"
    if not worst <= TOLERANCE:
        print(f"{arguments.out}: not written: {verdict}, more than {TOLERANCE}", file=sys.stderr)
        return 1
    with replacing(arguments.out) as file:
        file.write(graph)
    print(f"{arguments.out}: {description.name} {description.fingerprint}, {verdict}")
    return 0


def exported(network: UNet, description: Description, stored: Stored) -> onnx.ModelProto:
    """Return the ONNX graph of ``network``, its weights as they are ``stored``."""
    multiple = network.architecture.multiple
    sides = {2: multiple * Dim("rows", min=1), 3: multiple * Dim("columns", min=1)}
    z = torch.zeros(1, 3, 6 * multiple, 4 * multiple)
    program = torch.onnx.export(
        network,
        (z, torch.zeros(1, NOISE_FEATURES)),
        input_names=["z", "features"],
        output_names=["v"],
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=(sides, {}),
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    narrow(model.graph, stored)
    # Where each node came from, file and line, weighs as much as a layer.
    for node in model.graph.node:
        del node.metadata_props[:]
    del model.graph.value_info[:]
    facts = {
        "name": description.name,
        "fingerprint": description.fingerprint,
        "architecture": json.dumps(asdict(description.architecture)),
    }
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    return model


def narrow(graph: onnx.GraphProto, stored: Stored) -> None:
    """Replace single-precision weights by what is ``stored``, and nodes that widen it."""
    widening = []
    for weight in list(graph.initializer):
        if weight.name not in stored:
            continue
        narrower = stored[weight.name]
        graph.initializer.remove(weight)
        graph.initializer.append(numpy_helper.from_array(narrower, weight.name + ".stored"))
        if narrower.dtype == np.int8:
            scale = stored[weight.name + ".scale"].astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(scale, weight.name + ".scale"))
            inputs = [weight.name + ".stored", weight.name + ".scale"]
            node = helper.make_node("DequantizeLinear", inputs, [weight.name], axis=0)
        else:
            inputs = [weight.name + ".stored"]
            node = helper.make_node("Cast", inputs, [weight.name], to=TensorProto.FLOAT)
        widening.append(node)
    nodes = [*widening, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def session(graph: bytes) -> Run:
    """Return the graph as a function, run by ONNX Runtime on the CPU."""
    import onnxruntime

    started = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])

    def run(z: Floats, features: Floats) -> Floats:
        (v,) = started.run(["v"], {"z": z, "features": features})
        return np.asarray(v)

    return run


@torch.inference_mode()
def difference(network: UNet, run: Run) -> float:
    """Return by how much ``run`` and PyTorch differ at most, over sizes and noise levels.

    Absolute where v is at most 1, relative beyond.
    """
    worst = 0.0
    rng = np.random.default_rng(0)
    for height, width in CHECKED_SIZES:
        for level in CHECKED_LEVELS:
            noise = rng.standard_normal((1, 3, height, width))
            alpha, sigma = (1 / (1 + math.exp(-s * level)) for s in (1, -1))
            z = (alpha**0.5 * _scene(height, width) + sigma**0.5 * noise).astype(np.float32)
            features = np.array([noise_features(level)], np.float32)
            v = network(torch.from_numpy(z), torch.from_numpy(features)).numpy()
            apart = np.abs(run(z, features) - v) / np.maximum(1.0, np.abs(v))
            worst = max(worst, float(apart.max()))
    return worst


def _scene(height: int, width: int) -> NDArray[np.float64]:
    """Return a picture, (3, H, W), to observe: shades with an edge."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([x + y, x * y, np.where(x > y, 1.0, -1.0)])


if __name__ == "__main__":
    sys.exit(main())
