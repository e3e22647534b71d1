"""One writer a lake on a machine: the second waits, is told by whom, and inherits from the dead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake.writer_lock import take
from crypto_pipeline_tests.conftest import ROOT


def test_the_second_is_refused_with_the_firsts_process_until_it_lets_go(tmp_path: Path) -> None:
    file = tmp_path / "state" / "lake.lock"
    first = take(file)
    with pytest.raises(LakeError, match=rf"Process {os.getpid()} has been writing this lake"):
        take(file, wait_seconds=0)
    first.release()
    take(file, wait_seconds=0).release()


def test_a_killed_holder_holds_no_longer(tmp_path: Path) -> None:
    file = tmp_path / "lake.lock"
    program = (
        "import sys; from pathlib import Path; from crypto_pipeline.lake.writer_lock import take\n"
        f"lock = take(Path({str(file)!r})); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LakeError, match=f"Process {holder.pid} "):
            take(file, wait_seconds=0)
        holder.kill()
        holder.wait()
    take(file, wait_seconds=0).release()
