"""The published shape of what the lake tells the screen, as JSON Schema.

Unknown fields are always allowed, and so are records of `pipeline.status` of other kinds.
"""

from __future__ import annotations

from crypto_pipeline.contract.json_schema import (
    COUNT,
    DECIMAL,
    DIALECT,
    FLAG,
    ID,
    TEXT,
    TIME,
    Schema,
)
from crypto_pipeline.contract.message import MARKET_KINDS, SCHEMA_VERSION

NUMBER: Schema = {"type": "number"}
NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
TIME_OR_NULL: Schema = {"anyOf": [TIME, {"type": "null"}]}
DECIMAL_OR_NULL: Schema = {"anyOf": [DECIMAL, {"type": "null"}]}
ORIGIN: Schema = {"enum": ["exchange", "sampled"]}
MEASURES = (
    *("spread_bps", "return_1m", "return_5m", "return_1h", "return_24h", "volume_24h"),
    *("volatility_5m", "volatility_1h", "volatility_24h"),
)
LATER_MEASURES = ("z_score", "ewma", "atr_14", "bollinger_width")
GAPS_TOLD = 20


def summary_schema() -> Schema:
    """One source and symbol, now, with its recent minutes and gaps."""
    later = {
        **dict.fromkeys(LATER_MEASURES, NUMBER_OR_NULL),
        "origin": ORIGIN,
        "gaps": {"type": "array", "items": _gap(), "maxItems": GAPS_TOLD},
        "recent": {"type": "array", "items": _minute()},
    }
    own = {
        "id": ID,
        "source": TEXT,
        "symbol": TEXT,
        "minute_at": TIME,
        "last": DECIMAL,
        "bid": DECIMAL_OR_NULL,
        "ask": DECIMAL_OR_NULL,
        **dict.fromkeys(MEASURES, NUMBER_OR_NULL),
        "volatility_rank": {"type": ["integer", "null"], "minimum": 1},
    }
    return _record("summary", own, optional=later)


def forecast_schema() -> Schema:
    """One source, symbol, horizon and model."""
    own = {
        "id": ID,
        "source": TEXT,
        "symbol": TEXT,
        "origin_at": TIME,
        "target_at": TIME,
        "horizon_minutes": {"type": "integer", "minimum": 1},
        "model": TEXT,
        "model_version": TEXT,
        "is_served": FLAG,
        "price": DECIMAL,
        **dict.fromkeys(("variance", "volatility", "return_low", "return_high"), NUMBER),
        **dict.fromkeys(("price_low", "price_high"), NUMBER),
    }
    return _record("forecast", own)


def stage_schema() -> Schema:
    """What the last commit of a stage did."""
    own = {
        "id": ID,
        "stage": TEXT,
        "batch": COUNT,
        "version": {"type": "integer"},
        **dict.fromkeys(("rows_in", "rows_out", "rejected"), COUNT),
        "seconds": NUMBER,
        "newest_fact_at": TIME_OR_NULL,
        "committed_at": TIME,
    }
    later = {
        "outcomes": {"type": "object", "additionalProperties": COUNT},
        "behind": COUNT,
        "run_id": {"type": ["string", "null"]},
    }
    return _record("status", own, optional=later)


def spool_schema() -> Schema:
    """What of the ingestion still waits for the broker."""
    own = {
        "source": TEXT,
        **dict.fromkeys(("polls", "messages", "bytes", "limit_bytes"), COUNT),
        "oldest_poll_at": TIME_OR_NULL,
        "reported_at": TIME,
    }
    return _record("spool", own)


def _minute() -> Schema:
    measures = ("middle", "upper", "lower", "volatility_1h")
    return {
        "type": "object",
        "properties": {
            "minute_at": TIME,
            **dict.fromkeys((*measures, "close"), NUMBER_OR_NULL),
            "origin": ORIGIN,
        },
        "required": ["minute_at", *measures],
    }


def _gap() -> Schema:
    properties = {
        "from_at": TIME,
        "to_at": TIME,
        "minutes": {"type": "integer", "minimum": 1},
        "cause": {"enum": ["no_poll", "source_down", "halted", "served_never_received"]},
        "state": {"enum": ["open", "repaired", "given_up"]},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _record(kind: str, own: Schema, *, optional: Schema | None = None) -> Schema:
    """`optional` fields came later within the schema version."""
    required = {
        "schema_version": {"const": SCHEMA_VERSION},
        "kind": {"const": kind},
        "market": {"enum": list(MARKET_KINDS)},
        **own,
    }
    return {
        "$schema": DIALECT,
        "title": kind,
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": True,
    }
