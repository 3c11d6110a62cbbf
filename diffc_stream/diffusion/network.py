"""Networks on PyTorch, an extra that need not be installed.

It is needed for training, and for models without a graph (:mod:`diffc_stream.diffusion.graph`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from diffc_stream.diffusion.unet import UNet
from diffc_stream.diffusion.weights import Description, read_weights, rounded, write_weights
from diffc_stream.errors import UnreadableModel

Floats = NDArray[np.float32]


class TorchNetwork:
    """A :class:`~diffc_stream.diffusion.learned.Network` on PyTorch's CPU kernels."""

    def __init__(self, unet: UNet) -> None:
        self._unet = unet

    @torch.inference_mode()
    def __call__(self, z: Floats, features: Floats) -> Floats:
        """Return v, (1, 3, H, W)."""
        laid = torch.from_numpy(z).contiguous(memory_format=torch.channels_last)
        v: Floats = self._unet(laid, torch.from_numpy(features)).numpy()
        return v


def load_network(path: Path) -> UNet:
    """Load the network of a model file, ready to compute.  Raises UnreadableModel."""
    return built(path, *read_weights(path))


def built(path: Path, description: Description, weights: dict[str, Floats]) -> UNet:
    """Return the network of the model file ``path``, which has been read.

    Raises UnreadableModel.
    """
    # Built without memory, because the weights are assigned: none need be drawn at random first.
    with torch.device("meta"):
        network = UNet(description.architecture)
    try:
        network.load_state_dict(
            {name: torch.from_numpy(values) for name, values in weights.items()}, assign=True
        )
    except RuntimeError as error:
        raise UnreadableModel(f"{path}: its weights do not fit its architecture") from error
    return network.eval().requires_grad_(False)


def save_model(path: Path, network: UNet, *, name: str) -> str:
    """Round the weights of ``network``, write a model file, and return its fingerprint."""
    weights = {key: tensor.float().cpu().numpy() for key, tensor in network.state_dict().items()}
    return write_weights(path, network.architecture, rounded(weights), name=name)
