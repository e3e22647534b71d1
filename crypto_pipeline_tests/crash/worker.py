"""The run worker that is killed: `python -m crypto_pipeline_tests.crash.worker`.

It imports everything once and then forks: each line of JSON on its input is one run in a child
of its own, with a session and a producer of its own, as the worker of a real run has. A run that
is to be cut cuts itself: the hook in the commit notes where it is and sends SIGKILL to its victim,
itself included.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from rich.console import Console

from crypto_pipeline import settings as settings_module
from crypto_pipeline import stage_commit
from crypto_pipeline.audit.command import difference_grid
from crypto_pipeline.audit.run import audit
from crypto_pipeline.lake.commit import Write, commit
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.maintenance.lake_upkeep import open_upkeep
from crypto_pipeline.pipeline import open_pipeline, reading_lake
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import STAGES


def main() -> None:
    import_clients()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            run(order)
        say(pid=child)
        _, status = os.waitpid(child, 0)
        say(status=os.waitstatus_to_exitcode(status))


def import_clients() -> None:
    """Before the fork, so that no run pays for it; none of them has a thread yet."""
    import deltalake  # noqa: F401
    import pyspark.sql.connect.session  # noqa: F401


def say(**facts: int) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def run(order: dict[str, Any]) -> None:
    """What was ordered; the child ends here without cleaning anything up."""
    code = 1
    try:
        if "table" in order:
            cut_at(order)
        code = ACTS[order.get("act", "cycle")](settings_module.load())
    except BaseException:  # noqa: BLE001 - the parent only sees the exit code
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


def cycle(settings: Settings) -> int:
    """Every stage once, as a run does."""
    pipeline = open_pipeline(settings)
    for stage in STAGES:
        assert pipeline.run(stage).balances
    pipeline.close()
    return 0


def look(settings: Settings) -> int:
    """Audit all there is; 0 when it is clean."""
    with reading_lake(settings, role="auditor") as lake:
        found = audit(lake)
    if not found.is_clean:
        Console(stderr=True, width=200).print(difference_grid(found))
    return 0 if found.is_clean else 2


def tidy(settings: Settings) -> int:
    """Compact what is due, as upkeep does between two minutes."""
    pipeline = open_pipeline(settings)
    open_upkeep(settings, pipeline.lake, is_wanted=lambda: False).take("compact")
    pipeline.close()
    return 0


ACTS = {"cycle": cycle, "audit": look, "tidy": tidy}


def cut_at(order: dict[str, Any]) -> None:
    """Patch the commit of one table so that the victim dies at the moment that was ordered.

    A moment that was over before it was seen kills nobody, so that the run is not taken for cut.
    """

    def cutting(write: Write, record: CommitRecord) -> CommitRecord:
        if not write.path.endswith(order["table"]) or done.is_set():
            return commit(write, record)
        done.set()
        if order["moment"] == "before":
            kill(order)
            return commit(write, record)
        watch = Watch(Path(write.path))
        threading.Thread(target=kill_when, args=(watch, order), daemon=True).start()
        try:
            return commit(write, record)
        finally:
            watch.has_ended.set()

    done = threading.Event()
    stage_commit.commit = cutting  # type: ignore[attr-defined]


class Watch:
    """A table of which a commit is about to begin; `has_ended` once the client has heard of it."""

    def __init__(self, table: Path) -> None:
        self.table = table
        self.has_ended = threading.Event()
        self._entries, self._files = log_entries(table), data_files(table)

    def comes_to(self, moment: str) -> bool:
        """Wait for a new data file without its log entry, or for the entry; False when too late."""
        while not self.has_ended.is_set():
            has_files = moment == "written" and data_files(self.table) > self._files
            is_committed = log_entries(self.table) > self._entries
            if is_committed:
                return moment == "committed" and not self.has_ended.is_set()
            if has_files:
                return True
            time.sleep(0.001)
        return False


def kill_when(watch: Watch, order: dict[str, Any]) -> None:
    if watch.comes_to(order["moment"]):
        kill(order)


def kill(order: dict[str, Any]) -> None:
    """Send SIGKILL to the victim, with a note before it of the seam that the run has come to."""
    victim = order["pid"] or os.getpid()
    os.kill(victim, 0)
    Path(order["note"]).write_text(f"{order['table']} {order['moment']}")
    os.kill(victim, signal.SIGKILL)


def log_entries(table: Path) -> int:
    return sum(1 for file in (table / "_delta_log").iterdir() if file.suffix == ".json")


def data_files(table: Path) -> int:
    return sum(1 for _ in table.rglob("*.parquet"))


if __name__ == "__main__":
    main()
