"""Whether every stage has read all that there is before it."""

from __future__ import annotations

from crypto_pipeline.lake import log
from crypto_pipeline.plan import batch_ranges
from crypto_pipeline.settings import Settings
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import STAGES
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline.topic_range import topic_ranges


def is_all_read(direct: Settings) -> bool:
    """No record waits for raw, and no batch for a stage behind it."""
    return all(_is_at_the_end(direct, stage) for stage in STAGES)


def _is_at_the_end(direct: Settings, stage: Stage) -> bool:
    paths = {
        table.key: f"{direct.lake_root}/{table.key}" for table in (stage.primary, *stage.reads)
    }
    last = log.last_commit(paths[stage.primary.key])
    if last is None:
        return False
    if stage.topics:
        ends = read_ends(direct, [topic.name for topic in stage.topics])
        return topic_ranges(last, ends) is None
    return batch_ranges(stage, last, paths)[0] is None
