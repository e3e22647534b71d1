"""The audit finds nothing in a sound lake, and names each row that was tampered with."""

from __future__ import annotations

from pathlib import Path

import pytest

from crypto_pipeline.audit.command import summary
from crypto_pipeline.audit.run import Audit, audit
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.stages import TABLES
from crypto_pipeline_tests.books.market import copied

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]


def named(found: Audit) -> set[tuple[str, str]]:
    return {(one.table, one.what) for one in found.differences}


def one(lake: Lake, key: str, where: str) -> str:
    """A condition that holds for one row of a table, of those that meet another."""
    names = KEYS.get(key.split("/")[0], ("topic", "partition", "offset"))
    columns = ", ".join(f"CAST(`{name}` AS STRING) AS `{name}`" for name in names)
    rows = lake.spark.sql(
        f"SELECT {columns} FROM delta.`{lake.root}/{key}` WHERE {where} ORDER BY ALL LIMIT 1"
    ).collect()
    return " AND ".join(f"CAST(`{name}` AS STRING) = '{rows[0][name]}'" for name in names)


KEYS = {"gold": ("symbol", "minute_at"), "predictions": ("id",)}
BTC, ETH = "symbol = 'BTC-USDT'", "symbol = 'ETH-USDT'"
# No row of one layer follows from one that is tampered with in another.
DROPPED = {
    "raw/records": "topic = 'market.polls' AND CAST(value AS STRING) LIKE '%10:06:00%'",
    "bronze/candles": f"{BTC} AND open_at = '2026-11-23T10:04:00Z'",
    "bronze/rejected": "reason = 'not_json'",
    "silver/ticks": f"{ETH} AND poll_at = '2026-11-23T10:05:00Z'",
    "silver/set_aside": "reason = 'too_late'",
    "gold/candles_1m": f"{ETH} AND minute_at = '2026-11-23T10:05:00Z'",
    "gold/volatility": f"{ETH} AND minute_at = '2026-11-23T10:04:00Z'",
    "gold/market_summary": ETH,
    "predictions/forecasts": f"{ETH} AND origin_at = '2026-11-23T10:05:00Z'",
}
DOUBLED = {
    "raw/records": "topic = 'market.rejected' OR CAST(value AS STRING) = 'not a record'",
    "bronze/ticks": f"{BTC} AND poll_at = '2026-11-23T10:05:00Z'",
    "silver/candles": f"{ETH} AND open_at = '2026-11-23T10:04:00Z'",
    "silver/set_aside": "reason = 'conflict'",
    "gold/candles_1m": f"{BTC} AND minute_at = '2026-11-23T10:04:00Z'",
    "gold/volatility": f"{BTC} AND minute_at = '2026-11-23T10:04:00Z'",
    "gold/market_summary": BTC,
    "predictions/forecasts": f"{ETH} AND origin_at = '2026-11-23T10:11:00Z'",
}


def tamper(lake: Lake) -> None:
    """Drop, double and reclassify rows in each layer."""
    table = {key: f"delta.`{lake.root}/{key}`" for key in {*DROPPED, *DOUBLED}}
    other_topic = one(lake, "bronze/candles", f"{BTC} AND open_at = '2026-11-23T10:05:00Z'")
    moved = one(lake, "bronze/ticks", f"{ETH} AND poll_at = '2026-11-23T10:06:00Z'")
    changes = [f"DELETE FROM {table[k]} WHERE {one(lake, k, w)}" for k, w in DROPPED.items()]
    changes += [
        f"INSERT INTO {table[k]} SELECT * FROM {table[k]} WHERE {one(lake, k, w)}"
        for k, w in DOUBLED.items()
    ]
    changes += [
        f"UPDATE {table['raw/records']} SET topic = 'market.ticks' WHERE {other_topic}",
        f"""INSERT INTO {table["bronze/rejected"]} SELECT 'bad_number', 'made up', source,
        CAST('x' AS BINARY), 1, topic, epoch, `partition`, `offset`, broker_at,
        CAST(broker_at AS DATE), batch FROM {table["bronze/ticks"]} WHERE {moved}""",
        f"DELETE FROM {table['bronze/ticks']} WHERE {moved}",
        f"UPDATE {table['silver/set_aside']} SET reason = 'conflict' WHERE reason = 'duplicate'",
        f"UPDATE {table['gold/candles_1m']} SET origin = 'sampled' "
        f"WHERE {BTC} AND minute_at = '2026-11-23T10:06:00Z'",
        f"UPDATE {table['gold/volatility']} SET ewma = ewma * 1.00001 "
        f"WHERE {BTC} AND minute_at = '2026-11-23T10:05:00Z'",
        f"UPDATE {table['predictions/forecasts']} SET is_served = true, model_version = 'another' "
        f"WHERE {BTC} AND NOT is_served AND horizon_minutes = 5",
    ]
    for words in changes:
        lake.spark.sql(words).collect()


def test_sound_books_balance_and_each_tampered_row_is_named(
    books: StageRunner, tmp_path: Path
) -> None:
    """One lake for all of it, and compacted: one for each layer would take minutes."""
    lake = copied(books, tmp_path / "lake").lake
    for table in (t for t in TABLES if log.open_table(lake.path(t))):
        lake.spark.sql(f"OPTIMIZE delta.`{lake.path(table)}`").collect()
    sound = audit(lake)
    assert sound.differences == ()
    assert sound.is_clean
    assert "no difference" in summary(sound)
    lines = {line.stage: dict(line.outcomes) for line in sound.lines}
    assert lines["bronze"] == {"ticks": 20, "candles": 20, "polls": 9, "rejected": 3}
    assert lines["silver"] == {
        "ticks": 17, "candles": 20, "duplicate": 1, "conflict": 1, "too_late": 1, "polls": 9,
    }  # fmt: skip

    tamper(lake)
    found = audit(lake)
    assert not found.is_clean
    assert "raw/records" in summary(found)
    reason = {"silver/set_aside": "too_late"}
    recounted = DROPPED.keys() - {"predictions/forecasts"}
    assert {(k, f"missing ({reason[k]})" if k in reason else "missing") for k in recounted} | {
        (k, "doubled (conflict)" if k in reason else "doubled") for k in DOUBLED
    } | {
        ("silver/candles", "id twice"),
        ("bronze/candles", "unexpected"),
        ("bronze/ticks", "missing"),
        ("bronze/rejected", "unexpected"),
        ("silver/set_aside", "missing (duplicate)"),
        ("silver/set_aside", "unexpected (conflict)"),
        ("gold/candles_1m", "altered"),
        ("gold/volatility", "altered (ewma)"),
        ("predictions/forecasts", "not what the commit counts"),
        ("predictions/forecasts", "altered (id)"),
        ("predictions/forecasts", "two are served"),
    } <= named(found)
    # The record that was put on another topic: nothing else of this one was touched.
    assert any(
        d.table == "raw/records" and "market.candles" in d.example for d in found.differences
    )
