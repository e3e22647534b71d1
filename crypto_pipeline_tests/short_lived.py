"""Java servers of the tests' own, which see few rows of many plans.

The second compiler's work and the classes that Spark generates for a plan pay in a server that
does the same for hours. In one that does not they are most of the cost: two cycles of five symbols
took 81 s of processor time with both, 54 s without the compiler, 48 s without either; 117 tests
of the lake on one server 418 s, 341 s and 292 s. The proofs at full counts and the benchmarks run
servers as they are in production; `end_to_end/test_recorded.py` has its plans compiled so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from crypto_pipeline_tests import proof

# Read by every `java` from 9 on. Without the second compiler the code cache is 48 MB, and what a
# cycle compiles does not fit: it would be thrown out and compiled again.
OPTIONS = {
    "JDK_JAVA_OPTIONS": " ".join(
        [
            "-XX:TieredStopAtLevel=1",
            "-XX:ReservedCodeCacheSize=160m",
            "-Dspark.sql.codegen.wholeStage=false",
        ]
    )
}


@contextmanager
def short_lived() -> Iterator[None]:
    """Every Java that starts in here is made for a short life, unless a proof is run in full."""
    if proof.is_full():
        yield
        return
    with variables(OPTIONS):
        yield


@contextmanager
def variables(given: Mapping[str, str]) -> Iterator[None]:
    """Variables of this process, and of what it starts meanwhile."""
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
