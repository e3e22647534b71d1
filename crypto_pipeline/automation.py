"""What starts by itself: the minute's poll, and a lake cycle after each completed poll."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from crypto_pipeline import settings as settings_module
from crypto_pipeline.alerting.look import lake_alerts, tell
from crypto_pipeline.audit.automation import AUDIT_JOB
from crypto_pipeline.backfill.run import days_to_repair
from crypto_pipeline.contract import topic
from crypto_pipeline.errors import MarketError, StreamError
from crypto_pipeline.maintenance.lake_upkeep import works_due
from crypto_pipeline.resources.alerts import instance_alerts
from crypto_pipeline.stream.waiting import LOOK_SECONDS, next_position

INGESTION_JOB = "ingestion"
CYCLE_JOB = "lake_cycle"
BACKFILL_JOB = "candle_backfill"
REPAIR_JOB = "gap_repair"
UPKEEP_JOB = "lake_upkeep"
HISTORY_JOB = "history_upkeep"

# The queue takes the highest first, 0 where nothing is said, and within one the oldest.
PRIORITY = "dagster/priority"
MAX_RUNTIME = "dagster/max_runtime"
# Seconds; what a whole cycle may take is in deploy/dagster.yaml.
LONGEST_POLL = "600"

# A day that was asked for is looked at again when its candles had the time to reach the ledger.
REPAIR_PAUSE = timedelta(minutes=5)
# A little less than the five seconds after which Dagster asks a sensor again.
HOLD_SECONDS = 4.5
# Seconds of a minute: its cycle is over by then, and a bite of upkeep is before the next poll. One
# that goes on when a poll comes has the pool, and the cycle waits until it ends.
QUIET_SECONDS = range(20, 40)
QUIET_INTERVAL_SECONDS = 15
NOT_QUIET = "Only looked at between two polls."

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
    tags={PRIORITY: "10", MAX_RUNTIME: LONGEST_POLL},
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
    tags={PRIORITY: "5"},
    description="Whatever is new on the topics, through every table to the forecast",
)


candle_backfill = dg.define_asset_job(
    BACKFILL_JOB,
    selection=dg.AssetSelection.assets(["backfill", "candle_backfill"]),
    executor_def=dg.in_process_executor,
    # A range of days must not keep the night's audit and the repair of gaps waiting.
    tags={PRIORITY: "-1"},
    description="A day of the watch-list's candles, fetched anew",
)

gap_repair = dg.define_asset_job(
    REPAIR_JOB,
    selection=dg.AssetSelection.assets(["backfill", "gap_repair"]),
    executor_def=dg.in_process_executor,
    description="What the ledger says is missing of a day, asked for once more",
)


lake_upkeep = dg.define_asset_job(
    UPKEEP_JOB,
    selection=dg.AssetSelection.groups("maintenance")
    - dg.AssetSelection.assets(["maintenance", "dagster_history"]),
    executor_def=dg.in_process_executor,
    description="A bite of maintenance: ranges, compaction, retention, vacuum, counts",
)

history_upkeep = dg.define_asset_job(
    HISTORY_JOB,
    selection=dg.AssetSelection.assets(["maintenance", "dagster_history"]),
    executor_def=dg.in_process_executor,
    description="Dagster's own old runs and events removed",
)


def is_running(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of the job is queued or going: a second one would only wait for it."""
    return bool(
        instance.get_runs(filters=dg.RunsFilter(job_name=job, statuses=UNFINISHED), limit=1)
    )


def is_quiet(now: datetime | None = None) -> bool:
    """Whether this part of the minute belongs to what can wait."""
    return (now or datetime.now(UTC)).second in QUIET_SECONDS


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


# Off the hour, when other schedules start.
every_hour = dg.ScheduleDefinition(
    name="every_hour",
    job=history_upkeep,
    cron_schedule="17 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


@dg.sensor(
    job=lake_cycle,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="completed_polls",
)
def completed_polls(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Start a cycle when a poll record has come: it is published after the last of its ticks.

    Dagster asks each five seconds; the answer is held back while there is nothing to start.
    """
    until = time.monotonic() + HOLD_SECONDS
    try:
        settings = settings_module.load().as_kafka_user("sensor")
        position = next_position(
            settings, topic.POLLS.name, known=context.cursor, seconds=HOLD_SECONDS
        )
    except StreamError as error:
        return dg.SkipReason(str(error))
    if position == context.cursor or position.endswith(":0"):
        return dg.SkipReason("No poll was completed since the last cycle.")
    while is_running(context.instance, CYCLE_JOB):
        if time.monotonic() > until:
            return dg.SkipReason("The cycle before is still going; the next one takes this poll.")
        time.sleep(LOOK_SECONDS)
    context.update_cursor(position)
    return dg.RunRequest(run_key=position)


@dg.sensor(
    job=gap_repair,
    minimum_interval_seconds=QUIET_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="open_gaps",
)
def open_gaps(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Repair one day at a time, the oldest first; the ledger says when a minute is due again."""
    if not is_quiet():
        return dg.SkipReason(NOT_QUIET)
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


@dg.sensor(
    job=lake_upkeep,
    minimum_interval_seconds=QUIET_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="upkeep_due",
)
def upkeep_due(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """A bite when a log says that something is due; what one bite leaves, the next takes."""
    if not is_quiet():
        return dg.SkipReason(NOT_QUIET)
    if is_running(context.instance, UPKEEP_JOB):
        return dg.SkipReason("The bite before is still going.")
    works = works_due(settings_module.load())
    if not works:
        return dg.SkipReason("Nothing is due.")
    return dg.RunRequest(tags={"due": str(len(works)), "first": works[0].kind})


WATCHED_JOBS = (
    INGESTION_JOB,
    CYCLE_JOB,
    BACKFILL_JOB,
    REPAIR_JOB,
    AUDIT_JOB,
    UPKEEP_JOB,
    HISTORY_JOB,
)


@dg.sensor(
    minimum_interval_seconds=QUIET_INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    name="alerts",
)
def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Tell who is to be told of failed runs, stale tables, books and gaps; once each."""
    if not is_quiet():
        return dg.SkipReason(NOT_QUIET)
    settings = settings_module.load()
    if not settings.alerting.is_on:
        return dg.SkipReason("Nobody is to be told: set ALERT_WEBHOOK_URL or ALERT_EMAIL_TO.")
    repository = context.repository_def
    checks = [] if repository is None else sorted(repository.asset_graph.asset_check_keys)
    found = [
        *instance_alerts(context.instance, jobs=WATCHED_JOBS, checks=checks),
        *lake_alerts(settings, now=datetime.now(UTC)),
    ]
    sent = tell(settings, found)
    return dg.SkipReason(f"{len(found)} things are wrong; {len(sent)} messages were sent.")
