"""The number of threads that compute, their priority, and whether they sleep while they wait.

By default, OpenMP's threads spin for a while after every layer of a denoiser, so as to be ready for
the next one.  If sender and receiver share a machine, or other programs need its cores, they take
time from threads that have work to do (docs/decisions/0022).  Our own commands may change this, but
a library must not do it to the program that uses it.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress

POLICY = "OMP_WAIT_POLICY"
NUMBER = "OMP_NUM_THREADS"
MOST = 1024
"""Larger numbers of threads are taken for a mistake and ignored."""
NICENESS = 5
"""How much nicer ``go_last`` makes a thread: on busy cores it gets a third of the usual share."""


def wait_asleep() -> bool:
    """Make waiting threads sleep, unless the environment says otherwise; return whether they do.

    Commands call this early: once torch is loaded, it is too late.
    """
    if "torch" not in sys.modules:
        os.environ.setdefault(POLICY, "PASSIVE")
    return os.environ.get(POLICY, "").upper() == "PASSIVE"


def count() -> int:
    """Return the number of threads for a denoiser.

    As in all programs with OpenMP, PyTorch among them, that is $OMP_NUM_THREADS, or all the cores
    that this process may use.
    """
    told = os.environ.get(NUMBER, "")
    if told.isascii() and told.isdigit() and 1 <= int(told[:9]) <= MOST:
        return int(told)
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def go_last() -> None:
    """Let other threads go first from here on, those of this program included, where Linux can.

    For work that nobody waits for, beside an event loop that many wait for.  Calling it again in
    the same thread makes it nicer still.
    """
    if sys.platform == "linux":  # elsewhere it would concern the whole process
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)


def limit(number: int) -> None:
    """Make denoisers that this process loads from now on run on ``number`` threads."""
    os.environ[NUMBER] = str(number)
    if torch := sys.modules.get("torch"):  # It has read the variable already.
        torch.set_num_threads(number)
