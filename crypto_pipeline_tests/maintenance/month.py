"""What a month on a laptop takes: the arithmetic over what a minute was measured to cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crypto_pipeline.contract.topic import TOPICS, Topic
from crypto_pipeline.embedded.broker import LAPTOP_PROPERTIES
from crypto_pipeline.keeping_settings import DAGSTER_DAYS, LAYER_DAYS
from crypto_pipeline.lake.table import PROPERTIES, days_of

# The two runs of a minute, with their events; two files of 0.36 and 0.16 MB most of it.
BOUND_BYTES_A_MINUTE = 600_000
MINUTES_A_DAY = 1_440
DAYS = 30
LIMIT_BYTES = 5 * 1024**3
# Small files stay two days after compaction took them, and vacuum comes once a day.
LOOSE_DAYS = 3
# Delta removes whole days of it.
LOG_DAYS = days_of("logRetentionDuration") + 1
CHECKPOINT_EVERY = int(PROPERTIES["delta.checkpointInterval"])
# A checkpoint names each file that was removed in the last two days; 95 bytes each were measured.
NAMED_DAYS = 2
CHECKPOINT_BYTES_A_FILE = 100
# The laptop's broker closes a segment after so long; it is kept until its last record is too old,
# and what is compacted is so only once it is closed.
SEGMENT_DAYS = int(LAPTOP_PROPERTIES["log.roll.hours"]) / 24


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One table: rows a minute, bytes on disk a row when compact, of a minute's files and log."""

    rows: float
    dense: float
    files: float
    log: float

    def bytes_kept(self, days: int) -> float:
        compact = self.rows * self.dense * days
        checkpoint = CHECKPOINT_BYTES_A_FILE * NAMED_DAYS * MINUTES_A_DAY if self.log else 0
        log = LOG_DAYS * (self.log + checkpoint / CHECKPOINT_EVERY)
        return MINUTES_A_DAY * (compact + self.files * LOOSE_DAYS + log)


def topic_days(topic: Topic) -> float:
    """Days of records that lie on the disk; of a compacted topic two segments, one being closed."""
    kept = topic.config.get("retention.ms")
    return 2 * SEGMENT_DAYS if kept is None else int(kept) / 86_400_000 + SEGMENT_DAYS


def bytes_kept(costs: Mapping[str, Cost], *, topics: Mapping[str, float]) -> dict[str, float]:
    """By table, topic and Dagster's database, at the default settings.

    `costs` are by table key, `topics` bytes a minute by topic.
    """
    kept = {
        key: cost.bytes_kept(min(DAYS, LAYER_DAYS[key.split("/")[0]]))
        for key, cost in costs.items()
    }
    kept |= {t.name: topics[t.name] * MINUTES_A_DAY * topic_days(t) for t in TOPICS}
    kept["dagster"] = BOUND_BYTES_A_MINUTE * MINUTES_A_DAY * (DAGSTER_DAYS + 1 / 24)
    return kept
