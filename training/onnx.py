"""Write the ONNX graph of a model file beside it, and check it against PyTorch.

    python -m training.onnx diffc_stream/models/small-6c137b2c.safetensors

The graph takes ``z`` (1, C, H, W), sides multiples of the architecture's, and ``features`` (1, K)
of the noise, computed outside (:mod:`diffc_stream.diffusion.architecture`), and gives ``v`` (1, 3,
H, W).  Opset 20.  The graph holds no weights: they are external data, bytes of
the model file from an offset on, integers with scales and halves as they stand there.  They are
widened in the graph by casts and products, which every runtime folds when it loads it, so that it
can lay out the weights for its convolutions (DequantizeLinear, made for this, ONNX Runtime leaves
as it is).  The arithmetic is single precision with the same rounded weights everywhere.
Fingerprint, name and architecture are in the graph's metadata.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch.export import Dim

from diffc_stream.destination import writing
from diffc_stream.diffusion.architecture import field_features, noise_features
from diffc_stream.diffusion.graph import beside
from diffc_stream.diffusion.learned import Network
from diffc_stream.diffusion.network import load_network
from diffc_stream.diffusion.runtime import RuntimeNetwork
from diffc_stream.diffusion.unet import UNet
from diffc_stream.diffusion.weights import Description, read_verified
from diffc_stream.errors import DiffcError, UnreadableModel

Floats = NDArray[np.float32]

OPSET = 20
"""WebAssembly and WebGPU are known to run this one; from 21 on, runtimes take other paths."""
TOLERANCE = 2e-5
"""Largest difference from PyTorch: absolute up to 1, relative beyond.

On the default model PyTorch and ONNX Runtime are 0.9e-5 from double precision each.
"""
CHECKED_SIZES = ((32, 32), (64, 96), (184, 136))
CHECKED_LEVELS = (-6.0, 0.0, 6.0)


def main() -> int:
    """Export, check, write; exit code 1 and no file if the check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m training.onnx", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("model", type=Path, metavar="MODEL.safetensors")
    arguments = parser.parse_args()
    try:
        print(write_graph(arguments.model))
    except DiffcError as error:
        print(f"training.onnx: {error}", file=sys.stderr)
        return 1
    return 0


def write_graph(path: Path) -> str:
    """Write the graph of the model file ``path`` beside it and return a line about it.

    Raises UnreadableModel for what is no model, or computes something else than PyTorch; then
    nothing is written.
    """
    description, weights = read_verified(path)
    network = load_network(path)
    graph = exported(network, description, weights).SerializeToString()
    worst = difference(network, session(graph, weights, description))
    out = beside(path)
    verdict = f"{len(graph)} bytes, at most {worst:.1e} from PyTorch"
    if not worst <= TOLERANCE:
        raise UnreadableModel(f"{out}: not written: {verdict}, more than {TOLERANCE}")
    with writing(out) as file:
        file.write(graph)
    return f"{out}: {description.name} {description.fingerprint}, {verdict}"


def exported(network: UNet, description: Description, weights: bytes) -> onnx.ModelProto:
    """Return the ONNX graph of ``network``, which points into the model file ``weights``."""
    architecture = network.architecture
    multiple = architecture.multiple
    sides = {2: multiple * Dim("rows", min=1), 3: multiple * Dim("columns", min=1)}
    z = torch.zeros(1, architecture.channels, 6 * multiple, 4 * multiple)
    program = torch.onnx.export(
        network,
        (z, torch.zeros(1, architecture.features)),
        input_names=["z", "features"],
        output_names=["v"],
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=(sides, {}),
        verbose=False,
    )
    assert program is not None
    model = program.model_proto
    point(model.graph, weights, description.file_name)
    # Drop the source location of each node, which takes as much as a layer and always differs.
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
    del model.graph.value_info[:]
    facts = {
        "name": description.name,
        "fingerprint": description.fingerprint,
        "architecture": json.dumps(description.architecture.described()),
    }
    helper.set_model_props(model, facts)
    return model


def point(graph: onnx.GraphProto, weights: bytes, location: str) -> None:
    """Replace single-precision weights by external data, and nodes that widen them.

    The data are bytes of ``weights``, a safetensors file that will be called ``location``.
    """
    tensors = _Tensors(weights, location)
    widening = []
    for weight in list(graph.initializer):
        name = weight.name
        if name not in tensors:
            continue
        graph.initializer.remove(weight)
        graph.initializer.append(tensors.external(name, name + ".stored", []))
        scale = name + ".scale"
        if scale in tensors:
            # Shaped so that it multiplies all weights of an output.
            ones = (len(weight.dims) - 1) * [1]
            graph.initializer.append(tensors.external(scale, scale + ".stored", ones))
            widening += [
                _cast(name + ".stored", name + ".integers"),
                _cast(scale + ".stored", scale),
                helper.make_node("Mul", [name + ".integers", scale], [name]),
            ]
        else:
            widening.append(_cast(name + ".stored", name))
    nodes = [*widening, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


class _Tensors:
    """The tensors of a safetensors file, by name."""

    TYPES: ClassVar = {"I8": TensorProto.INT8, "F16": TensorProto.FLOAT16}

    def __init__(self, file: bytes, location: str) -> None:
        (length,) = struct.unpack("<Q", file[:8])
        self._entries = json.loads(file[8 : 8 + length])
        self._begin = 8 + length
        self._location = location

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def external(self, name: str, known_as: str, ones: list[int]) -> TensorProto:
        """Return tensor ``name`` as external data, its shape extended by ``ones``."""
        entry = self._entries[name]
        begin, end = entry["data_offsets"]
        tensor = TensorProto(
            name=known_as,
            data_type=self.TYPES[entry["dtype"]],
            dims=[*entry["shape"], *ones],
            data_location=TensorProto.EXTERNAL,
        )
        where = {"location": self._location, "offset": self._begin + begin, "length": end - begin}
        for key, value in where.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def _cast(stored: str, result: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [stored], [result], to=TensorProto.FLOAT)


def session(graph: bytes, weights: bytes, description: Description) -> Network:
    """Return the graph as a network, run by ONNX Runtime on the CPU."""
    return RuntimeNetwork(
        graph,
        weights,
        location=description.file_name,
        architecture=description.architecture,
    )


@torch.inference_mode()
def difference(network: UNet, run: Network) -> float:
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
            if network.architecture.shaped:
                slope = np.linspace(-1, 1, width) * np.ones((1, 1, height, 1))
                z = np.concatenate([z, slope], 1).astype(np.float32)
                features = np.array([field_features(level, 0.6, 0.5)], np.float32)
            else:
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
