"""Models: a denoiser with a name and a fingerprint.

Sender and receiver compute with the same rounded weights, those of the model file
(:mod:`diffc_stream.diffusion.weights`), on any engine (:mod:`diffc_stream.diffusion.engine`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffc_stream.diffusion import graph
from diffc_stream.diffusion.denoiser import Denoiser
from diffc_stream.diffusion.engine import Engine, chosen
from diffc_stream.diffusion.learned import LearnedDenoiser, Network
from diffc_stream.diffusion.weights import Description, read_verified, read_weights
from diffc_stream.errors import UnreadableModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A denoiser that streams can refer to."""

    name: str
    fingerprint: str
    """The first 4 bytes of the SHA-256 of architecture and weights, as 8 hex digits."""
    denoiser: Denoiser
    shaped: bool = False
    """Whether it can denoise any precision field, not only white noise."""


def load_model(path: Path, engine: Engine | None = None) -> Model:
    """Load a model file, to run on ``engine`` or on the best engine there is.

    Raises UnreadableModel with one line that says what is wrong, and the errors of
    :func:`~diffc_stream.diffusion.engine.chosen`.
    """
    load = {Engine.ONNXRUNTIME: _on_onnxruntime, Engine.TORCH: _on_torch}
    description, network = load[chosen(path, engine)](path)
    return Model(
        name=description.name,
        fingerprint=description.fingerprint,
        shaped=description.architecture.shaped,
        denoiser=LearnedDenoiser(
            network,
            multiple=description.architecture.multiple,
            halo=description.architecture.halo,
            shaped=description.architecture.shaped,
        ),
    )


def _on_onnxruntime(path: Path) -> tuple[Description, Network]:
    from diffc_stream.diffusion.runtime import RuntimeNetwork

    description, weights = read_verified(path)
    computed = graph.read_graph(path, description)
    try:
        network = RuntimeNetwork(
            computed,
            weights,
            location=description.file_name,
            architecture=description.architecture,
        )
    except ValueError as error:
        raise UnreadableModel(f"{graph.beside(path)}: cannot be run: {error}") from error
    return description, network


def _on_torch(path: Path) -> tuple[Description, Network]:
    # Imported here because torch is an extra.
    from diffc_stream.diffusion.network import TorchNetwork, built

    description, weights = read_weights(path)
    return description, TorchNetwork(built(path, description, weights))
