"""Turn a training checkpoint into the rounded weights that ship.

python -m training.export --checkpoint runs/small/checkpoint.pt --out small.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.model import save_model
from diffc_stream.diffusion.unet import UNet


def main(argv: list[str] | None = None) -> None:
    """Write the model file of a checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="small")
    arguments = parser.parse_args(argv)
    state = torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)
    network = UNet(Architecture(**state["architecture"]))
    network.load_state_dict(state["average"])
    fingerprint = save_model(arguments.out, network, name=arguments.name)
    print(f"{arguments.out}: {fingerprint}, after {state['iteration']} iterations")


if __name__ == "__main__":
    main()
