"""The stream on the asset graph: the market's API, and the four topics that a poll writes."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from crypto_pipeline.contract.topic import CANDLES, INGESTED, POLLS, REJECTED, TICKS, Topic
from crypto_pipeline.resources.market import MarketIngest
from crypto_pipeline.stream.asset_names import asset_name
from crypto_pipeline.stream.ingest import IngestReport

OWNERS = ["team:market-data"]

market_api = dg.AssetSpec(
    ["source", "market_api"],
    group_name="source",
    kinds={"api"},
    owners=OWNERS,
    description="The exchange that is polled: live, simulated or recorded, as MARKET says",
)


def topic_spec(topic: Topic, description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        ["stream", asset_name(topic)],
        deps=[market_api.key],
        group_name="stream",
        kinds={"kafka", "python"},
        owners=OWNERS,
        description=description,
        metadata={"dagster/uri": f"kafka://{topic.name}", "partitions": topic.partitions},
    )


@dg.multi_asset(
    name="market_ingest",
    specs=[
        topic_spec(TICKS, "One message a symbol and poll: the venue's snapshot, verbatim too"),
        topic_spec(CANDLES, "Closed exchange minutes, and the hours before the first poll"),
        topic_spec(POLLS, "One record a poll, published after the last ack of its facts"),
        topic_spec(REJECTED, "Bodies and rows that gave no tick and no candle, verbatim"),
    ],
)
def market_ingest(market: MarketIngest) -> Iterator[dg.MaterializeResult[None]]:
    report = market.ingest()
    for topic in INGESTED:
        yield dg.MaterializeResult(
            asset_key=["stream", asset_name(topic)], metadata=describe(report, topic)
        )


def describe(report: IngestReport, topic: Topic) -> dict[str, dg.MetadataValue]:
    """The whole poll's counts on each topic, with the offsets that are the topic's own."""
    spans = report.offsets.get(topic.name, {})
    offsets = {str(number): list(span) for number, span in sorted(spans.items())}
    return {
        "messages": dg.MetadataValue.int(sum(span.end - span.beginning for span in spans.values())),
        "offsets": dg.MetadataValue.json(offsets),
        "poll_at": dg.MetadataValue.timestamp(report.poll_at),
        "outcome": dg.MetadataValue.text(report.outcome or "skipped"),
        "venue": dg.MetadataValue.text(report.venue or ""),
        "reason": dg.MetadataValue.text(report.reason or ""),
        "ticks": dg.MetadataValue.int(report.ticks),
        "unchanged": dg.MetadataValue.int(report.unchanged),
        "candles": dg.MetadataValue.int(report.candles),
        "history_candles": dg.MetadataValue.int(report.history_candles),
        "rejected": dg.MetadataValue.int(report.rejected),
        "polls_delivered": dg.MetadataValue.int(report.delivered),
        "polls_spooled": dg.MetadataValue.int(report.spooled),
        "torn": dg.MetadataValue.json(list(report.torn)),
        "seconds": dg.MetadataValue.float(report.seconds),
    }
