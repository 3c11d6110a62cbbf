"""Turn a training checkpoint into a model: NAME-FINGERPRINT.safetensors, and its graph, .onnx.

python -m training.export --checkpoint runs/small/checkpoint.pt --folder diffc_stream/models
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.weights import fingerprint, rounded, write_weights
from training.onnx import write_graph


def main(argv: list[str] | None = None) -> None:
    """Round the averaged weights, write both files and print the entry for the model's card."""
    parser = argparse.ArgumentParser(
        prog="python -m training.export", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--name", default="small")
    arguments = parser.parse_args(argv)
    state = torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)
    architecture = Architecture(**state["architecture"])
    average = {name: tensor.float().numpy() for name, tensor in state["average"].items()}
    stored = rounded(average)
    identity = fingerprint(architecture, stored)
    path = arguments.folder / f"{arguments.name}-{identity}.safetensors"
    write_weights(path, architecture, stored, name=arguments.name)
    parameters = sum(values.size for values in average.values())
    print(
        f"{path}: {path.stat().st_size:,} bytes, {parameters:,} parameters, "
        f"after {state['iteration']:,} iterations"
    )
    print(write_graph(path))


if __name__ == "__main__":
    main()
