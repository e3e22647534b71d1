"""How fast a backlog comes from the topics into silver: `python -m …benchmarks.backlog`.

    --minutes N    of 3,600 symbols, published before each pair (40)
    --pairs N      (5)

Raw, bronze and silver drain what was published, with their commits and counts. The bare reference
reads the same offsets by Spark, parses them by the same schema and writes nothing. Which goes
first changes from pair to pair. Memory is that of the Spark server, sampled while it drains.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import functions as F

from crypto_pipeline.bronze.rules import message_schema
from crypto_pipeline.lake.tuning import COMPILED_ROWS, tune
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline.stream.publish import Publisher
from crypto_pipeline.stream.ranges import TopicEnds, read_ends
from crypto_pipeline.stream.topics import open_ready_producer
from crypto_pipeline_tests.benchmarks.figure import Figure, Loop, fixed_loop, keep
from crypto_pipeline_tests.end_to_end.minutes import minute
from crypto_pipeline_tests.maintenance.day import Day, a_day
from crypto_pipeline_tests.spark_memory import pid_of_spark, watched
from crypto_pipeline_tests.topics import NAMES, outgoing

SYMBOLS = 3_600
MINUTES = 40
PAIRS = 5
WARM = 2
# Drained in a minute at least so many minutes of the venue; and of the bare rate.
RATE, SHARE = 50.0, 0.6
STAGES = (RAW, BRONZE, SILVER)


def publish(day: Day, *, first: int, minutes: int) -> None:
    with Publisher(day.settings, connect=open_ready_producer) as publisher:
        for number in range(first, first + minutes):
            publisher.publish(outgoing(*minute(number, SYMBOLS)), deadline_seconds=60)


def drained(runner: StageRunner) -> tuple[float, int]:
    """Seconds until nothing is left, and the records that raw took."""
    begun, records = time.perf_counter(), 0
    for stage in STAGES:
        while not (run := runner.run(stage)).is_empty:
            assert run.balances
            records += run.rows_in if stage is RAW else 0
    return time.perf_counter() - begun, records


def bare(day: Day, begin: TopicEnds, end: TopicEnds) -> float:
    """Seconds of reading what lies between two ends and parsing it, to no sink."""
    spark = day.pipeline.lake.spark
    tune(spark, rows=COMPILED_ROWS + 1)

    def offsets(ends: TopicEnds) -> str:
        return json.dumps(
            {
                name: {number: span.end for number, span in topic.partitions.items()}
                for name, topic in ends.topics.items()
            }
        )

    begun = time.perf_counter()
    (
        spark.read.format("kafka")
        .options(**day.pipeline.runner.kafka_options)
        .option("subscribe", ",".join(NAMES))
        .option("startingOffsets", offsets(begin))
        .option("endingOffsets", offsets(end))
        .load()
        .select(F.from_json(F.col("value").cast("string"), message_schema()).alias("m"))
        .write.format("noop")
        .mode("overwrite")
        .save()
    )
    return time.perf_counter() - begun


def measure(day: Day, *, pairs: int, minutes: int) -> list[tuple[float, float]]:
    """Records a second: bare, ours."""
    found = []
    for number in range(WARM + pairs):
        begin = read_ends(day.settings, NAMES)
        publish(day, first=number * minutes, minutes=minutes)
        end = read_ends(day.settings, NAMES)
        is_bare_first = number % 2 == 0
        seconds = bare(day, begin, end) if is_bare_first else 0.0
        taken, records = drained(day.pipeline.runner)
        seconds = seconds or bare(day, begin, end)
        found.append((records / seconds, records / taken))
    return found[WARM:]


def figures(found: Sequence[tuple[float, float]], resident: Sequence[float]) -> list[Figure]:
    a_minute = float(len(minute(0, SYMBOLS)))
    half = len(resident) // 2
    return [
        Figure(name="Kafka to silver", unit="records a second", pairs=found, least=SHARE),
        Figure(
            name="drain over arrival",
            unit="minutes a minute",
            pairs=[(1.0, ours * 60 / a_minute) for _, ours in found],
            least=RATE,
        ),
        Figure(
            name="memory, second half over first",
            unit="MiB",
            pairs=[(max(resident[:half]), max(resident[half:]))],
            limit=1.25,
        ),
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=MINUTES)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    given = parser.parse_args(arguments)
    begin = fixed_loop()
    with tempfile.TemporaryDirectory() as folder, a_day(Path(folder) / "stack") as day:
        publish(day, first=0, minutes=1)
        drained(day.pipeline.runner)
        with watched(pid_of_spark(day.settings)) as memory:
            found = measure(day, pairs=given.pairs, minutes=given.minutes)
    holds = keep(
        "backlog",
        figures(found, memory.samples),
        loop=Loop(begin=begin, end=fixed_loop()),
        more={"symbols": SYMBOLS, "minutes": given.minutes},
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
