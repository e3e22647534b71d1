"""The pruning of Dagster's history as a resource: how long is kept comes from the settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from crypto_pipeline import settings as settings_module
from crypto_pipeline.resources.dagster_history import History


class HistoryUpkeep(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings come at run time, so a code location that stays loaded follows `.env`."""

    def prune(self, instance: dg.DagsterInstance) -> dg.MaterializeResult[None]:
        days = settings_module.load().keeping.dagster_days
        before = datetime.now(UTC) - timedelta(days=days)
        pruned = History(instance).prune(before=before)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": dg.MetadataValue.int(pruned.runs),
                "checks": dg.MetadataValue.int(pruned.checks),
                "events": dg.MetadataValue.int(pruned.events),
                "seconds": dg.MetadataValue.float(pruned.seconds),
                "finished": dg.MetadataValue.bool(pruned.is_finished),
                "kept_since": dg.MetadataValue.timestamp(before),
            }
        )
