"""Models: a denoiser with a name and a fingerprint.

Sender and receiver compute with the same rounded weights, those of the model file
(:mod:`diffc_stream.diffusion.weights`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from diffc_stream.diffusion.architecture import noise_features
from diffc_stream.diffusion.denoiser import Denoiser
from diffc_stream.diffusion.observation import variance_preserving
from diffc_stream.diffusion.unet import UNet
from diffc_stream.diffusion.weights import Description, read_weights, rounded, write_weights
from diffc_stream.errors import UnreadableModel

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A denoiser that streams can name."""

    name: str
    fingerprint: str
    """The first 4 bytes of the SHA-256 of architecture and weights, as 8 hex digits."""
    denoiser: Denoiser


class LearnedDenoiser:
    """A :class:`~diffc_stream.diffusion.denoiser.Denoiser` on a U-Net; safe to call from threads.

    Pads to the multiple the network needs by repeating the border, and clips the estimate to
    the range of pictures, [-2, 2].
    """

    def __init__(self, network: UNet) -> None:
        self._network = network
        self._multiple = network.architecture.multiple

    @torch.inference_mode()
    def __call__(self, eta: Floats, snr: float) -> Floats:
        """Return x_hat, (3, H, W), for eta (3, H, W) at snr > 0."""
        height, width = eta.shape[1:]
        z = torch.from_numpy(variance_preserving(eta, snr))[None]
        padding = (0, -width % self._multiple, 0, -height % self._multiple)
        padded = F.pad(z, padding, mode="replicate").contiguous(memory_format=torch.channels_last)
        features = torch.tensor([noise_features(float(np.log(snr)))])
        v = self._network(padded, features)[:, :, :height, :width]
        alpha, sigma = (snr / (1 + snr)) ** 0.5, (1 / (1 + snr)) ** 0.5
        x_hat = (alpha * z - sigma * v).clamp_(-2, 2)
        return np.ascontiguousarray(x_hat[0].numpy())


def load_model(path: Path) -> Model:
    """Load a model file.  Raises UnreadableModel with one line that says what is wrong."""
    description, weights = read_weights(path)
    return Model(
        name=description.name,
        fingerprint=description.fingerprint,
        denoiser=LearnedDenoiser(_network(path, description, weights)),
    )


def load_network(path: Path) -> UNet:
    """Load the network of a model file, as it computes.  Raises UnreadableModel."""
    return _network(path, *read_weights(path))


def _network(path: Path, description: Description, weights: dict[str, Floats]) -> UNet:
    # On no device: the weights are assigned, so that nothing is drawn only to be thrown away.
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
    """Round ``network``'s weights, write a model file, return its fingerprint."""
    weights = {key: tensor.float().cpu().numpy() for key, tensor in network.state_dict().items()}
    return write_weights(path, network.architecture, rounded(weights), name=name)
