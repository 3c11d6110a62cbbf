"""Networks on ONNX Runtime, from a graph and weights in memory.  It reads no files.

Only this module imports ONNX Runtime, so that its telemetry is switched off everywhere: by default
it reports every program that imports it to its maker, with an identifier of the machine.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from diffc_stream import threads
from diffc_stream.diffusion.architecture import Architecture

# Read on import, and never again.  Child processes inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

Floats = NDArray[np.float32]

# For programs that imported it earlier: this stops at least the reports about sessions.
onnxruntime.disable_telemetry_events()

_ERRORS_ALONE = 3
"""Lowest severity of messages that ONNX Runtime writes to standard error."""


class RuntimeNetwork:
    """A :class:`~diffc_stream.diffusion.learned.Network` on ONNX Runtime's CPU kernels."""

    def __init__(
        self, graph: bytes, weights: bytes, *, location: str, architecture: Architecture
    ) -> None:
        """Load ``graph``; ``weights`` are the contents of its external file ``location``.

        The graph is tried on the smallest picture that ``architecture`` takes.  Raises ValueError
        with one line if it cannot be run.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ALONE
        options.intra_op_num_threads = threads.count()
        # Leaves idle cores to other programs, and a single evaluation is just as fast.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A memory plan for each size of picture would take more memory than it saves.
        options.enable_mem_pattern = False
        options.add_external_initializers_from_files_in_memory(
            [location], [weights], [len(weights)]
        )
        side = architecture.multiple
        z = np.zeros((1, architecture.channels, side, side), np.float32)
        features = np.zeros((1, architecture.features), np.float32)
        try:
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
            v = self(z, features)
        except Exception as error:  # ONNX Runtime's errors have no other base class.
            raise ValueError(str(error).split("\n", maxsplit=1)[0]) from error
        if v.shape != (1, 3, side, side) or v.dtype != z.dtype:
            raise ValueError(f"it computes {v.dtype} of shape {v.shape}")

    def __call__(self, z: Floats, features: Floats) -> Floats:
        """Return v, (1, 3, H, W)."""
        (v,) = self._session.run(["v"], {"z": z, "features": features})
        return np.asarray(v)
