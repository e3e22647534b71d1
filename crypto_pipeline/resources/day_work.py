"""Work about a day as Dagster sees it: a partition is a day, UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from crypto_pipeline import settings as settings_module
from crypto_pipeline.audit.run import Audit, audit
from crypto_pipeline.backfill import run
from crypto_pipeline.errors import TransientMarketError
from crypto_pipeline.pipeline import reading_lake

NO_DIFFERENCE = "no_difference"


class DayWork(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings come at run time, so a code location that stays loaded follows `.env`."""

    def backfill(self, day: str) -> dg.MaterializeResult[None]:
        settings = settings_module.load()
        return _result(run.backfill(settings, run.day_job(settings, date.fromisoformat(day))))

    def repair(self, day: str) -> dg.MaterializeResult[None]:
        return _result(run.repair_day(settings_module.load(), date.fromisoformat(day)))

    def audit(self, day: str) -> dg.MaterializeResult[None]:
        start = datetime.combine(date.fromisoformat(day), time(), UTC)
        with reading_lake(settings_module.load(), role="auditor") as lake:
            return _audited(audit(lake, start=start, end=start + timedelta(days=1)))


def _result(report: run.Report) -> dg.MaterializeResult[None]:
    """Raises TransientMarketError when something got no answer: the run is to be repeated."""
    if report.left:
        raise TransientMarketError(
            f"{report.candles:,} candles came; no answer for {'; '.join(report.left[:5])}. Run "
            "it again: it asks for what is left."
        )
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": dg.MetadataValue.int(report.candles),
            "minutes": dg.MetadataValue.int(report.minutes),
            "rejected": dg.MetadataValue.int(report.rejected),
            "requests_in_parts": dg.MetadataValue.int(report.parts),
            "beyond_the_venue": dg.MetadataValue.int(report.beyond),
        }
    )


def _audited(found: Audit) -> dg.MaterializeResult[None]:
    """The books as metadata and the differences as a check, which fails on any."""
    columns = [dg.TableColumn(name=n) for n in ("table", "what", "rows", "first")]
    records = [
        dg.TableRecord({"table": d.table, "what": d.what, "rows": d.rows, "first": d.example})
        for d in found.differences
    ]
    schema = dg.TableSchema(columns=columns)
    return dg.MaterializeResult(
        metadata={
            "rows_in": {line.stage: line.rows_in for line in found.lines},
            "outcomes": {line.stage: dict(line.outcomes) for line in found.lines},
            "seconds": found.seconds,
        },
        check_results=[
            dg.AssetCheckResult(
                check_name=NO_DIFFERENCE,
                passed=found.is_clean,
                description=f"{len(found.differences)} kinds of difference",
                metadata={"differences": dg.MetadataValue.table(records, schema)},
            )
        ],
    )
