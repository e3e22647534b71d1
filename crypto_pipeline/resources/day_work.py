"""Backfill and repair as Dagster sees them: a partition is a day, UTC."""

from __future__ import annotations

from datetime import date

import dagster as dg

from crypto_pipeline import settings as settings_module
from crypto_pipeline.backfill import run
from crypto_pipeline.errors import TransientMarketError


class DayWork(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings come at run time, so a code location that stays loaded follows `.env`."""

    def backfill(self, day: str) -> dg.MaterializeResult[None]:
        settings = settings_module.load()
        return _result(run.backfill(settings, run.day_job(settings, date.fromisoformat(day))))

    def repair(self, day: str) -> dg.MaterializeResult[None]:
        return _result(run.repair_day(settings_module.load(), date.fromisoformat(day)))


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
