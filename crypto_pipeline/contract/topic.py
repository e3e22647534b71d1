"""The topics, as values: whoever creates, writes or reads one takes its name from here."""

from __future__ import annotations

from dataclasses import dataclass, field

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Name, partitions and broker-side configuration. Broker (LogAppend) time everywhere."""

    name: str
    partitions: int
    config: dict[str, str] = field(default_factory=dict)


def _log(name: str, *, partitions: int, retention_days: int) -> Topic:
    return Topic(
        name=name,
        partitions=partitions,
        config={
            "retention.ms": str(retention_days * DAY_MS),
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "delete",
        },
    )


def _table(name: str, *, partitions: int) -> Topic:
    return Topic(
        name=name,
        partitions=partitions,
        config={"message.timestamp.type": "LogAppendTime", "cleanup.policy": "compact"},
    )


TICKS = _log("market.ticks", partitions=3, retention_days=7)
CANDLES = _log("market.candles", partitions=3, retention_days=7)
POLLS = _log("market.polls", partitions=1, retention_days=7)
REJECTED = _log("market.rejected", partitions=1, retention_days=7)
SUMMARY = _table("market.summary", partitions=1)
FORECASTS = _table("market.forecasts", partitions=1)
STATUS = _table("pipeline.status", partitions=1)

TOPICS = (TICKS, CANDLES, POLLS, REJECTED, SUMMARY, FORECASTS, STATUS)
INGESTED = (TICKS, CANDLES, POLLS, REJECTED)
