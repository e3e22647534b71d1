"""The asset graph, as a snapshot: it cannot change by accident."""

from __future__ import annotations

import json
from graphlib import TopologicalSorter
from typing import Any

import dagster as dg

from crypto_pipeline.definitions import defs
from crypto_pipeline.stages import TABLES
from crypto_pipeline_tests.conftest import ROOT

SNAPSHOT = ROOT / "crypto_pipeline_tests" / "architecture" / "graph.json"


def graph() -> dict[str, Any]:
    repository = defs().get_repository_def()
    assets = repository.asset_graph
    return {
        "assets": {
            key.to_user_string(): sorted(p.to_user_string() for p in assets.get(key).parent_keys)
            for key in sorted(assets.get_all_asset_keys(), key=lambda k: k.path)
        },
        "checks": sorted(
            f"{key.asset_key.to_user_string()}: {key.name}" for key in assets.asset_check_keys
        ),
        "jobs": sorted(name for name in repository.job_names if not name.startswith("__")),
        "schedules": {s.name: s.cron_schedule for s in repository.schedule_defs},
        "sensors": sorted(s.name for s in repository.sensor_defs),
    }


def test_the_graph_is_the_one_that_was_agreed() -> None:
    assert graph() == json.loads(SNAPSHOT.read_text())


def test_every_table_is_an_asset_with_its_columns() -> None:
    assets = defs().get_repository_def().asset_graph
    for table in TABLES:
        node = assets.get(dg.AssetKey([table.layer, table.name]))
        schema = node.metadata["dagster/column_schema"]
        assert [c.name for c in schema.columns] == list(table.columns)


def test_every_asset_says_whose_it_is_and_what() -> None:
    assets = defs().get_repository_def().asset_graph
    for key in assets.get_all_asset_keys():
        node = assets.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.group_name != "default", key
        assert node.kinds, key


def test_the_market_leads_to_the_dashboard() -> None:
    parents = graph()["assets"]
    seen, wave = set(), {"dashboard/live"}
    while wave:
        seen |= wave
        wave = {p for key in wave for p in parents[key]} - seen
    assert {"source/market_api", "stream/market_ticks", "gold/market_summary"} <= seen
    assert "predictions/forecasts" in seen


def test_the_groups_have_an_order() -> None:
    """The page of the whole graph draws groups; a circle among them reads as nonsense."""
    assets = defs().get_repository_def().asset_graph
    after = {
        (assets.get(parent).group_name, assets.get(key).group_name)
        for key in assets.get_all_asset_keys()
        for parent in assets.get(key).parent_keys
    }
    order = TopologicalSorter(
        {g: {first for first, then in after if then == g and first != g} for _, g in after}
    )
    assert set(order.static_order()) == {group for pair in after for group in pair}


def test_schedule_and_sensor_start_by_themselves() -> None:
    repository = defs().get_repository_def()
    assert all(
        s.default_status is dg.DefaultScheduleStatus.RUNNING for s in repository.schedule_defs
    )
    assert all(s.default_status is dg.DefaultSensorStatus.RUNNING for s in repository.sensor_defs)
