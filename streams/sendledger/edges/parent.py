"""A child ends with its parent, also when the parent is killed with -9 and can tell nobody."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PARENT_VARIABLE = "SENDLEDGER_PARENT_PID"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, if a supervisor of ours started it.

    To be called in the main thread, first of all. A parent that died before the call is noticed by its id.
    Elsewhere than on Linux there is no such request, and a child whose parent was killed has to be ended by hand.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit(1)
