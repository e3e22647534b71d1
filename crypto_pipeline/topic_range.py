"""The next range of offsets: bounded in rows and bytes, refused when the topic is another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crypto_pipeline.errors import TopicChangedError
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.range_bytes import mean_bytes, shared
from crypto_pipeline.stream.ranges import Span, TopicEnds


@dataclass(frozen=True, slots=True, kw_only=True)
class Bite:
    """What one run takes at most, so that a day's backlog is drained in bounded memory.

    `rows` holds for every stage; `bytes` for raw, whose records may be of any length, and for what
    later stages read of them.
    """

    rows: int = 150_000
    bytes: int = 128 * 1024 * 1024


WHOLE_BITE = Bite()
ADOPT = "Run `crypto-pipeline adopt-topic` to go on with it under a new epoch"


def topic_ranges(
    last: CommitRecord | None,
    ends: TopicEnds,
    *,
    bite: Bite = WHOLE_BITE,
) -> dict[str, Any] | None:
    """Offsets from where the last commit ended, at most about a bite of them.

    `lost` counts what retention removed unread and `gone` says where; `left` is what waits for
    the next run. Raises TopicChangedError with what to do.
    """
    before = {} if last is None else last.ranges["kafka"]["topics"]
    reason = change(last, ends)
    if reason is not None:
        raise TopicChangedError(
            f"{reason} {ADOPT}, point KAFKA_BOOTSTRAP_SERVERS back, or start a new lake with "
            "LAKE_ROOT."
        )
    waiting: dict[str, dict[int, Span]] = {}
    gone: dict[str, dict[str, list[int]]] = {}
    for name, topic in ends.topics.items():
        read = before.get(name, {}).get("partitions", {})
        waiting[name] = {}
        for number, span in topic.partitions.items():
            done = read.get(str(number), [0, span.beginning])[1]
            start = max(done, span.beginning)
            waiting[name][number] = Span(start, span.end)
            if start > done:
                gone.setdefault(name, {})[str(number)] = [done, start]
    total = sum(span.end - span.beginning for parts in waiting.values() for span in parts.values())
    lost = sum(end - start for parts in gone.values() for start, end in parts.values())
    if total == 0 and lost == 0:
        return None
    share = _share(waiting, before, bite)
    topics: dict[str, dict[str, Any]] = {
        name: {
            "topic_id": ends.topics[name].topic_id,
            "mean_bytes": mean_bytes(before.get(name)),
            "partitions": {
                str(number): [span.beginning, shared(span.beginning, span.end, share)]
                for number, span in parts.items()
            },
        }
        for name, parts in waiting.items()
    }
    taken = sum(
        end - start for topic in topics.values() for start, end in topic["partitions"].values()
    )
    kafka: dict[str, Any] = {
        "cluster_id": ends.cluster_id,
        "epoch": 0 if last is None else int(last.ranges["kafka"].get("epoch", 0)),
        "topics": topics,
        "lost": lost,
        "left": total - taken,
    }
    if gone:
        kafka["gone"] = gone
    return {"kafka": kafka, "pinned": {}}


def _share(
    waiting: Mapping[str, Mapping[int, Span]],
    before: Mapping[str, Any],
    bite: Bite,
) -> float:
    """The part of every partition's backlog that fits; the same of all, so that a minute's
    records on several topics stay together.
    """
    count = {
        name: sum(span.end - span.beginning for span in parts.values())
        for name, parts in waiting.items()
    }
    weight = sum(n * mean_bytes(before.get(name)) for name, n in count.items())
    return min(1.0, bite.rows / max(1, sum(count.values())), bite.bytes / max(1.0, weight))


def change(last: CommitRecord | None, ends: TopicEnds) -> str | None:
    """Why these topics are not those that the lake has read; None when they are."""
    if last is None:
        return None
    known = last.ranges["kafka"]
    if known["cluster_id"] != ends.cluster_id:
        return (
            f"The lake was filled from Kafka cluster {known['cluster_id']}, this one is "
            f"{ends.cluster_id}."
        )
    for name, topic in ends.topics.items():
        seen = known["topics"].get(name)
        if seen is None:
            continue
        if seen["topic_id"] != topic.topic_id:
            return (
                f"Topic {name} was created anew (id {topic.topic_id}, the lake knows "
                f"{seen['topic_id']})."
            )
        for number, span in topic.partitions.items():
            read = seen["partitions"].get(str(number), [0, 0])[1]
            if span.end < read:
                return (
                    f"Topic {name} partition {number} ends at {span.end}, but the lake has read "
                    f"up to {read}: the broker lost records."
                )
    return None


def adopted_ranges(last: CommitRecord, ends: TopicEnds) -> dict[str, Any]:
    """An empty range under the next epoch: a topic that changed starts at its first record.

    A topic that is the same goes on where it was read; what was read before keeps its epoch.
    """
    known = last.ranges["kafka"]
    is_same_cluster = known["cluster_id"] == ends.cluster_id
    topics: dict[str, Any] = {}
    for name, topic in ends.topics.items():
        seen = known["topics"].get(name, {})
        read = seen.get("partitions", {})
        is_same = (
            is_same_cluster
            and seen.get("topic_id") == topic.topic_id
            and all(
                span.end >= read.get(str(number), [0, 0])[1]
                for number, span in topic.partitions.items()
            )
        )
        topics[name] = {
            "topic_id": topic.topic_id,
            "partitions": {
                str(number): [at, at]
                for number, span in topic.partitions.items()
                for at in [
                    read.get(str(number), [0, span.beginning])[1] if is_same else span.beginning
                ]
            },
        }
    return {
        "kafka": {
            "cluster_id": ends.cluster_id,
            "epoch": int(known.get("epoch", 0)) + 1,
            "topics": topics,
            "lost": 0,
            "left": 0,
            "adopted": {"cluster_id": known["cluster_id"], "topics": known["topics"]},
        },
        "pinned": {},
    }
