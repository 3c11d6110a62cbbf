"""How many threads compute, and that they sleep while they wait for each other.

Left alone, OpenMP's spin for a while after every layer of a denoiser, to be there at once for the
next.  Where sender and receiver share a machine, or anything else wants its cores, they spin
against those who have work to do (docs/decisions/0022).  Programs of our own may choose; a library
must not do it to its host.
"""

from __future__ import annotations

import os
import sys

POLICY = "OMP_WAIT_POLICY"
NUMBER = "OMP_NUM_THREADS"
MOST = 1024
"""A larger number of threads is taken for a mistake."""


def wait_asleep() -> bool:
    """Choose so for this process, unless its environment says otherwise; return whether it holds.

    For commands, early: when torch has been loaded, it is too late.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault(POLICY, "PASSIVE")
    return os.environ.get(POLICY, "").upper() == "PASSIVE"


def count() -> int:
    """Return on how many threads a denoiser should run.

    As OpenMP's programs, PyTorch among them, have it: $OMP_NUM_THREADS, or all the cores that this
    process may use.
    """
    told = os.environ.get(NUMBER, "")
    if told.isascii() and told.isdigit() and 1 <= int(told[:9]) <= MOST:
        return int(told)
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def limit(number: int) -> None:
    """Have denoisers of this process that are loaded from now on run on ``number`` threads."""
    os.environ[NUMBER] = str(number)
    if torch := sys.modules.get("torch"):  # which has read the variable already
        torch.set_num_threads(number)
