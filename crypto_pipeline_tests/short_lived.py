"""Java servers of a test's own that live for a cycle or two.

The second compiler's work pays in a server that lives on. In one that does not it is most of the
cost: a first cycle of 20 symbols took 165 s of processor time with it and 109 s without.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Read by every `java` from 9 on.
OPTIONS = {"JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1"}


@contextmanager
def short_lived() -> Iterator[None]:
    """Every Java that starts in here does without the second compiler."""
    before = {name: os.environ.get(name) for name in OPTIONS}
    os.environ.update(OPTIONS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
