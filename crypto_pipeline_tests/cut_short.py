"""A command of hours that is ended by SIGTERM stops what it started, as it does after Ctrl-C.

A shell starts what it has in the background without SIGINT, so SIGTERM is what can be sent there.
"""

from __future__ import annotations

import signal
from types import FrameType


def end_in_order() -> None:
    """From here on SIGTERM is a KeyboardInterrupt; a second one does not interrupt the stopping."""
    signal.signal(signal.SIGTERM, _cut_short)


def _cut_short(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
