"""From what the lake tells the screen to points; ValueError when it is not what is promised."""

from __future__ import annotations

from typing import Any

import numpy as np

from crypto_pipeline.contract.message import parse_time
from dashboard.points import (
    BandSeries,
    Floats,
    ForecastPoint,
    GapPoint,
    HorizonPoint,
    ScorePoint,
    SpoolPoint,
    StatusPoint,
    SummaryPoint,
    as_times,
)
from dashboard.reading import TEXT_LIMIT, checked, price_of, text_of

BAND_POINTS = 1_500
GAPS = 50
OUTCOMES = 30
HORIZONS, SCORES = 10, 20


def read_summary(value: dict[str, Any]) -> SummaryPoint:
    return checked(
        lambda: SummaryPoint(
            source=text_of(value, "source"),
            symbol=text_of(value, "symbol"),
            minute_at=parse_time(value["minute_at"]),
            last=price_of(value, "last"),
            spread_bps=_measure(value, "spread_bps"),
            return_1m=_measure(value, "return_1m"),
            return_5m=_measure(value, "return_5m"),
            return_1h=_measure(value, "return_1h"),
            return_24h=_measure(value, "return_24h"),
            volatility_1h=_measure(value, "volatility_1h"),
            volatility_24h=_measure(value, "volatility_24h"),
            volatility_rank=_whole(value, "volatility_rank"),
            volume_24h=_measure(value, "volume_24h"),
            z_score=_measure(value, "z_score"),
            atr_14=_measure(value, "atr_14"),
            bollinger_width=_measure(value, "bollinger_width"),
            origin=_optional_text(value, "origin"),
            gaps=tuple(_gap(gap) for gap in (value.get("gaps") or [])[:GAPS]),
            recent=read_band(value.get("recent") or []),
        )
    )


def read_forecast(value: dict[str, Any]) -> ForecastPoint:
    return checked(
        lambda: ForecastPoint(
            source=text_of(value, "source"),
            symbol=text_of(value, "symbol"),
            origin_at=parse_time(value["origin_at"]),
            target_at=parse_time(value["target_at"]),
            horizon_minutes=int(value["horizon_minutes"]),
            model=text_of(value, "model"),
            model_version=text_of(value, "model_version"),
            is_served=value["is_served"] is True,
            price=float(price_of(value, "price")),
            volatility=float(value["volatility"]),
            return_low=float(value["return_low"]),
            return_high=float(value["return_high"]),
            price_low=float(value["price_low"]),
            price_high=float(value["price_high"]),
        )
    )


def read_status(value: dict[str, Any]) -> StatusPoint:
    newest = value.get("newest_fact_at")
    return checked(
        lambda: StatusPoint(
            stage=text_of(value, "stage"),
            batch=int(value["batch"]),
            rows_in=int(value["rows_in"]),
            rows_out=int(value["rows_out"]),
            rejected=int(value["rejected"]),
            seconds=float(value["seconds"]),
            newest_fact_at=None if newest is None else parse_time(newest),
            committed_at=parse_time(value["committed_at"]),
            outcomes=tuple(
                (str(name)[:TEXT_LIMIT], int(count))
                for name, count in list((value.get("outcomes") or {}).items())[:OUTCOMES]
            ),
            behind=_whole(value, "behind"),
            run_id=_optional_text(value, "run_id"),
            horizons=tuple(_horizon(one) for one in (value.get("horizons") or [])[:HORIZONS]),
        )
    )


def read_spool(value: dict[str, Any]) -> SpoolPoint:
    oldest = value.get("oldest_poll_at")
    return checked(
        lambda: SpoolPoint(
            source=text_of(value, "source"),
            polls=int(value["polls"]),
            messages=int(value["messages"]),
            bytes=int(value["bytes"]),
            limit_bytes=int(value["limit_bytes"]),
            oldest_poll_at=None if oldest is None else parse_time(oldest),
            reported_at=parse_time(value["reported_at"]),
        )
    )


def read_band(rows: list[dict[str, Any]]) -> BandSeries:
    rows = sorted(rows, key=lambda row: str(row["minute_at"]))[-BAND_POINTS:]
    is_sampled = np.array([row.get("origin") == "sampled" for row in rows], dtype=bool)
    sampled = np.where(is_sampled, _column(rows, "close"), np.nan)
    sampled.setflags(write=False)
    return BandSeries(
        minute_at=as_times([parse_time(row["minute_at"]) for row in rows]),
        middle=_column(rows, "middle"),
        upper=_column(rows, "upper"),
        lower=_column(rows, "lower"),
        volatility_1h=_column(rows, "volatility_1h"),
        sampled=sampled,
    )


def _gap(value: dict[str, Any]) -> GapPoint:
    return GapPoint(
        from_at=parse_time(value["from_at"]),
        to_at=parse_time(value["to_at"]),
        minutes=int(value["minutes"]),
        cause=text_of(value, "cause"),
        state=text_of(value, "state"),
    )


def _horizon(value: dict[str, Any]) -> HorizonPoint:
    return HorizonPoint(
        minutes=int(value["horizon_minutes"]),
        served=_optional_text(value, "served"),
        champion=_optional_text(value, "champion"),
        baseline=_optional_text(value, "baseline"),
        reason=str(value["reason"])[:TEXT_LIMIT],
        drift=text_of(value, "drift"),
        drift_reason=str(value["drift_reason"])[:TEXT_LIMIT],
        scores=tuple(_score(one) for one in value["scores"][:SCORES]),
        live=tuple(_score(one) for one in value["live"][:SCORES]),
    )


def _score(value: dict[str, Any]) -> ScorePoint:
    return ScorePoint(
        model=text_of(value, "model"),
        origins=int(value["origins"]),
        qlike=_measure(value, "qlike"),
        median_qlike=_measure(value, "median_qlike"),
        pinball=_measure(value, "pinball"),
        coverage=_measure(value, "coverage"),
        p_value=_measure(value, "p_value"),
    )


def _column(rows: list[dict[str, Any]], name: str) -> Floats:
    numbers = [np.nan if row.get(name) is None else float(row[name]) for row in rows]
    column = np.array(numbers, dtype=np.float64)
    column.setflags(write=False)
    return column


def _measure(value: dict[str, Any], name: str) -> float | None:
    number = value.get(name)
    return None if number is None else float(number)


def _whole(value: dict[str, Any], name: str) -> int | None:
    number = value.get(name)
    return None if number is None else int(number)


def _optional_text(value: dict[str, Any], name: str) -> str | None:
    text = value.get(name)
    return None if text is None else str(text)[:TEXT_LIMIT]
