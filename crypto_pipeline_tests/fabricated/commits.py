"""What each commit says of itself: the range of its batch, its counts, and the next one's start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crypto_pipeline.contract import topic
from crypto_pipeline.lake.log import CommitRecord
from crypto_pipeline.range_bytes import FIRST_GUESS_BYTES
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import BRONZE, CANDLES, PREDICTIONS, RAW, SILVER, SUMMARY, VOLATILITY
from crypto_pipeline.version import VERSION
from crypto_pipeline_tests.fabricated.history import History
from crypto_pipeline_tests.fabricated.shapes import Shape, shapes


@dataclass(frozen=True)
class Commits:
    """Records of any stage and batch of a history, as its stages would have written them."""

    history: History

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        return {shape.table.key: shape for shape in shapes(self.history)}

    def record(self, shape: Shape, number: int) -> CommitRecord:
        stage = shape.stage
        outcomes = self._outcomes(stage)
        return CommitRecord(
            stage=stage.name,
            batch=number,
            write_id=self.history.write_id(shape.table.key, number),
            ranges=self._ranges(stage, number),
            counts={"in": sum(outcomes.values()), **outcomes},
            outputs={table.key: self._output(table.key, number) for table in stage.outputs},
            code_version=VERSION,
            lease_epoch=self.history.lease_epoch,
        )

    def _output(self, key: str, number: int) -> list[Any]:
        shape = self.shapes[key]
        return [shape.rows_of(number), *shape.span(number)]

    def _outcomes(self, stage: Stage) -> dict[str, int]:
        """Rows read by what became of them, of a minute with a tick and a candle of each coin."""
        n = self.history.market.count
        return {
            RAW.name: {"accepted": 2 * n + 1},
            BRONZE.name: {"candle": n, "tick": n, "poll": 1},
            SILVER.name: {"tick": n, "candle": n, "poll": 1},
            CANDLES.name: {"taken": n, "covered": n},
            VOLATILITY.name: {"measured": n},
            SUMMARY.name: {"summarised": n},
            PREDICTIONS.name: {"origin": n},
        }[stage.name]

    def _ranges(self, stage: Stage, number: int) -> dict[str, Any]:
        held = {"held": {}, "held_seen": number} if stage.holds_back else {}
        pinned = {**held, "now": self.history.planned_at(stage, number).isoformat()}
        if stage.topics:
            return {"kafka": self._kafka(number), "pinned": pinned}
        keys = [table.key for table in stage.reads]
        before = {key: self._output(key, number - 1)[2] for key in keys} if number > 1 else {}
        batches = {
            "table": keys[0],
            "after": number - 1,
            "to": number,
            "before": {key: at for key, at in before.items() if at is not None},
            "rows": {key: self._output(key, number) for key in keys},
        }
        return {"batches": batches, "pinned": pinned}

    def _kafka(self, number: int) -> dict[str, Any]:
        ends = self.history.ends
        topics = {
            name: {
                "topic_id": of.topic_id,
                "mean_bytes": self.mean_bytes.get(name, float(FIRST_GUESS_BYTES)),
                "partitions": {
                    str(place): list(self.history.span(name, place, number))
                    for place in of.partitions
                },
            }
            for name, of in ends.topics.items()
        }
        return {
            "cluster_id": ends.cluster_id,
            "epoch": 0,
            "topics": topics,
            "lost": 0,
            "left": 0,
        }

    @cached_property
    def mean_bytes(self) -> dict[str, float]:
        """Of the newest minute's records, by topic; every minute's are about as long."""
        number = self.history.minutes
        facts = next(self.history.market.minutes(number, number + 1))
        sent: dict[str, list[Any]] = {
            topic.TICKS.name: list(facts.ticks),
            topic.CANDLES.name: list(facts.candles),
            topic.POLLS.name: [facts.poll],
        }
        return {
            name: round(sum(len(one.encode()) for one in records) / len(records), 1)
            for name, records in sent.items()
        }
