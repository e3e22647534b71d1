"""Ask Linux to end a process when its parent dies, so that a killed `up` leaves nothing behind."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """SIGTERM on the parent's death; it survives exec. Elsewhere than on Linux it does nothing,
    and the next start cleans up by the recorded process ids."""
    _ask_for(signal.SIGTERM)


def kill_with_parent() -> None:
    """SIGKILL instead: for a child that must not do one thing more once its parent is gone."""
    _ask_for(signal.SIGKILL)


def _ask_for(number: signal.Signals) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
