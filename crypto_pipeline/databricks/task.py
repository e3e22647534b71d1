"""The wheel task: steps on a lake, in the workspace's own Spark. Entry point `run_stage`.

run_stage --steps=gold --lake-root=s3://bucket/lake --market=live [--catalog=market]

Started by Dagster it tells each step's run through Dagster Pipes; by a job of the bundle it
prints them. A step that fails fails the task.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from dagster_pipes import (
    PipesCliArgsParamsLoader,
    PipesUnityCatalogVolumesContextLoader,
    PipesUnityCatalogVolumesMessageWriter,
    open_dagster_pipes,
)
from pyspark.sql import SparkSession

from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.databricks import messages
from crypto_pipeline.databricks.steps import Report, parse_steps, run_step
from crypto_pipeline.errors import PipelineError, RunnerError
from crypto_pipeline.holding.limits import DEFAULT_LIMITS, Limits
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.run_stage import StageRunner

if TYPE_CHECKING:
    from crypto_pipeline.stream.ranges import TopicEnds

# What the transforms count on; both may be set on serverless too.
SESSION = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a task is to do, on which lake."""

    steps: tuple[str, ...]
    lake_root: str
    market: MarketKind
    catalog: str | None
    limits: Limits


def parse(arguments: Sequence[str]) -> Asked:
    """Parameters of a wheel task; those of Dagster Pipes may stand among them."""
    parser = argparse.ArgumentParser(prog="run_stage", description=__doc__)
    parser.add_argument("--steps", required=True)
    parser.add_argument("--lake-root", required=True)
    parser.add_argument("--market", required=True, choices=get_args(MarketKind))
    parser.add_argument("--catalog", default="")
    parser.add_argument("--rejection-rate", type=float, default=DEFAULT_LIMITS.rate)
    parser.add_argument("--rejection-rows", type=int, default=DEFAULT_LIMITS.least_rows)
    given, _ = parser.parse_known_args(arguments)
    return Asked(
        steps=parse_steps(given.steps),
        lake_root=given.lake_root,
        market=given.market,
        catalog=given.catalog or None,
        limits=Limits(rate=given.rejection_rate, least_rows=given.rejection_rows),
    )


def open_runner(asked: Asked, spark: SparkSession) -> StageRunner:
    """Stages on the lake as this workspace's Spark sees it."""
    for name, value in SESSION.items():
        spark.conf.set(name, value)
    lake = Lake(
        spark=spark,
        root=asked.lake_root,
        market=asked.market,
        engine="databricks",
        catalog=asked.catalog,
    )
    return StageRunner(lake=lake, read_ends=_no_topics, kafka_options={}, limits=asked.limits)


def run_steps(asked: Asked, runner: StageRunner, *, report: Report) -> None:
    """The steps in order, each reported; the first that fails is reported and ends it."""
    for step in asked.steps:
        try:
            result = run_step(runner, step)
        except PipelineError as error:
            report(messages.failed(step, error))
            raise
        report(messages.done(step, result))


def main() -> None:
    asked = parse(sys.argv[1:])
    with _reporting() as report:
        runner = open_runner(asked, SparkSession.builder.getOrCreate())
        run_steps(asked, runner, report=report)


@contextmanager
def _reporting() -> Iterator[Report]:
    loader = PipesCliArgsParamsLoader()  # type: ignore[no-untyped-call]
    if not loader.is_dagster_pipes_process():
        yield _print
        return
    with open_dagster_pipes(
        params_loader=loader,
        context_loader=PipesUnityCatalogVolumesContextLoader(),
        message_writer=PipesUnityCatalogVolumesMessageWriter(),
    ) as pipes:
        yield pipes.report_custom_message


def _print(message: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(message)}\n")


def _no_topics() -> TopicEnds:
    raise RunnerError("Raw is written next to Kafka, not by Databricks: run that stage there.")
