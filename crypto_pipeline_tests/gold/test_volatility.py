"""Each measure of a minute against plain arithmetic over the candles of its 24 hours."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from crypto_pipeline.audit import expected as recomputed
from crypto_pipeline.audit.gold_account import MEASURES
from crypto_pipeline.gold import volatility
from crypto_pipeline.gold.schema import CANDLES_1M, VOLATILITY
from crypto_pipeline_tests.builders import AT, ETH, MINUTE, Given, Row, frame, gold_candle, read

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

YEAR = 525_600
SPAN = 1500


def walk(count: int, *, seed: int, skip: Sequence[int] = (), until: datetime = AT) -> list[Row]:
    """Candles of a random walk that ends at `until`; minutes back in `skip` are missing."""
    chance = random.Random(seed)
    price, rows = 100.0, []
    for back in range(count - 1, -1, -1):
        first, price = price, price * math.exp(chance.gauss(0, 1e-3))
        high = max(first, price) * (1 + abs(chance.gauss(0, 3e-4)))
        low = min(first, price) * (1 - abs(chance.gauss(0, 3e-4)))
        if back in skip:
            continue
        o, h, lo, c = (Decimal(f"{x:.8f}") for x in (first, high, low, price))
        rows.append(gold_candle(until - back * MINUTE, close=str(c), open=o, high=h, low=lo))
    return rows


def returns(rows: list[Row], minutes: int, at: datetime) -> list[float]:
    """Log returns of the minutes that end by `at`, only where the minute before is there."""
    close = {row["minute_at"]: float(row["close"]) for row in rows}
    moments = [at - n * MINUTE for n in range(minutes)]
    return [
        math.log(close[m] / close[m - MINUTE])
        for m in moments
        if m in close and m - MINUTE in close
    ]


def measured(rows: Sequence[Row]) -> list[Row]:
    """What earlier batches have said of candles, as far as later ones ask."""
    close = {row["minute_at"]: float(row["close"]) for row in rows}
    names = ("source", "symbol", "minute_at", "close", "origin", "date")
    found = []
    for row in rows:
        at = row["minute_at"]
        before = close.get(at - MINUTE)
        change = None if before is None else math.log(close[at] / before)
        found.append({**{name: row[name] for name in names}, "return_1m": change})
    return found


def newest(spark: SparkSession, rows: list[Row], *, touched: int = 1) -> list[Row]:
    """The rows that a batch of the last `touched` candles writes, oldest first."""
    new = rows[-touched:]
    known = {CANDLES_1M: rows, VOLATILITY: measured(rows[:-touched])}
    result = volatility.run(Given(spark)(new={CANDLES_1M: new}, known=known))
    found = read(result.outputs[VOLATILITY.key], order=("symbol", "minute_at"))
    for cached in result.cached:
        cached.unpersist()
    return found


def test_every_measure_equals_its_definition(spark: SparkSession) -> None:
    seed = random.SystemRandom().randrange(2**31)
    print(f"seed {seed}")  # noqa: T201 - a failure must be reproducible
    rows = walk(SPAN, seed=seed)
    (row,) = newest(spark, rows)
    close = [float(r["close"]) for r in rows]
    day = returns(rows, 1440, AT)
    weights = [0.94**age for age in range(1440)]
    hour = rows[-60:]
    hl2 = [math.log(float(r["high"]) / float(r["low"])) ** 2 for r in hour]
    co2 = [math.log(float(r["close"]) / float(r["open"])) ** 2 for r in hour]
    ranges = [
        max(float(r["high"]), before) - min(float(r["low"]), before)
        for r, before in zip(rows[-14:], close[-15:-1], strict=True)
    ]
    middle, deviation = statistics.fmean(close[-20:]), statistics.pstdev(close[-20:])
    gk = statistics.fmean(hl2) / 2 - (2 * math.log(2) - 1) * statistics.fmean(co2)
    expected = {
        **{f"return_{n}": math.log(close[-1] / close[-1 - m]) for n, m in LAGS.items()},
        **{f"variance_{n}": sum(r * r for r in day[:m]) for n, m in WINDOWS.items()},
        "volatility_5m": math.sqrt(sum(r * r for r in day[:5]) * YEAR / 5),
        "volatility_1h": math.sqrt(sum(r * r for r in day[:60]) * YEAR / 60),
        "volatility_24h": math.sqrt(sum(r * r for r in day) * YEAR / 1440),
        "ewma": math.sqrt(
            sum(w * r * r for w, r in zip(weights, day, strict=True)) / sum(weights) * YEAR
        ),
        "parkinson_1h": math.sqrt(statistics.fmean(hl2) / (4 * math.log(2)) * YEAR),
        "garman_klass_1h": math.sqrt(max(gk, 0) * YEAR),
        "atr_14": statistics.fmean(ranges),
        "bollinger_middle": middle,
        "bollinger_upper": middle + 2 * deviation,
        "bollinger_lower": middle - 2 * deviation,
        "bollinger_width": 4 * deviation / middle,
        "z_score": day[0] / statistics.stdev(day[:60]),
        "returns_24h": 1440,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-9)


LAGS = {"1m": 1, "5m": 5, "1h": 60, "24h": 1440}
WINDOWS = {"5m": 5, "15m": 15, "60m": 60, "24h": 1440}


def test_a_missing_minute_leaves_out_what_needs_it_and_scales_the_day(spark: SparkSession) -> None:
    rows = walk(SPAN, seed=5, skip=(30,))
    (row,) = newest(spark, rows)
    day = returns(rows, 1440, AT)
    assert len(day) == 1438
    assert row["returns_24h"] == 1438
    assert (row["variance_60m"], row["volatility_1h"]) == (None, None)
    assert row["variance_15m"] == pytest.approx(sum(r * r for r in day[:15]), rel=1e-9)
    assert row["variance_24h"] == pytest.approx(sum(r * r for r in day) * 1440 / 1438, rel=1e-9)


def test_a_day_with_too_many_holes_has_no_day_measure(spark: SparkSession) -> None:
    (row,) = newest(spark, walk(SPAN, seed=6, skip=range(100, 260)))
    assert (row["variance_24h"], row["volatility_24h"]) == (None, None)
    assert row["variance_60m"] is not None


def test_a_sampled_candle_has_no_range(spark: SparkSession) -> None:
    rows = [{**row, "origin": "sampled"} for row in walk(100, seed=7)]
    (row,) = newest(spark, rows)
    assert (row["parkinson_1h"], row["garman_klass_1h"], row["atr_14"]) == (None, None, None)
    assert row["variance_60m"] is not None


def test_a_coin_that_does_not_move_has_zero_volatility_and_no_z_score(spark: SparkSession) -> None:
    rows = [gold_candle(AT - n * MINUTE) for n in range(70, -1, -1)]
    (row,) = newest(spark, rows)
    assert (row["variance_60m"], row["ewma"], row["z_score"]) == (0.0, 0.0, None)


def test_the_first_candle_of_a_coin_has_a_row_without_returns(spark: SparkSession) -> None:
    (row,) = newest(spark, [gold_candle()])
    assert (row["return_1m"], row["variance_5m"], row["returns_24h"]) == (None, None, 0)


def test_a_late_candle_moves_the_minutes_after_it_and_no_other_coin(spark: SparkSession) -> None:
    others = [{**row, "symbol": ETH} for row in walk(30, seed=8)]
    rows = walk(30, seed=9)
    late = rows[10]
    missed = [*rows[:10], *rows[11:]]
    known = {CANDLES_1M: [*rows, *others], VOLATILITY: [*measured(missed), *measured(others)]}
    given = Given(spark)(new={CANDLES_1M: [late]}, known=known)
    result = volatility.run(given)
    found = read(result.outputs[VOLATILITY.key], "symbol", "minute_at")
    for cached in result.cached:
        cached.unpersist()
    expected = {f"{row['minute_at']:%Y-%m-%dT%H:%M}" for row in rows[10:]}
    assert {row["minute_at"][:16] for row in found} == expected
    assert len(found) == 20
    assert {row["symbol"] for row in found} == {late["symbol"]}


def test_an_old_candle_beside_a_live_one_moves_its_own_day_and_no_day_between(
    spark: SparkSession,
) -> None:
    # The old stretch goes over midnight.
    old = walk(30, seed=11, until=datetime(2026, 11, 18, 0, 10, tzinfo=UTC))
    between = walk(30, seed=12, until=AT - timedelta(days=3))
    live = walk(30, seed=13)
    late, newest_one, rows = old[10], live[-1], [*old, *between, *live]
    before = measured([row for row in rows if row not in (late, newest_one)])
    result = volatility.run(
        Given(spark)(
            new={CANDLES_1M: [late, newest_one]},
            known={CANDLES_1M: rows, VOLATILITY: before},
        )
    )
    found = read(result.outputs[VOLATILITY.key], order=("minute_at",))
    part = result.slices[VOLATILITY.key]
    kept = {row["minute_at"][:10] for row in read(part.kept, "minute_at")}
    for cached in result.cached:
        cached.unpersist()

    moved = [f"{row['minute_at']:%Y-%m-%dT%H:%M}" for row in [*old[10:], newest_one]]
    assert [row["minute_at"][:16] for row in found] == moved
    assert str(between[0]["date"]) not in part.predicate
    assert "'2026-11-17', '2026-11-18'" in part.predicate
    assert kept == {f"{AT:%Y-%m-%d}"}, "what is not moved of a touched day stays"
    candles = frame(spark, CANDLES_1M, rows)
    whole = {row["minute_at"]: row for row in read(recomputed.volatility(candles, candles))}
    for row in found:
        wanted = {name: whole[row["minute_at"]][name] for name in MEASURES}
        known = {name: value for name, value in wanted.items() if value is not None}
        assert {name: row[name] for name in known} == pytest.approx(known, rel=1e-9, abs=1e-12)
        assert [row[name] for name in wanted if name not in known] == [None] * (
            len(wanted) - len(known)
        )


def test_a_late_candle_looks_at_a_day_for_each_minute_that_it_moves(spark: SparkSession) -> None:
    live = Given(spark)(new={CANDLES_1M: [gold_candle()]}, before={CANDLES_1M: AT - MINUTE})
    assert volatility.looks(live, AT) == 1440
    assert volatility.looks(live, AT - 6 * MINUTE) == 6 * 1440
    assert volatility.looks(live, AT - timedelta(days=9)) == 1441 * 1440


def test_measures_do_not_see_what_comes_after(spark: SparkSession) -> None:
    rows = walk(120, seed=10)
    later = [gold_candle(AT + timedelta(minutes=n), close="1") for n in range(1, 6)]
    (row,) = newest(spark, rows)
    known = {CANDLES_1M: [*rows, *later], VOLATILITY: measured(rows[:-1])}
    result = volatility.run(Given(spark)(new={CANDLES_1M: rows[-1:]}, known=known))
    found = read(result.outputs[VOLATILITY.key], order=("minute_at",))
    for cached in result.cached:
        cached.unpersist()
    assert found[0] == row
