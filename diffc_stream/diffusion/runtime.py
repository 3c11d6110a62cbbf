"""Networks on ONNX Runtime: graph and weights in memory, nothing else is read.

This is the one place that imports it: as it comes, it tells its maker of every program that does,
with a number that it keeps for the machine.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from diffc_stream import threads
from diffc_stream.diffusion.architecture import Architecture

# It asks when it is imported, and no later word stops it.  Child processes inherit this.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

Floats = NDArray[np.float32]

# For a program that had imported it before: what it tells of sessions, at least, it does not.
onnxruntime.disable_telemetry_events()

_ERRORS_ALONE = 3
"""Severity from which ONNX Runtime writes to standard error."""


class RuntimeNetwork:
    """A :class:`~diffc_stream.diffusion.learned.Network` on ONNX Runtime's CPU kernels."""

    def __init__(
        self, graph: bytes, weights: bytes, *, location: str, architecture: Architecture
    ) -> None:
        """Load ``graph``, whose external data lie at ``location``, which is ``weights``.

        The graph is tried on the smallest picture that ``architecture`` takes.  Raises
        ValueError, of one line, for what cannot be run.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ALONE
        options.intra_op_num_threads = threads.count()
        # Whoever else wants the cores gets them, and a lone evaluation is as fast.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A plan of the memory for every size of picture takes more than doing without.
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
        except Exception as error:  # its errors have no other base
            raise ValueError(str(error).split("\n", maxsplit=1)[0]) from error
        if v.shape != (1, 3, side, side) or v.dtype != z.dtype:
            raise ValueError(f"it computes {v.dtype} of shape {v.shape}")

    def __call__(self, z: Floats, features: Floats) -> Floats:
        """Return v, (1, 3, H, W)."""
        (v,) = self._session.run(["v"], {"z": z, "features": features})
        return np.asarray(v)
