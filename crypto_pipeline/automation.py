"""What starts by itself: the minute's poll, and a lake cycle after each completed poll."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import dagster as dg

from crypto_pipeline import settings as settings_module
from crypto_pipeline.backfill.run import days_to_repair
from crypto_pipeline.contract import topic
from crypto_pipeline.errors import MarketError, StreamError
from crypto_pipeline.stream.ranges import read_ends

INGESTION_JOB = "ingestion"
CYCLE_JOB = "lake_cycle"
BACKFILL_JOB = "candle_backfill"
REPAIR_JOB = "gap_repair"

# A day that was asked for is looked at again when its candles had the time to reach the ledger.
REPAIR_PAUSE = timedelta(minutes=5)

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

ingestion = dg.define_asset_job(
    INGESTION_JOB,
    selection=dg.AssetSelection.assets(
        ["stream", "market_ticks"],
        ["stream", "market_candles"],
        ["stream", "market_polls"],
        ["stream", "market_rejected"],
    ),
    executor_def=dg.in_process_executor,
    description="One poll of the market into the topics",
)

lake_cycle = dg.define_asset_job(
    CYCLE_JOB,
    selection=dg.AssetSelection.groups("raw", "bronze", "silver", "gold", "predictions")
    | dg.AssetSelection.assets(
        ["stream", "market_summary"],
        ["stream", "market_forecasts"],
        ["stream", "pipeline_status"],
    ),
    executor_def=dg.in_process_executor,
    description="Whatever is new on the topics, through every table to the forecast",
)


candle_backfill = dg.define_asset_job(
    BACKFILL_JOB,
    selection=dg.AssetSelection.assets(["backfill", "candle_backfill"]),
    executor_def=dg.in_process_executor,
    description="A day of the watch-list's candles, fetched anew",
)

gap_repair = dg.define_asset_job(
    REPAIR_JOB,
    selection=dg.AssetSelection.assets(["backfill", "gap_repair"]),
    executor_def=dg.in_process_executor,
    description="What the ledger says is missing of a day, asked for once more",
)


def is_running(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of the job is queued or going: a second one would only wait for it."""
    return bool(
        instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=UNFINISHED), limit=1)
    )


@dg.schedule(
    job=ingestion,
    cron_schedule="* * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    name="every_minute",
)
def every_minute(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Poll each minute; a poll that takes longer than its minute is never overtaken."""
    if is_running(context.instance, INGESTION_JOB):
        return dg.SkipReason("The poll of the minute before is still going.")
    return dg.RunRequest()


@dg.sensor(
    job=lake_cycle,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="completed_polls",
)
def completed_polls(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a cycle when a poll record has come: it is published after the last of its ticks."""
    try:
        settings = settings_module.load().as_kafka_user("sensor")
        ends = read_ends(settings, [topic.POLLS.name]).topics[topic.POLLS.name]
    except StreamError as error:
        return dg.SkipReason(str(error))
    position = f"{ends.topic_id}:{ends.partitions[0].end}"
    if position == context.cursor or ends.partitions[0].end == 0:
        return dg.SkipReason("No poll was completed since the last cycle.")
    if is_running(context.instance, CYCLE_JOB):
        return dg.SkipReason("The cycle before is still going; it or the next one takes this poll.")
    context.update_cursor(position)
    return dg.RunRequest(run_key=position)


@dg.sensor(
    job=gap_repair,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="open_gaps",
)
def open_gaps(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Repair one day at a time, the oldest first; the ledger says when a minute is due again."""
    if is_running(context.instance, REPAIR_JOB):
        return dg.SkipReason("The repair before is still going.")
    try:
        days = days_to_repair(settings_module.load())
    except MarketError as error:
        return dg.SkipReason(str(error))
    asked = json.loads(context.cursor or "{}")
    now = datetime.now(UTC)
    recent = {day for day, at in asked.items() if datetime.fromisoformat(at) > now - REPAIR_PAUSE}
    waiting = [day.isoformat() for day in days if day.isoformat() not in recent]
    if not waiting:
        return dg.SkipReason("No missing minute is due to be asked for.")
    context.update_cursor(json.dumps({d: asked[d] for d in recent} | {waiting[0]: now.isoformat()}))
    return dg.RunRequest(partition_key=waiting[0])
