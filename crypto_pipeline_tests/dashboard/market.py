"""A small market for the dashboard's tests: records as the topics carry them, and a fake tail."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.message import MarketKind, format_time
from crypto_pipeline.contract.poll import PollRecord
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.stream.tail import TailRecord, TailState, TailStatus
from dashboard.feed import Feed

NOW = datetime(2026, 11, 23, 10, 5, 10, tzinfo=UTC)
MINUTE = NOW.replace(second=0)
SOURCE = "simulator:binance:7"
PRICES = {"BTC-USDT": "87654.32000000", "PEPE-USDT": "0.00000614", "DUST-USDT": "0.0000000012"}


class FakeTail:
    """A tail whose state a test sets; records are handed over with `Feed.take`."""

    def __init__(self, state: TailState, *, since: datetime, reason: str | None = None) -> None:
        self.status = TailStatus(state=state, since=since, reason=reason)

    def start(self) -> None: ...

    def stop(self) -> None:
        self.status = TailStatus(state="stopped", since=self.status.since)


def make_feed(
    *records: TailRecord,
    state: TailState = "live",
    now: datetime = NOW,
    reason: str | None = None,
    byte_limit: int = 50_000_000,
) -> Feed:
    tail = FakeTail(state, since=now - timedelta(seconds=42), reason=reason)
    feed = Feed(lambda _: tail, broker="127.0.0.1:9092", byte_limit=byte_limit)
    for record in records:
        feed.take(record)
    return feed


def record(topic: str, value: Any, *, at: datetime = NOW, key: str = "") -> TailRecord:
    """One record; `value` is a payload or None."""
    return TailRecord(
        topic=topic, partition=0, offset=0, broker_at=at, key=key, value=value, size=len(str(value))
    )


def tick(
    symbol: str = "BTC-USDT",
    *,
    price: str | None = None,
    at: datetime = NOW,
    market: MarketKind = "simulated",
    source: str = SOURCE,
    venue: str = "binance",
) -> TailRecord:
    minute = at.replace(second=0, microsecond=0)
    made = Tick(
        market=market, source=source, venue=venue, symbol=symbol, poll_at=minute,
        observed_at=at, event_at=None, price=Decimal(price or PRICES.get(symbol, "1.5")),
        bid=None, ask=None, bid_size=None, ask_size=None, open_24h=None, high_24h=None,
        low_24h=None, volume_24h=None, quote_volume_24h=None, market_cap=None,
        trades_24h=None, mark=None,
        is_unchanged=False, endpoint="ticker/24hr", record="{}",
    )  # fmt: skip
    return record("market.ticks", made.payload(), at=at, key=made.key.decode())


def candle(
    symbol: str = "BTC-USDT",
    *,
    open_at: datetime = MINUTE,
    close: str = "1.5",
    observed_at: datetime | None = None,
    source: str = SOURCE,
) -> TailRecord:
    number = Decimal(close)
    made = Candle(
        market="simulated", source=source, venue="binance", symbol=symbol, open_at=open_at,
        observed_at=observed_at or open_at + timedelta(seconds=65), event_at=None,
        open=number * Decimal("0.9995"), high=number * Decimal("1.001"),
        low=number * Decimal("0.999"), close=number, volume=Decimal("12.5"), quote_volume=None,
        trades=3, is_backfill=False, endpoint="klines", record="[]",
    )  # fmt: skip
    return record("market.candles", made.payload(), key=made.key.decode())


def summary(
    symbol: str = "BTC-USDT", *, now: datetime = NOW, source: str = SOURCE, **changes: Any
) -> TailRecord:
    minute = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    price = float(PRICES.get(symbol, "1.5"))
    value = {
        "schema_version": 1, "kind": "summary", "id": "s", "market": "simulated",
        "source": source, "symbol": symbol, "minute_at": format_time(minute),
        "last": PRICES.get(symbol, "1.5"), "bid": None, "ask": None, "spread_bps": 1.2,
        "return_1m": 0.001, "return_5m": -0.002, "return_1h": 0.01, "return_24h": -0.05,
        "volume_24h": 1e6, "volatility_5m": 0.5, "volatility_1h": 0.6, "volatility_24h": 0.7,
        "volatility_rank": 1,
        "recent": [
            {
                "minute_at": format_time(minute - timedelta(minutes=back)),
                "middle": price, "upper": price * 1.003, "lower": price * 0.997,
                "volatility_1h": 0.6 + 0.1 * math.sin(back / 30),
            }
            for back in range(359, -1, -1)
        ],
        **changes,
    }  # fmt: skip
    return record("market.summary", value, at=now, key=f"{source}|{symbol}")


def forecast(
    symbol: str = "BTC-USDT",
    *,
    minutes: int = 60,
    now: datetime = NOW,
    model: str = "har_pooled",
    is_served: bool = True,
    source: str = SOURCE,
) -> TailRecord:
    origin = now.replace(second=0, microsecond=0) - timedelta(minutes=1)
    price, width = float(PRICES.get(symbol, "1.5")), 0.001 * math.sqrt(minutes)
    value = {
        "schema_version": 1, "kind": "forecast", "id": "f", "market": "simulated",
        "source": source, "symbol": symbol, "origin_at": format_time(origin),
        "target_at": format_time(origin + timedelta(minutes=minutes)),
        "horizon_minutes": minutes, "model": model, "model_version": "1",
        "is_served": is_served, "price": PRICES.get(symbol, "1.5"), "variance": 1e-6,
        "volatility": 0.65, "return_low": -width, "return_high": width,
        "price_low": price * (1 - width), "price_high": price * (1 + width),
    }  # fmt: skip
    return record("market.forecasts", value, at=now, key=f"{source}|{symbol}|{minutes}|{model}")


def status(stage: str = "gold", *, at: datetime = NOW, **changes: Any) -> TailRecord:
    value = {
        "schema_version": 1, "kind": "status", "stage": stage, "market": "simulated",
        "batch": 12, "version": 11, "rows_in": 40, "rows_out": 40, "rejected": 0,
        "seconds": 1.2, "newest_fact_at": format_time(at), "committed_at": format_time(at),
        **changes,
    }  # fmt: skip
    return record("pipeline.status", value, at=at, key=stage)


def poll(*, at: datetime = NOW) -> TailRecord:
    made = PollRecord(
        market="simulated", source=SOURCE, venue="binance", poll_at=at, started_at=at,
        ended_at=at, endpoint="ticker/24hr", purpose="minute", outcome="ok", reason=None,
        symbols_asked=("BTC-USDT", "ETH-USDT"), served=2, published=2, unchanged=0, rejected=0,
        candles=2, budget_used=None,
    )  # fmt: skip
    return record("market.polls", made.payload(), at=at, key=made.key.decode())


def whole_market(now: datetime = NOW, symbols: tuple[str, ...] = tuple(PRICES)) -> Iterator[Any]:
    """Everything a running pipeline would have sent; the last symbol ranks first."""
    minute = now.replace(second=0, microsecond=0)
    for place, symbol in enumerate(symbols):
        price = float(PRICES.get(symbol, "1.5"))
        for back in range(400, 0, -1):
            close = f"{price * (1 + 0.002 * math.sin(back / 25 + place)):.13f}"
            yield candle(symbol, open_at=minute - timedelta(minutes=back), close=close)
        yield tick(symbol, at=now - timedelta(seconds=5))
        rank = len(symbols) - place
        yield summary(symbol, now=now, volatility_rank=rank, volatility_1h=1.2 / rank)
        yield from (forecast(symbol, minutes=minutes, now=now) for minutes in (5, 15, 60))
    yield from (status(stage, at=now - timedelta(seconds=9)) for stage in ("raw", "predictions"))
    yield poll(at=now - timedelta(seconds=5))
