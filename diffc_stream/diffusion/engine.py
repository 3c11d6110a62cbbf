"""The engines that run a model's network: ONNX Runtime, always installed, or PyTorch, an extra.

ONNX Runtime is faster and smaller (docs/decisions/0023).  It is used whenever there is a graph
beside the model file, unless ``DIFFC_ENGINE`` says otherwise.
"""

from __future__ import annotations

import importlib.util
import os
from enum import StrEnum
from pathlib import Path

from diffc_stream.diffusion import graph
from diffc_stream.errors import MissingPackage, UnknownEngine, UnreadableModel

VARIABLE = "DIFFC_ENGINE"


class Engine(StrEnum):
    """The engines, in order of preference."""

    ONNXRUNTIME = "onnxruntime"
    TORCH = "torch"


def engines(path: Path) -> tuple[Engine, ...]:
    """Return the engines that can run the model file ``path`` here, in order of preference."""
    can = {
        Engine.ONNXRUNTIME: graph.beside(path).is_file(),
        Engine.TORCH: importlib.util.find_spec("torch") is not None,
    }
    return tuple(engine for engine in Engine if can[engine])


def chosen(path: Path, wanted: Engine | None = None) -> Engine:
    """Return the engine for the model file ``path``: ``wanted``, $DIFFC_ENGINE, or the first.

    Raises UnknownEngine if $DIFFC_ENGINE names no engine, UnreadableModel if the model lacks the
    graph that it needs, and MissingPackage if PyTorch is wanted and not installed.
    """
    wanted = wanted or asked_for()
    possible = engines(path)
    if wanted is Engine.TORCH and wanted not in possible:
        raise MissingPackage(
            "PyTorch was asked for and is not installed: pip install 'diffc-stream[torch]'"
        )
    if wanted is Engine.ONNXRUNTIME and wanted not in possible:
        raise UnreadableModel(
            f"{path}: there is no graph {graph.beside(path).name} beside it, "
            "which ONNX Runtime needs"
        )
    if not possible:
        raise UnreadableModel(
            f"{path}: there is no graph {graph.beside(path).name} beside it, without which it "
            "needs PyTorch: pip install 'diffc-stream[torch]'"
        )
    return wanted or possible[0]


def asked_for() -> Engine | None:
    """Return the engine that $DIFFC_ENGINE names, if it is set.  Raises UnknownEngine."""
    text = os.environ.get(VARIABLE)
    try:
        return Engine(text) if text else None
    except ValueError as error:
        known = " nor ".join(Engine)
        raise UnknownEngine(f"{VARIABLE} is {text!r}, which is neither {known}") from error
