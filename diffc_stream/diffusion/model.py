"""Models: a denoiser with a name and a fingerprint, and the files they live in.

A model file is a safetensors file with half-precision weights and, in its metadata, the
architecture and a name.  The fingerprint is taken of exactly what the network computes with: the
architecture and the rounded weights.  Every receiver computes with the rounded weights.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from diffc_stream.diffusion.denoiser import Denoiser
from diffc_stream.diffusion.observation import variance_preserving
from diffc_stream.diffusion.unet import Architecture, UNet, noise_features
from diffc_stream.errors import UnreadableModel

Floats = NDArray[np.float32]

DEFAULT = Path(__file__).parent.parent / "models" / "small.safetensors"


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
        self._network = network.eval().requires_grad_(False)
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


@cache
def default_model() -> Model:
    """Return the model that ships with this package."""
    return load_model(DEFAULT)


def load_model(path: Path) -> Model:
    """Load a model file.  Raises UnreadableModel with one line that says what is wrong."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UnreadableModel(f"{path}: not a model file: {error}") from error
    try:
        described = json.loads(metadata["architecture"])
        architecture = Architecture(
            widths=tuple(described["widths"]), blocks=tuple(described["blocks"])
        )
        network = UNet(architecture)
        network.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise UnreadableModel(f"{path}: not a model of this release: {reason}") from error
    return Model(
        name=metadata.get("name", path.stem),
        fingerprint=fingerprint(architecture, weights),
        denoiser=LearnedDenoiser(network),
    )


def save_model(path: Path, network: UNet, *, name: str) -> str:
    """Round ``network``'s weights to half precision, write a model file, return its fingerprint."""
    weights = {key: tensor.half().contiguous() for key, tensor in network.state_dict().items()}
    architecture = network.architecture
    metadata = {"name": name, "architecture": json.dumps(asdict(architecture))}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path, metadata)
    return fingerprint(architecture, weights)


def fingerprint(architecture: Architecture, weights: dict[str, Tensor]) -> str:
    """Return the first 8 hex digits of the SHA-256 of what a network computes with."""
    digest = hashlib.sha256(json.dumps(asdict(architecture), sort_keys=True).encode())
    for name in sorted(weights):
        values = weights[name].half().cpu().numpy().astype("<f2")
        digest.update(f"{name}{values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()[:8]
