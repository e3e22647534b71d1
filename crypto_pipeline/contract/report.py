"""What the lake tells the screen: the newest summary, forecasts and stage reports.

These are plain JSON objects whose fields are the columns of the table they come from;
the names here are what the dashboard may rely on. Numbers that gold computed are JSON
numbers, prices are decimal strings.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from crypto_pipeline.contract.message import MarketKind


class RecentMinute(TypedDict):
    """One minute of the chart's band: a 20-minute Bollinger band, annualised volatility.

    `origin` says whether its candle is the exchange's or one sampled price.
    """

    minute_at: str
    close: NotRequired[float | None]
    origin: NotRequired[Literal["exchange", "sampled"]]
    middle: float | None
    upper: float | None
    lower: float | None
    volatility_1h: float | None


class Gap(TypedDict):
    """Minutes in [from_at, to_at) without a candle, as silver/gaps says now."""

    from_at: str
    to_at: str
    minutes: int
    cause: Literal["no_poll", "source_down", "halted", "served_never_received"]
    state: Literal["open", "repaired", "given_up"]


class SummaryRecord(TypedDict):
    """`market.summary`, key `source|symbol`: one source and symbol, now; log returns.

    `gaps` are those of the last 24 hours, newest first, at most 20. Measures of the newest
    minute are left out where gold has none of the last two hours.
    """

    schema_version: int
    kind: Literal["summary"]
    id: str
    market: MarketKind
    source: str
    symbol: str
    minute_at: str
    last: str
    bid: str | None
    ask: str | None
    spread_bps: float | None
    return_1m: float | None
    return_5m: float | None
    return_1h: float | None
    return_24h: float | None
    volume_24h: float | None
    volatility_5m: float | None
    volatility_1h: float | None
    volatility_24h: float | None
    volatility_rank: int | None
    z_score: NotRequired[float | None]
    ewma: NotRequired[float | None]
    atr_14: NotRequired[float | None]
    bollinger_width: NotRequired[float | None]
    origin: NotRequired[Literal["exchange", "sampled"]]
    gaps: NotRequired[list[Gap]]
    recent: NotRequired[list[RecentMinute]]


class ForecastRecord(TypedDict):
    """`market.forecasts`, key `source|symbol|horizon|model`; `is_served` marks the one to show.

    `variance` is of the log return over the horizon; the band holds 90 % of returns. `pooled`
    marks a fitted model whose coefficients are those of all symbols, not the symbol's own.
    """

    schema_version: int
    kind: Literal["forecast"]
    id: str
    market: MarketKind
    source: str
    symbol: str
    origin_at: str
    target_at: str
    horizon_minutes: int
    model: str
    model_version: str
    is_served: bool
    price: str
    variance: float
    volatility: float
    return_low: float
    return_high: float
    price_low: float
    price_high: float
    pooled: NotRequired[bool]


class ModelScore(TypedDict):
    """One model's losses over a window of origins; `p_value` is two-sided, against `baseline`.

    QLIKE is the mean over all origins and symbols of y/f - ln(y/f) - 1, `median_qlike` its median
    (live, the median of the origins' medians); `origins` counts forecasts;
    `coverage` is the share of returns inside the 90 % band. Null: nothing to say it from.
    """

    model: str
    origins: int
    qlike: float | None
    median_qlike: float | None
    mse_log: float | None
    pinball: float | None
    coverage: float | None
    dm_statistic: float | None
    p_value: float | None


class HorizonReport(TypedDict):
    """Who serves a horizon and why; `scores` are walk-forward, `live` of forecasts since served.

    `served` is the model that is shown, null when none is, `champion` the one that won its gate,
    null when none has. `reason` is a sentence. `drift`: a baseline beats what is served of late.
    """

    horizon_minutes: int
    served: str | None
    model_version: str | None
    champion: str | None
    baseline: str | None
    reason: str
    trained_through: str | None
    window_from: str | None
    window_through: str | None
    scores: list[ModelScore]
    live_from: str | None
    live_through: str | None
    live: list[ModelScore]
    drift: Literal["none", "drifting", "unknown"]
    drift_reason: str


class StageReport(TypedDict):
    """`pipeline.status`, key = stage: what its last commit did. Seconds are wall seconds.

    `horizons` is said by the stage `predictions` alone.
    `behind` counts what waited for the stage when the report was made: records for the stage
    that reads topics, batches for the others. `run_id` is the orchestrator's own, if one ran it.
    """

    schema_version: int
    kind: Literal["status"]
    stage: str
    market: MarketKind
    batch: int
    version: int
    rows_in: int
    rows_out: int
    rejected: int
    seconds: float
    newest_fact_at: str | None
    committed_at: str
    horizons: NotRequired[list[HorizonReport]]
    outcomes: NotRequired[dict[str, int]]
    behind: NotRequired[int]
    run_id: NotRequired[str | None]


class SpoolReport(TypedDict):
    """`pipeline.status`, key `spool`: what of the ingestion still waits for the broker."""

    schema_version: int
    kind: Literal["spool"]
    market: MarketKind
    source: str
    polls: int
    messages: int
    bytes: int
    limit_bytes: int
    oldest_poll_at: str | None
    reported_at: str
