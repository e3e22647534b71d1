"""Rows of gold and predictions over some minutes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from crypto_pipeline.gold.schema import CANDLES_1M, MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.gold.volatility import MINUTES_A_YEAR
from crypto_pipeline.predictions.recipe import EWMA, NORMAL_95, PERSISTENCE
from crypto_pipeline.predictions.schema import FORECASTS, HORIZONS
from crypto_pipeline.predictions.transform import FORMULA_VERSION, SEPARATOR
from crypto_pipeline_tests.builders import SOURCE
from crypto_pipeline_tests.fabricated.columns import MICROSECONDS, doubles, instants, table_of
from crypto_pipeline_tests.fabricated.facts import Chunk, Columns
from crypto_pipeline_tests.fabricated.measures import forecast, measured

MODELS = (PERSISTENCE, EWMA)
RETURNS = ("return_1m", "return_5m", "return_1h", "return_24h")
VOLATILITIES = ("volatility_5m", "volatility_1h", "volatility_24h")


def candles(chunk: Chunk) -> pa.Table:
    """The exchange's own candle of each minute, once."""
    taken = dict(chunk.candles)
    columns = taken | {
        "minute_at": taken["open_at"],
        "origin": "exchange",
        "revisions": 1,
        "fact_id": taken["id"],
    }
    return table_of(CANDLES_1M, columns, len(taken["id"]))


def volatility(chunk: Chunk) -> pa.Table:
    found = measured(chunk.history.market, chunk.first, chunk.until)
    counts = found.pop("returns_24h").astype(np.int32)
    columns = _minutes(chunk) | {name: doubles(values) for name, values in found.items()}
    return table_of(VOLATILITY, columns | {"returns_24h": counts}, counts.size)


def summary(chunk: Chunk) -> pa.Table:
    """The market as the chunk's only minute leaves it."""
    found = measured(chunk.history.market, chunk.first, chunk.until)
    hour = found["volatility_1h"].ravel()
    quote = chunk.ticks
    prices = chunk.history.market.ticks(chunk.first, chunk.until)
    ranks = np.argsort(np.argsort(-hour)) + 1
    columns = _minutes(chunk) | {
        **{name: doubles(found[name]) for name in (*RETURNS, *VOLATILITIES)},
        **{name: quote[name] for name in ("bid", "ask", "poll_at")},
        "last": quote["price"],
        "spread_bps": doubles(20_000.0 / prices["price"].astype(np.float64)),
        "volume_24h": doubles(prices["quote_volume_24h"] / 100),
        "volatility_rank": pa.array(ranks.astype(np.int32), mask=~np.isfinite(hour)),
    }
    return table_of(MARKET_SUMMARY, columns, hour.size)


def forecasts(chunk: Chunk) -> pa.Table:
    """What the two formulas say of every origin that has what they need."""
    said = forecast(measured(chunk.history.market, chunk.first, chunk.until), horizons=HORIZONS)
    spoken = np.isfinite(said).ravel()
    shape = said.shape
    minute, coin, horizon, model = (axis.ravel()[spoken] for axis in np.indices(shape))
    minutes = _minutes(chunk)
    row = minute * shape[1] + coin
    ahead = np.asarray(HORIZONS)[horizon]
    variance = said.ravel()[spoken]
    half = np.sqrt(variance) * NORMAL_95
    origin = (chunk.polled() // MICROSECONDS - 60)[minute]
    columns = {
        **{name: minutes[name].take(pa.array(row)) for name in ("symbol", "close")},
        "source": SOURCE,
        "origin_at": instants(origin * MICROSECONDS),
        "horizon_minutes": ahead.astype(np.int32),
        "target_at": instants((origin + 60 * ahead) * MICROSECONDS),
        "id": _ids(chunk, minute, coin, ahead, model),
        "model": pa.array(MODELS).take(pa.array(model)),
        "model_version": FORMULA_VERSION,
        "is_served": model == MODELS.index(EWMA),
        "origin_kind": "exchange",
        "variance": doubles(variance),
        "volatility": doubles(np.sqrt(variance / ahead * MINUTES_A_YEAR)),
        "return_low": doubles(-half),
        "return_high": doubles(half),
        "input_batch": chunk.numbers[minute],
        "date": minutes["date"].take(pa.array(row)),
        "batch": chunk.numbers[minute],
    }
    return table_of(FORECASTS, columns, len(row))


def spoken_in(number: int) -> int:
    """Forecasts of a coin at one minute: a formula is silent until its window is full."""
    windows = sum(number > horizon for horizon in HORIZONS)
    return windows + (len(HORIZONS) if number > 1 else 0)


def _minutes(chunk: Chunk) -> Columns:
    """What each minute of a coin is called in gold."""
    taken = chunk.candles
    return {
        "source": SOURCE,
        "symbol": pa.array(taken["symbol"]),
        "minute_at": taken["open_at"],
        "close": taken["close"],
        "origin": "exchange",
        "date": taken["date"],
        "batch": taken["batch"],
    }


def _ids(chunk: Chunk, *places: np.ndarray) -> list[str]:
    begin = chunk.polled() // MICROSECONDS - 60
    times = [f"{datetime.fromtimestamp(int(at), UTC):%Y-%m-%d %H:%M:%S}" for at in begin]
    symbols = chunk.history.market.symbols
    stems = [
        [SEPARATOR.join(("forecast", SOURCE, symbol, at)) for symbol in symbols] for at in times
    ]
    ends = {
        (horizon, number): f"{SEPARATOR}{horizon}{SEPARATOR}{model}{SEPARATOR}{FORMULA_VERSION}"
        for horizon in HORIZONS
        for number, model in enumerate(MODELS)
    }
    rows = zip(*(place.tolist() for place in places), strict=True)
    return [
        hashlib.sha256((stems[minute][coin] + ends[ahead, model]).encode()).hexdigest()
        for minute, coin, ahead, model in rows
    ]
