from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from crypto_pipeline.embedded import processes, running_file
from crypto_pipeline.settings import Settings

# A parent in a group of its own, with a child that ignores requests to end.
PARENT = (
    "import signal, subprocess, sys, time;"
    "c = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);'"
    "'print(1, flush=True); time.sleep(60)';"
    "p = subprocess.Popen([sys.executable, '-c', c], stdout=subprocess.PIPE);"
    "p.stdout.readline(); print(p.pid, flush=True); time.sleep(60)"
)


def start_parent() -> tuple[subprocess.Popen[str], int]:
    argv = [sys.executable, "-c", PARENT]
    parent = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert parent.stdout is not None
    with parent.stdout as output:
        return parent, int(output.readline())


def test_a_family_is_found_through_parents_and_killed() -> None:
    parent, child = start_parent()

    found = processes.family([parent.pid], processes.running())

    assert {one.pid for one in found} == {parent.pid, child}
    assert processes.kill(found) == ()
    parent.wait()
    assert processes.alive(found) == ()


def test_a_reused_process_id_is_not_ours() -> None:
    us = processes.running()[os.getpid()]

    assert processes.alive([us]) == (us,)
    assert processes.alive([replace(us, started="another time")]) == ()


def test_leftovers_of_a_killed_up_are_ended_and_strangers_are_not(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    parent, child = start_parent()
    known = processes.running()
    stranger = replace(known[os.getpid()], started="another time")
    running_file.write(settings, [known[parent.pid], stranger])

    assert running_file.clear_leftovers(settings) == 2

    parent.wait(5)
    time.sleep(0.05)
    assert child not in processes.running()
    assert running_file.read(settings) == ()
