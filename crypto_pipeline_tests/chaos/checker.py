"""At a chunk's end: let everything flow, stop what makes more, and compare all that there is.

Lost is what was in the spool, acknowledged, or served and received (a row of Binance's ticker whose
poll came and does not say that it lacks it), and is neither in silver nor set aside nor rejected;
or a minute of which there is neither a candle nor a row in the ledger of gaps. Doubled is an id
twice in silver, a key twice in gold, a record twice in raw or in bronze.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from crypto_pipeline.stages import BRONZE
from crypto_pipeline_tests.chaos.beat import Beat
from crypto_pipeline_tests.chaos.explained import is_explained
from crypto_pipeline_tests.chaos.minutes import unexplained
from crypto_pipeline_tests.chaos.reading import is_all_read
from crypto_pipeline_tests.chaos.recorder import Recorder, digest_of, wait_until_read
from crypto_pipeline_tests.chaos.served import served
from crypto_pipeline_tests.chaos.stack import Stack
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.crash.balance import (
    COORDINATES,
    Balance,
    compare,
    once,
    records_on_topics,
    rows_of,
)

FACTS = ("ticks", "candles")
FAILED = re.compile(r"Error occurred while executing op [^\n]*\n\n([\w.]+)(?::|\n)")
KEPT_SENSOR = "completed_polls"
DRAIN_SECONDS = 420.0
READ_SECONDS = 60.0
# From a poll to the cycle that it starts is a moment without any run.
ASK_SECONDS = 20.0
LOOK_SECONDS = 0.5
ONCE = {
    "gold/candles_1m": ("source", "symbol", "minute_at"),
    "gold/volatility": ("source", "symbol", "minute_at"),
    "gold/market_summary": ("source", "symbol"),
    "predictions/forecasts": ("id",),
    "silver/ticks": ("id",),
    "silver/candles": ("id",),
}


@dataclass(kw_only=True)
class Verdict:
    """What the comparison found; `holds` when nothing is missing, doubled, stuck or different."""

    lost: dict[str, int] = field(default_factory=dict)
    doubled: dict[str, int] = field(default_factory=dict)
    records: int = 0
    stuck: list[str] = field(default_factory=list)
    audit: str = ""
    facts: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    set_aside: dict[str, int] = field(default_factory=dict)
    gaps: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    @property
    def bugs(self) -> list[str]:
        """Failures of runs that no fault explains: the code itself went wrong."""
        return [name for name in self.failures if not is_explained(name)]

    @property
    def holds(self) -> bool:
        is_whole = not any(self.lost.values()) and not any(self.doubled.values())
        wrong = self.stuck or self.audit or self.shown or self.bugs
        return is_whole and not wrong


def check(stack: Stack, recorder: Recorder, beat: Beat) -> Verdict:
    """Drain, compare, audit."""
    found = Verdict()
    found.stuck = drain(stack, beat)
    topics = records_on_topics(stack.direct)
    found.records = sum(topics.values())
    ends = Counter((name, number) for name, _, number, _ in topics)
    wait_until_read(recorder, dict(ends), seconds=READ_SECONDS)
    balance = Balance(lost=found.lost, doubled=found.doubled, records=found.records)
    layers(stack, topics, balance)
    witnessed(stack, recorder, found)
    minutes = unexplained(stack)
    found.lost["minutes"] = len(minutes.missing)
    found.examples += minutes.missing[:5]
    found.facts |= minutes.served
    rows = served(stack)
    found.lost["served"] = len(rows.lost)
    found.examples += rows.lost[:5]
    found.facts |= {"rows received": rows.received, "rows received and kept": rows.kept}
    found.gaps = minutes.states
    found.rejected = _by(stack, "bronze/rejected", "reason")
    found.set_aside = _by(stack, "silver/set_aside", "reason")
    for name in FACTS:
        found.facts[f"{name} in silver"] = sum(once(stack.direct, f"silver/{name}").values())
    found.failures = failures(stack)
    found.audit = audit(stack)
    return found


def failures(stack: Stack) -> dict[str, int]:
    """Failed steps of runs by the class of their error, as the code server's log has them."""
    logs = sorted((stack.settings.home / "logs").glob("code-server.log*"))
    found = Counter(name for log in logs for name in FAILED.findall(log.read_text("utf-8")))
    return dict(sorted(found.items()))


def drain(stack: Stack, beat: Beat) -> list[str]:
    """Until nothing waits anywhere and no run goes on; what is still going then is stuck.

    What came onto the topics after the last poll is read with the next one.
    """
    beat.stop_all_but(KEPT_SENSOR)
    until = time.monotonic() + DRAIN_SECONDS
    asked_at = 0.0
    while (now := time.monotonic()) < until:
        if beat.unfinished() == [] and not stack.spooled():
            if asked_at and is_all_read(stack.direct):
                return []
            if now - asked_at > ASK_SECONDS and beat.ask_now():
                asked_at = now
        time.sleep(LOOK_SECONDS)
    left = beat.unfinished() or []
    return [f"{run['jobName']} {run['status']}" for run in left] or ["raw does not come to the end"]


def layers(stack: Stack, topics: Counter[Any], into: Balance) -> None:
    """Multisets of coordinates from the topics down to silver, and keys that must be unique."""
    settings = stack.direct
    raw = once(settings, "raw/records", *COORDINATES)
    compare("raw", raw, topics, into)
    outputs = {table.key: once(settings, table.key, *COORDINATES) for table in BRONZE.outputs}
    compare("bronze", sum(outputs.values(), Counter()), raw, into)
    facts = sum((outputs[f"bronze/{name}"] for name in FACTS), Counter())
    taken = sum((once(settings, f"silver/{name}", *COORDINATES) for name in FACTS), Counter())
    compare("silver", taken + once(settings, "silver/set_aside", *COORDINATES), facts, into)
    ids = sum((once(settings, f"bronze/{name}", "id") for name in FACTS), Counter())
    kept = sum((once(settings, f"silver/{name}", "id") for name in FACTS), Counter())
    late = once(settings, "silver/set_aside", "id", "reason")
    too_late = {one for one, reason in late if reason == "too_late"}
    into.lost["ids"] = len(set(ids) - set(kept) - {(one,) for one in too_late})
    for key, names in ONCE.items():
        found = once(settings, key, *names)
        compare(key, found, Counter(set(found)), into)


def witnessed(stack: Stack, recorder: Recorder, found: Verdict) -> None:
    """What the recorder saw acknowledged or on disk is in raw, byte for byte."""
    columns = ("topic", "partition", "offset", "value")
    raw = {
        (row["topic"], row["partition"], row["offset"]): digest_of(row["value"] or b"")
        for row in rows_of(stack.direct, "raw/records", *columns)
    }
    found.lost["acknowledged"] = sum(
        raw.get(place) != digest for place, digest in recorder.seen.items()
    )
    found.lost["changed on the topic"] = len(recorder.changed)
    found.lost["spooled"] = len(recorder.spooled - set(raw.values()))
    found.facts["acknowledged"] = len(recorder.seen)
    found.facts["spooled"] = len(recorder.spooled)


def _by(stack: Stack, key: str, column: str) -> dict[str, int]:
    return {str(name): count for (name,), count in sorted(once(stack.direct, key, column).items())}


def audit(stack: Stack) -> str:
    """Empty when `crypto-pipeline audit` finds no difference, else what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "crypto_pipeline.cli", "audit"],
        cwd=ROOT,
        env={**os.environ, **stack.settings.environment(), **stack.variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-4000:]
