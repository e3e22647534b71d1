"""Which range comes next: read from the tables' logs and the topics, never from memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.commit import SupersededError
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.range_bytes import bytes_of
from crypto_pipeline.stage import Stage
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline.topic_range import WHOLE_BITE, Bite, topic_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next batch of a stage and its range; `done` are the outputs that have it already.

    `left` is what waits behind the range: records on the topics, or batches of the stage before.
    """

    batch: int
    ranges: dict[str, Any]
    done: frozenset[str]
    is_retry: bool
    left: int = 0


def next_plan(
    stage: Stage, *, path: Mapping[str, str], ends: TopicEnds | None, bite: Bite = WHOLE_BITE
) -> Plan | None:
    """The next range of a stage, or None when nothing is new.

    An output that is ahead of the primary dictates the range: it was committed by an attempt
    that died, and a committed range is never widened. Raises TopicChangedError, and LakeError
    when two outputs are ahead with different ranges.
    """
    primary = log.last_commit(path[stage.primary.key])
    unfinished = ahead_plan(stage, primary, path=path)
    if unfinished is not None:
        return unfinished
    batch = 1 if primary is None else primary.batch + 1
    if ends is not None:
        found = topic_ranges(primary, ends, bite=bite)
        left = 0 if found is None else int(found["kafka"]["left"])
    else:
        found, left = batch_ranges(stage, primary, path, bite=bite)
    if found is None:
        return None
    return Plan(batch=batch, ranges=found, done=frozenset(), is_retry=False, left=left)


def _ahead(stage: Stage, batch: int, path: Mapping[str, str]) -> dict[str, CommitRecord]:
    """Sides that have the batch already. Their number is in the table's state, which no clean-up
    of the log removes; the range is needed only of those that are ahead, and is then recent.

    Raises SupersededError when the primary has moved on since it was read.
    """
    ahead = {}
    for table in stage.sides:
        if log.last_batch(path[table.key]) < batch:
            continue
        record = log.last_commit(path[table.key])
        if record is None:
            continue
        if record.batch > batch:
            raise SupersededError(f"{table.key} went on to batch {record.batch} meanwhile.")
        if record.batch == batch:
            ahead[table.key] = record
    return ahead


def ahead_plan(
    stage: Stage, primary: CommitRecord | None, *, path: Mapping[str, str]
) -> Plan | None:
    """The batch that an attempt has committed to a side output and not to the primary.

    Raises LakeError when two outputs are ahead with different ranges.
    """
    batch = 1 if primary is None else primary.batch + 1
    ahead = _ahead(stage, batch, path)
    if not ahead:
        return None
    ranges = next(iter(ahead.values())).ranges
    if any(commit.ranges != ranges for commit in ahead.values()):
        raise LakeError(
            f"Batch {batch} of stage {stage.name} has different ranges in "
            f"{', '.join(sorted(ahead))}. Two writers were at work: rebuild the layer."
        )
    upstream = log.last_commit(path[stage.reads[0].key])
    left = 0 if upstream is None else upstream.batch - int(ranges["batches"]["to"])
    return Plan(batch=batch, ranges=ranges, done=frozenset(ahead), is_retry=True, left=left)


def batch_ranges(
    stage: Stage,
    last: CommitRecord | None,
    path: Mapping[str, str],
    *,
    bite: Bite = WHOLE_BITE,
) -> tuple[dict[str, Any] | None, int]:
    """Batches of the stage before that this one has not read (`after` is read, `to` is not yet),
    and how many more wait. At least one batch is taken, and as many as a bite has room for.
    """
    first = stage.reads[0]
    upstream = log.last_commit(path[first.key])
    after = 0 if last is None else int(last.ranges["batches"]["to"])
    if upstream is None or upstream.batch <= after:
        return None, 0
    keys = [table.key for table in stage.reads]
    to, size = _until(path[first.key], upstream, keys, after=after, bite=bite)
    batches = {"table": first.key, "after": after, "to": to, "before": newest_facts(last)}
    ranges: dict[str, Any] = {"batches": batches, "pinned": {}}
    if size:
        batches["bytes"] = size
    if to == after + 1 == upstream.batch:
        # The newest batch alone: what it holds is in its own commit, and nothing came after it
        # that might have taken the place of its rows.
        ranges["batches"]["rows"] = {
            key: upstream.outputs.get(key, [0, None, None]) for key in keys
        }
    return ranges, upstream.batch - to


def _until(
    path: str, upstream: CommitRecord, keys: Sequence[str], *, after: int, bite: Bite
) -> tuple[int, int]:
    """The last batch that fits, and the bytes of the records that all of these came from, as far
    as their commits say; batches whose commits the log has no more are taken as one.
    """
    if upstream.batch == after + 1:
        return upstream.batch, bytes_of(upstream.ranges)
    to = rows = size = 0
    for commit in sorted(log.since(path, after), key=lambda commit: commit.batch):
        rows += sum(commit.outputs.get(key, [0])[0] for key in keys)
        heavier = size + bytes_of(commit.ranges)
        if to and (rows > bite.rows or heavier > bite.bytes):
            break
        to, size = commit.batch, heavier
    return to or upstream.batch, size


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
