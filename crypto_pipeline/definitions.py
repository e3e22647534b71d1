"""The composition root: assets, checks, automation and the resources they run with."""

from __future__ import annotations

import dagster as dg

from crypto_pipeline import automation
from crypto_pipeline.audit import asset as audit
from crypto_pipeline.audit import automation as audit_automation
from crypto_pipeline.backfill import asset as backfill
from crypto_pipeline.bronze import asset as bronze
from crypto_pipeline.gold import asset as gold
from crypto_pipeline.holding.checks import no_source_is_held
from crypto_pipeline.maintenance import asset as maintenance
from crypto_pipeline.predictions import asset as predictions
from crypto_pipeline.raw import asset as raw
from crypto_pipeline.resources.day_work import DayWork
from crypto_pipeline.resources.history_upkeep import HistoryUpkeep
from crypto_pipeline.resources.lake import LakeResource
from crypto_pipeline.resources.market import MarketIngest
from crypto_pipeline.resources.specs import FRESHNESS
from crypto_pipeline.resources.upkeep import UpkeepResource
from crypto_pipeline.silver import asset as silver
from crypto_pipeline.stream import asset as stream

STAGE_MODULES = (stream, raw, bronze, silver, gold, predictions, backfill, audit, maintenance)

# Fitted, scored and decided less often; everything else is new each minute.
SLOW = tuple(dg.AssetKey(["predictions", name]) for name in ("models", "scores", "gates"))
# Nobody waits for these: they are run when something is missing.
ON_DEMAND = ("backfill", "audit", "maintenance")


@dg.definitions
def defs() -> dg.Definitions:
    found = dg.Definitions(
        assets=[stream.market_api, *dg.load_assets_from_modules(STAGE_MODULES), DASHBOARD],
        asset_checks=[no_source_is_held],
        jobs=[
            automation.ingestion,
            automation.lake_cycle,
            automation.gap_repair,
            automation.candle_backfill,
            automation.lake_upkeep,
            automation.history_upkeep,
            audit_automation.audit_day,
        ],
        schedules=[
            automation.every_minute,
            automation.every_hour,
            audit_automation.every_night,
        ],
        sensors=[
            automation.completed_polls,
            automation.open_gaps,
            automation.upkeep_due,
            automation.alerts,
        ],
        resources={
            "lake": LakeResource(),
            "market": MarketIngest(),
            "day_work": DayWork(),
            "upkeep": UpkeepResource(),
            "history": HistoryUpkeep(),
        },
    )
    return found.permissive_map_resolved_asset_specs(
        func=_with_freshness, selection=dg.AssetSelection.all().materializable()
    )


DASHBOARD = dg.AssetSpec(
    key=["dashboard", "live"],
    deps=[
        dg.AssetKey(["stream", name])
        for name in (
            "market_ticks",
            "market_candles",
            "market_polls",
            "market_summary",
            "market_forecasts",
            "pipeline_status",
        )
    ],
    group_name="dashboard",
    kinds={"streamlit"},
    description="The live page; it reads topics only",
    owners=["team:market-data"],
)


def _with_freshness(spec: dg.AssetSpec) -> dg.AssetSpec:
    if spec.key in SLOW or spec.group_name in ON_DEMAND:
        return spec
    return spec.replace_attributes(freshness_policy=FRESHNESS)
