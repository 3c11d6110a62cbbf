"""Have threads that compute sleep while they wait for each other.

Left alone, OpenMP's spin for a while after every layer of a denoiser, to be there at once for the
next.  Where sender and receiver share a machine, or anything else wants its cores, they spin
against those who have work to do (docs/decisions/0022).  Programs of our own may choose; a library
must not do it to its host.
"""

from __future__ import annotations

import os
import sys

POLICY = "OMP_WAIT_POLICY"


def wait_asleep() -> bool:
    """Choose so for this process, unless its environment says otherwise; return whether it holds.

    For commands, early: when torch has been loaded, it is too late.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault(POLICY, "PASSIVE")
    return os.environ.get(POLICY, "").upper() == "PASSIVE"
