"""The guard as a real process around a real one: it lives and dies with the lease."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from crypto_pipeline.embedded import processes, spark_guard
from crypto_pipeline.lake.lease import Found, Terms, seconds_left
from crypto_pipeline.lake.lease_store import FolderStore
from crypto_pipeline_tests.embedded import guarded
from crypto_pipeline_tests.waiting import wait_until

PROGRAM = """#!/bin/sh
echo "$$ $1" > "{note}.part" && mv "{note}.part" "{note}"
while :; do sleep 0.1; done
"""


@contextmanager
def running(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, str]]:
    """A guard, the process id of what it guards, and what that was given."""
    note, program = folder / "note", folder / "program"
    note.unlink(missing_ok=True)
    program.write_text(PROGRAM.format(note=note))
    program.chmod(0o700)
    guard = subprocess.Popen(
        [sys.executable, "-m", guarded.__name__, str(folder / "_lease"), str(program)],
        start_new_session=True,
    )
    try:
        wait_until(lambda: note.exists() or guard.poll() is not None, seconds=30)
        pid, given = note.read_text().split()
        yield guard, int(pid), given
    finally:
        if guard.poll() is None:
            os.kill(guard.pid, signal.SIGCONT)
            guard.kill()
            guard.wait()
        processes.kill(processes.family([guard.pid], processes.running()))


def found(folder: Path) -> Found:
    newest = FolderStore(folder / "_lease").newest()
    assert newest is not None
    return newest


def is_running(pid: int) -> bool:
    return pid in processes.running()


def left(folder: Path) -> float:
    return seconds_left(found(folder), terms=Terms(), is_dead=spark_guard.is_dead)


def test_it_tells_its_number_renews_and_lets_go_when_asked_to_end(tmp_path: Path) -> None:
    with running(tmp_path) as (guard, pid, given):
        assert given == "-Dspark.cryptopipeline.leaseEpoch=1"
        wait_until(lambda: found(tmp_path).record.renewals > 1, seconds=30)
        assert left(tmp_path) > 0
        guard.terminate()
        guard.wait(10)

    assert not is_running(pid)
    assert found(tmp_path).record.is_released
    with running(tmp_path) as (_, _, given):
        assert given.endswith("=2")


def test_a_guard_that_is_killed_takes_its_server_along_and_is_known_to_be_dead(
    tmp_path: Path,
) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux ends a child with its parent")
    with running(tmp_path) as (guard, pid, _):
        guard.kill()
        guard.wait()
        wait_until(lambda: not is_running(pid), seconds=30)

        assert not found(tmp_path).record.is_released
        # What it had started itself is gone a moment later.
        wait_until(lambda: left(tmp_path) == 0, seconds=30)


def test_a_guard_that_was_paused_too_long_kills_its_server_when_it_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as (guard, pid, _):
        os.kill(guard.pid, signal.SIGSTOP)
        until = time.monotonic() + guarded.TERMS.expiry
        assert left(tmp_path) > 0
        # Nothing is to be seen while it stands still: only its time passes.
        wait_until(lambda: time.monotonic() > until, seconds=30)
        assert is_running(pid)

        os.kill(guard.pid, signal.SIGCONT)

        assert guard.wait(10) == spark_guard.LOST
        assert not is_running(pid)


def test_a_server_that_ends_by_itself_gives_the_lease_back(tmp_path: Path) -> None:
    with running(tmp_path) as (guard, pid, _):
        os.kill(pid, signal.SIGKILL)

        assert guard.wait(10) == 128 + signal.SIGKILL
        assert found(tmp_path).record.is_released


def test_a_store_that_is_away_costs_the_server_its_life_before_the_lease_ends(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as (guard, pid, _):
        folder = tmp_path / "_lease"
        folder.rename(tmp_path / "away")
        folder.write_text("no folder")

        assert guard.wait(20) == spark_guard.LOST
        assert not is_running(pid)
