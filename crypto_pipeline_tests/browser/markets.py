"""Markets for the page's states, each a feed: alive ones get a tick a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from crypto_pipeline.contract.message import format_time
from crypto_pipeline_tests.dashboard.market import (
    PRICES,
    candle,
    forecast,
    make_feed,
    poll,
    record,
    status,
    summary,
    tick,
    whole_market,
)
from dashboard.feed import Feed

SYMBOLS = (*PRICES, "ETH-USDT", "SOL-USDT", "XRP-USDT", "ADA-USDT", "DOGE-USDT")
HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=document.title='owned'>-USDT",
    "\u202eTDSU-CTB",
    "🚀🌕-USDT",
    "[click](http://evil.example)-USDT",
    "X" * 10_000,
)


def gap(now: datetime, *, begin: int, minutes: int, state: str) -> dict[str, Any]:
    start = now.replace(second=0, microsecond=0) - timedelta(minutes=begin)
    return {
        "from_at": format_time(start),
        "to_at": format_time(start + timedelta(minutes=minutes)),
        "minutes": minutes,
        "cause": "halted" if state == "given_up" else "source_down",
        "state": state,
    }


def rich(now: datetime) -> Iterator[Any]:
    """A full market with gaps, sampled minutes, volumes, past forecasts and runs."""
    yield from whole_market(now, symbols=SYMBOLS)
    for place, symbol in enumerate(SYMBOLS):
        rank = len(SYMBOLS) - place
        gaps = [
            gap(now, begin=50, minutes=7, state="open"),
            gap(now, begin=95, minutes=3, state="given_up"),
            gap(now, begin=140, minutes=2, state="repaired"),
        ]
        recent = summary(symbol, now=now).value["recent"]
        for minute in recent[-80:-70]:
            minute.update(origin="sampled", close=minute["middle"])
        yield summary(
            symbol, now=now, volatility_rank=rank, volatility_1h=1.4 / rank, z_score=-3.4 + place,
            volume_24h=10.0 ** (9 - place), bollinger_width=0.011, return_1h=0.02 - 0.005 * place,
            gaps=gaps if place < 3 else [], recent=recent,
        )  # fmt: skip
        for back in range(180, 0, -1):
            yield forecast(symbol, now=now - timedelta(minutes=back))
        for model in ("persistence", "ewma"):
            yield forecast(symbol, now=now, model=model, is_served=False)
        yield forecast(symbol, now=now)
    for back in range(5, -1, -1):
        for stage in ("raw", "bronze", "silver", "candles", "volatility", "summary", "predictions"):
            yield status(
                stage, at=now - timedelta(seconds=9 + 60 * back), behind=0,
                run_id=f"0d1e2f3a-{back:04d}-4b5c-8d9e-000000000000",
                outcomes={"accepted": 38, "duplicate": 2},
                **({"horizons": [horizon()]} if stage == "predictions" else {}),
            )  # fmt: skip
    yield record("pipeline.status", spool(now), at=now, key="spool")
    yield poll(at=now - timedelta(seconds=5))


def horizon() -> dict[str, Any]:
    losses = {"har_pooled": 0.41, "ewma": 0.44, "persistence": 0.62}
    scores = [
        {
            "model": model, "origins": 900, "qlike": loss, "median_qlike": loss / 2,
            "mse_log": 0.5, "pinball": 0.0011, "coverage": 0.89,
            "dm_statistic": None, "p_value": None if model == "ewma" else 0.02,
        }
        for model, loss in losses.items()
    ]  # fmt: skip
    return {
        "horizon_minutes": 60, "served": "har_pooled", "model_version": "1",
        "champion": "har_pooled", "baseline": "ewma",
        "reason": "har_pooled beats ewma by QLIKE, p 0.02.", "trained_through": None,
        "window_from": None, "window_through": None, "scores": scores, "live_from": None,
        "live_through": None, "live": [], "drift": "none", "drift_reason": "Within its gate.",
    }  # fmt: skip


def spool(now: datetime) -> dict[str, Any]:
    return {
        "schema_version": 1, "kind": "spool", "market": "simulated", "source": "binance",
        "polls": 0, "messages": 0, "bytes": 0, "limit_bytes": 512 * 1024 * 1024,
        "oldest_poll_at": None, "reported_at": format_time(now),
    }  # fmt: skip


def hostile(now: datetime) -> Iterator[Any]:
    for symbol in HOSTILE:
        yield tick(symbol, at=now, price="1.5")
        yield summary(symbol, now=now, volatility_rank=1, volatility_1h=2.0, recent=[])
        yield candle(symbol, open_at=now.replace(second=0, microsecond=0))
        for minutes in (5, 15, 60):
            yield forecast(symbol, now=now, minutes=minutes, model="<b>model</b>")
    yield status("<script>alert(1)</script>", at=now)
    yield poll(at=now)


def keep_alive(feed: Feed, symbols: tuple[str, ...], every_seconds: float = 1.0) -> None:
    """Ticks go on, as a poll a minute would; here faster, so that a picture need not wait."""

    def go_on() -> None:
        while True:
            time.sleep(every_seconds)
            now = datetime.now(UTC)
            for symbol in symbols:
                feed.take(tick(symbol, at=now))

    threading.Thread(target=go_on, daemon=True).start()


def build(name: str) -> Feed:
    """The feed of a state by its name."""
    now = datetime.now(UTC)
    feed = MAKERS[name](now)
    if name in ALIVE:
        keep_alive(feed, SYMBOLS if name == "full" else HOSTILE)
    return feed


ALIVE = ("full", "hostile")
MAKERS: dict[str, Callable[[datetime], Feed]] = {
    "starting": lambda now: make_feed(state="connecting", now=now),
    "empty": lambda now: make_feed(now=now),
    "half": lambda now: make_feed(candle(), tick(at=now), now=now),
    "full": lambda now: make_feed(*rich(now), now=now, byte_limit=256_000_000),
    "live": lambda now: make_feed(
        tick(at=now, market="live", source="binance"),
        summary(now=now, source="binance"),
        now=now,
    ),
    "recorded": lambda now: make_feed(
        tick(at=now, market="recorded", source="recorded:2023"), now=now
    ),
    "stale": lambda now: make_feed(*rich(now - timedelta(minutes=3)), now=now),
    "away": lambda now: make_feed(
        *rich(now - timedelta(minutes=7)),
        state="away",
        now=now,
        reason="Kafka at 127.0.0.1:9092 does not answer.",
    ),
    "stopped": lambda now: make_feed(*rich(now), state="stopped", now=now),
    "hostile": lambda now: make_feed(*hostile(now), now=now),
}
