from __future__ import annotations

from datetime import timedelta

import dagster as dg

from crypto_pipeline.resources.market import MarketIngest
from crypto_pipeline.stream import asset
from crypto_pipeline.stream.asset_names import INGESTED_ASSETS
from crypto_pipeline.stream.ingest import IngestReport
from crypto_pipeline.stream.ranges import Span
from crypto_pipeline_tests.stream.fakes import START

REPORT = IngestReport(
    poll_at=START,
    is_skipped=False,
    outcome="ok",
    reason=None,
    ticks=20,
    unchanged=1,
    candles=19,
    history_candles=0,
    rejected=0,
    delivered=1,
    spooled=0,
    torn=(),
    offsets={"market.ticks": {0: Span(4, 12), 2: Span(0, 12)}},
    seconds=timedelta(seconds=1).total_seconds(),
)


class FakeIngest(MarketIngest):
    def ingest(self) -> IngestReport:
        return REPORT


def test_one_poll_materialises_every_topic_with_its_own_offsets() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [asset.market_ingest], resources={"market": FakeIngest()}, instance=instance
        )
    assert result.success
    seen = {
        event.materialization.asset_key.path[-1]: event.materialization.metadata
        for event in result.get_asset_materialization_events()
    }
    assert sorted(seen) == sorted(INGESTED_ASSETS)
    assert seen["market_ticks"]["messages"].value == 20
    assert seen["market_ticks"]["offsets"].value == {"0": [4, 12], "2": [0, 12]}
    assert seen["market_candles"]["messages"].value == 0
    assert seen["market_polls"]["outcome"].value == "ok"


def test_every_topic_descends_from_the_market() -> None:
    specs = {spec.key.path[-1]: spec for spec in asset.market_ingest.specs}
    assert set(specs) == set(INGESTED_ASSETS)
    for spec in specs.values():
        assert [dep.asset_key for dep in spec.deps] == [asset.market_api.key]
        assert spec.group_name == "stream"
        assert spec.kinds == {"kafka", "python"}
        assert spec.owners == ["team:market-data"]
        assert spec.metadata["dagster/uri"].startswith("kafka://market.")
