"""`python -m crypto_pipeline.cluster.poll_to_gold`: queue one poll and find it in gold.

What `helm test` runs. Gold is seen through the topic on which it is published, so this needs
no way into the lake.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from crypto_pipeline import settings as settings_module
from crypto_pipeline.contract import topic
from crypto_pipeline.errors import PipelineError, ServiceError
from crypto_pipeline.stream.newest import newest_record

LAUNCH = ("dagster", "job", "launch", "-w", "/dagster/workspace.yaml", "-j", "ingestion")
PAUSE_SECONDS = 3.0

Newest = Callable[[str], Mapping[str, Any]]


def queue_poll() -> None:
    """Ask Dagster for one poll; its queue keeps it from running beside the minute's own."""
    done = subprocess.run(
        (sys.executable, "-m", *LAUNCH), capture_output=True, text=True, timeout=180, check=False
    )
    if done.returncode != 0:
        raise ServiceError(
            f"Dagster took no poll: {done.stderr.strip()[-600:]} Look at the daemon and the code "
            "location: kubectl logs deploy/crypto-pipeline-daemon."
        )


def wait_for_gold(newest: Newest, *, since: datetime, until: Callable[[], bool]) -> str:
    """Wait for a poll that began after `since`, then for its minute in the summary of gold."""
    seen = "no poll was published"
    while True:
        poll = newest(topic.POLLS.name)
        if poll and datetime.fromisoformat(poll["started_at"]) >= since:
            summary = newest(topic.SUMMARY.name)
            minute = datetime.fromisoformat(poll["poll_at"]) - timedelta(minutes=1)
            seen = f"the poll of {poll['poll_at']} is on its topic, but not in gold"
            if summary and datetime.fromisoformat(summary["minute_at"]) >= minute:
                return (
                    f"The poll of {poll['poll_at']} ({poll['published']} ticks of {poll['venue']}) "
                    f"is in gold: {summary['symbol']} at {summary['last']}, batch "
                    f"{summary['batch']}."
                )
        if until():
            raise ServiceError(
                f"Time is up and {seen}. Open Dagster and look at the newest run of "
                f"{'lake_cycle' if poll else 'ingestion'}."
            )
        time.sleep(PAUSE_SECONDS)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeout", type=float, default=600.0)
    asked = parser.parse_args(arguments)
    end = time.monotonic() + asked.timeout
    try:
        settings = settings_module.load().as_kafka_user("dashboard")
        since = datetime.now(UTC)
        queue_poll()
        found = wait_for_gold(
            lambda name: newest_record(settings, name),
            since=since,
            until=lambda: time.monotonic() > end,
        )
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
