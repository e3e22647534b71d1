"""The day that has passed is audited each night."""

from __future__ import annotations

import dagster as dg

from crypto_pipeline.audit.asset import AUDIT_DAY

AUDIT_JOB = "audit_day"

audit_day = dg.define_asset_job(
    AUDIT_JOB,
    selection=dg.AssetSelection.assets(AUDIT_DAY),
    executor_def=dg.in_process_executor,
    description="Yesterday's books, recounted",
)

every_night = dg.build_schedule_from_partitioned_job(
    audit_day,
    name="audit_of_yesterday",
    hour_of_day=0,
    minute_of_hour=40,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
