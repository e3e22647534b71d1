"""Which range comes next: read from the tables' logs and the topics, never from memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crypto_pipeline.errors import TopicChangedError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.stage import Stage
from crypto_pipeline.stream.ranges import Span, TopicEnds

# Records of one partition in one run: a day's backlog is drained in bounded bites.
BITE = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next batch of a stage and its range; `done` are the outputs that have it already."""

    batch: int
    ranges: dict[str, Any]
    done: frozenset[str]
    is_retry: bool


def next_plan(stage: Stage, *, path: Mapping[str, str], ends: TopicEnds | None) -> Plan | None:
    """The next range of a stage, or None when nothing is new.

    An output that is ahead of the primary dictates the range: it was committed by an attempt
    that died, and a committed range is never widened. Raises TopicChangedError.
    """
    commits = {table.key: log.last_commit(path[table.key]) for table in stage.outputs}
    primary = commits[stage.primary.key]
    batch = 1 if primary is None else primary.batch + 1
    ahead = {key: c for key, c in commits.items() if c is not None and c.batch >= batch}
    if ahead:
        first = next(iter(ahead.values()))
        return Plan(batch=batch, ranges=first.ranges, done=frozenset(ahead), is_retry=True)
    ranges = (
        topic_ranges(primary, ends, BITE)
        if ends is not None
        else batch_ranges(stage, primary, path)
    )
    if ranges is None:
        return None
    return Plan(batch=batch, ranges=ranges, done=frozenset(), is_retry=False)


def batch_ranges(
    stage: Stage, last: CommitRecord | None, path: Mapping[str, str]
) -> dict[str, Any] | None:
    """Batches of the stage before that this one has not read: `after` is read, `to` is not yet."""
    upstream = log.last_commit(path[stage.reads[0].key])
    after = 0 if last is None else int(last.ranges["batches"]["to"])
    if upstream is None or upstream.batch <= after:
        return None
    ranges = {
        "batches": {
            "table": stage.reads[0].key,
            "after": after,
            "to": upstream.batch,
            "before": newest_facts(last),
        },
        "pinned": {},
    }
    if upstream.batch == after + 1:
        # One batch: what it holds is in its own commit.
        ranges["batches"]["rows"] = {
            table.key: upstream.outputs.get(table.key, [0, None, None]) for table in stage.reads
        }
    return ranges


def newest_facts(last: CommitRecord | None) -> dict[str, float]:
    """Newest fact time, in epoch seconds, of each table that a stage has read up to a commit."""
    if last is None:
        return {}
    batches = last.ranges["batches"]
    newest = dict(batches.get("before", {}))
    for key, (_, _, latest) in batches.get("rows", {}).items():
        if latest is not None:
            newest[key] = max(latest, newest.get(key, latest))
    return newest


def topic_ranges(last: CommitRecord | None, ends: TopicEnds, bite: int) -> dict[str, Any] | None:
    """Offsets from where the last commit ended; what retention removed before is said as lost."""
    before = {} if last is None else last.ranges["kafka"]["topics"]
    if last is not None:
        _check_identity(last, ends)
    topics: dict[str, Any] = {}
    rows = lost = 0
    for name, topic in ends.topics.items():
        done = before.get(name, {}).get("partitions", {})
        partitions = {}
        for number, span in topic.partitions.items():
            start, gap = _start(name, number, done.get(str(number)), span)
            end = min(span.end, start + bite)
            partitions[str(number)] = [start, end]
            rows += end - start
            lost += gap
        topics[name] = {"topic_id": topic.topic_id, "partitions": partitions}
    if rows == 0 and lost == 0:
        return None
    epoch = 0 if last is None else int(last.ranges["kafka"].get("epoch", 0))
    return {
        "kafka": {"cluster_id": ends.cluster_id, "epoch": epoch, "topics": topics, "lost": lost},
        "pinned": {},
    }


def _start(topic: str, number: int, done: list[int] | None, span: Span) -> tuple[int, int]:
    """First offset to read, and how many before it the broker has removed unread."""
    if done is None:
        return span.beginning, 0
    if span.end < done[1]:
        raise TopicChangedError(
            f"Topic {topic} partition {number} ends at {span.end}, but the lake has read up to "
            f"{done[1]}. The broker lost records or was set up anew: restore its data, or start "
            "a new lake with LAKE_ROOT."
        )
    start = max(done[1], span.beginning)
    return start, start - done[1]


def _check_identity(last: CommitRecord, ends: TopicEnds) -> None:
    known = last.ranges["kafka"]
    if known["cluster_id"] != ends.cluster_id:
        raise TopicChangedError(
            f"The lake was filled from Kafka cluster {known['cluster_id']}, this one is "
            f"{ends.cluster_id}. Point KAFKA_BOOTSTRAP_SERVERS back, or start a new lake with "
            "LAKE_ROOT."
        )
    for name, topic in ends.topics.items():
        seen = known["topics"].get(name)
        if seen is not None and seen["topic_id"] != topic.topic_id:
            raise TopicChangedError(
                f"Topic {name} was created anew (id {topic.topic_id}, the lake knows "
                f"{seen['topic_id']}). Start a new lake with LAKE_ROOT."
            )
