"""From a payload to a point; ValueError when it is not what its topic promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np

from crypto_pipeline.contract.message import parse_time
from dashboard.points import (
    BandSeries,
    CandlePoint,
    Floats,
    ForecastPoint,
    Key,
    PollPoint,
    StatusPoint,
    SummaryPoint,
    TickPoint,
    as_times,
)

Point = TypeVar("Point")

BAND_POINTS = 1_500
TEXT_LIMIT = 512


def read_key(value: dict[str, Any]) -> Key:
    return _text(value, "source"), _text(value, "symbol")


def read_tick(value: dict[str, Any], broker_at: datetime) -> TickPoint:
    return _reading(
        lambda: TickPoint(
            market=_text(value, "market"),
            source=_text(value, "source"),
            venue=_text(value, "venue"),
            symbol=_text(value, "symbol"),
            poll_at=parse_time(value["poll_at"]),
            observed_at=parse_time(value["observed_at"]),
            broker_at=broker_at,
            price=_price(value, "price"),
        )
    )


def read_candle(value: dict[str, Any]) -> CandlePoint:
    return _reading(
        lambda: CandlePoint(
            open_at=parse_time(value["open_at"]),
            observed_at=parse_time(value["observed_at"]),
            open=float(_price(value, "open")),
            high=float(_price(value, "high")),
            low=float(_price(value, "low")),
            close=float(_price(value, "close")),
            volume=float(_price(value, "volume")),
        )
    )


def read_summary(value: dict[str, Any]) -> SummaryPoint:
    return _reading(
        lambda: SummaryPoint(
            source=_text(value, "source"),
            symbol=_text(value, "symbol"),
            minute_at=parse_time(value["minute_at"]),
            last=_price(value, "last"),
            spread_bps=_measure(value, "spread_bps"),
            return_1m=_measure(value, "return_1m"),
            return_5m=_measure(value, "return_5m"),
            return_1h=_measure(value, "return_1h"),
            return_24h=_measure(value, "return_24h"),
            volatility_1h=_measure(value, "volatility_1h"),
            volatility_24h=_measure(value, "volatility_24h"),
            volatility_rank=_rank(value),
            recent=read_band(value.get("recent") or []),
        )
    )


def read_forecast(value: dict[str, Any]) -> ForecastPoint:
    return _reading(
        lambda: ForecastPoint(
            source=_text(value, "source"),
            symbol=_text(value, "symbol"),
            origin_at=parse_time(value["origin_at"]),
            target_at=parse_time(value["target_at"]),
            horizon_minutes=int(value["horizon_minutes"]),
            model=_text(value, "model"),
            model_version=_text(value, "model_version"),
            is_served=value["is_served"] is True,
            price=float(_price(value, "price")),
            volatility=float(value["volatility"]),
            return_low=float(value["return_low"]),
            return_high=float(value["return_high"]),
            price_low=float(value["price_low"]),
            price_high=float(value["price_high"]),
        )
    )


def read_status(value: dict[str, Any]) -> StatusPoint:
    newest = value.get("newest_fact_at")
    return _reading(
        lambda: StatusPoint(
            stage=_text(value, "stage"),
            batch=int(value["batch"]),
            rows_in=int(value["rows_in"]),
            rows_out=int(value["rows_out"]),
            rejected=int(value["rejected"]),
            seconds=float(value["seconds"]),
            newest_fact_at=None if newest is None else parse_time(newest),
            committed_at=parse_time(value["committed_at"]),
        )
    )


def read_poll(value: dict[str, Any], broker_at: datetime) -> PollPoint:
    reason = value.get("reason")
    return _reading(
        lambda: PollPoint(
            source=_text(value, "source"),
            venue=_text(value, "venue"),
            purpose=_text(value, "purpose"),
            poll_at=parse_time(value["poll_at"]),
            broker_at=broker_at,
            outcome=_text(value, "outcome"),
            reason=None if reason is None else str(reason)[:TEXT_LIMIT],
            asked=len(value["symbols_asked"]),
            published=int(value["published"]),
            unchanged=int(value["unchanged"]),
            rejected=int(value["rejected"]),
        )
    )


def read_band(rows: list[dict[str, Any]]) -> BandSeries:
    rows = rows[-BAND_POINTS:]
    moments = [parse_time(row["minute_at"]) for row in rows]
    return BandSeries(
        minute_at=as_times(moments),
        middle=_column(rows, "middle"),
        upper=_column(rows, "upper"),
        lower=_column(rows, "lower"),
        volatility_1h=_column(rows, "volatility_1h"),
    )


def _reading(read: Callable[[], Point]) -> Point:
    try:
        return read()
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _column(rows: list[dict[str, Any]], name: str) -> Floats:
    numbers = [np.nan if row.get(name) is None else float(row[name]) for row in rows]
    column = np.array(numbers, dtype=np.float64)
    column.setflags(write=False)
    return column


def _text(value: dict[str, Any], name: str) -> str:
    text = value[name]
    if not isinstance(text, str) or not text:
        raise ValueError(f"{name} is {text!r}, text is expected")
    return text[:TEXT_LIMIT]


def _price(value: dict[str, Any], name: str) -> str:
    """The decimal text itself, checked to be a finite number."""
    text = value[name]
    if not isinstance(text, str) or not Decimal(text).is_finite():
        raise ValueError(f"{name} is {text!r}, a decimal text is expected")
    return text[:TEXT_LIMIT]


def _measure(value: dict[str, Any], name: str) -> float | None:
    number = value.get(name)
    return None if number is None else float(number)


def _rank(value: dict[str, Any]) -> int | None:
    rank = value.get("volatility_rank")
    return None if rank is None else int(rank)
