"""`crypto-pipeline adopt-topic`: go on with topics that are not those that the lake has read.

The command commits an empty batch of raw under the next epoch. What was read keeps its epoch, so
equal offsets of the old and the new topic stay different records.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from rich.console import Console

from crypto_pipeline.lake import log
from crypto_pipeline.lake.append import append
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import RAW
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline.topic_range import adopted_ranges, change


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Why the topics were another's, and the epoch and batch under which they are read now."""

    reason: str
    epoch: int
    batch: int


def adopt(lake: Lake, ends: TopicEnds) -> Adoption | None:
    """Commit the new epoch; None when nothing changed, so that a second call does nothing.

    Raises SupersededError when a run of raw commits at the same time.
    """
    table = RAW.primary
    last = log.last_commit(lake.path(table))
    reason = change(last, ends)
    if last is None or reason is None:
        return None
    ranges = adopted_ranges(last, ends)
    record = append(
        lake,
        table,
        [],
        stage=RAW.name,
        last=last,
        ranges=ranges,
        counts={"in": 0},
        outputs={table.key: [0, None, None]},
    )
    return Adoption(reason=reason, epoch=ranges["kafka"]["epoch"], batch=record.batch)


def adopt_topic(settings: Settings, console: Console) -> int:
    """Adopt what the broker has now and say what changed."""
    from crypto_pipeline.pipeline import open_by_hand

    with closing(open_by_hand(settings)) as pipeline:
        adoption = adopt(pipeline.lake, pipeline.runner.read_ends())
    if adoption is None:
        console.print("The topics are those that the lake has read. Nothing was changed.")
        return 0
    console.print(
        f"{adoption.reason} Adopted as epoch {adoption.epoch} in batch {adoption.batch} of raw; "
        "the next cycle goes on. What the old topic held unread is lost: see "
        "docs/exactly-once.md.",
        markup=False,
        soft_wrap=True,
    )
    return 0
