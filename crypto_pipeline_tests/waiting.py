"""Waiting for a condition, in place of a sleep."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(
    is_so: Callable[[], bool], *, seconds: float, every: float = 0.02, otherwise: str = ""
) -> None:
    """Look again and again, `every` so many seconds; fails when the time is over."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, otherwise or f"not so within {seconds:.0f} s"
        time.sleep(every)
