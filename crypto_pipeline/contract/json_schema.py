"""The published shape of each record: JSON Schema, for readers who do not run our code.

Unknown fields are always allowed: a newer writer may add one within a schema version.
"""

from __future__ import annotations

from typing import Any, get_args

from crypto_pipeline.contract.message import MARKET_KINDS, SCHEMA_VERSION
from crypto_pipeline.contract.poll import BODY_LIMIT, Outcome, Purpose

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
SYMBOL: Schema = {"type": "string", "pattern": "^[A-Z0-9]{1,20}-[A-Z0-9]{2,10}$"}
SYMBOLS: Schema = {"type": "array", "items": SYMBOL}
TIME: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$",
    "description": "ISO-8601, UTC, microseconds",
}
DECIMAL: Schema = {
    "type": "string",
    "pattern": r"^-?\d{1,20}(\.\d{1,18})?$",
    "description": "Decimal text without an exponent; at most 20 digits and 18 places",
}


def tick_schema() -> Schema:
    """One poll of one instrument."""
    return _record(
        "tick",
        {
            "symbol": SYMBOL,
            "poll_at": TIME,
            "observed_at": TIME,
            "event_at": _or_null(TIME),
            "price": DECIMAL,
            **{
                name: _or_null(DECIMAL)
                for name in (
                    *("bid", "ask", "bid_size", "ask_size"),
                    *("open_24h", "high_24h", "low_24h", "volume_24h", "quote_volume_24h"),
                    "market_cap",
                )
            },
            "trades_24h": _or_null(COUNT),
            "mark": _or_null({"type": "string"}),
            "is_unchanged": FLAG,
            "endpoint": TEXT,
            "record": {"type": "string", "description": "The venue's own text"},
        },
        optional=("market_cap",),
    )


def candle_schema() -> Schema:
    """One closed minute of an exchange."""
    return _record(
        "candle",
        {
            "symbol": SYMBOL,
            "open_at": TIME,
            "observed_at": TIME,
            "event_at": _or_null(TIME),
            **dict.fromkeys(("open", "high", "low", "close", "volume"), DECIMAL),
            "quote_volume": _or_null(DECIMAL),
            "trades": _or_null(COUNT),
            "is_backfill": FLAG,
            "endpoint": TEXT,
            "record": {"type": "string", "description": "The venue's own text"},
        },
    )


def poll_schema() -> Schema:
    """One venue and minute; served = published + unchanged + rejected."""
    return _record(
        "poll",
        {
            "poll_at": TIME,
            "started_at": TIME,
            "ended_at": TIME,
            "endpoint": TEXT,
            "purpose": {"enum": list(get_args(Purpose))},
            "outcome": {"enum": list(get_args(Outcome))},
            "reason": _or_null({"type": "string"}),
            "symbols_asked": SYMBOLS,
            **dict.fromkeys(("served", "published", "unchanged", "rejected", "candles"), COUNT),
            "budget_used": _or_null(COUNT),
            "venue_reason": _or_null({"type": "string"}),
            "newest_event_at": _or_null(TIME),
            "until_at": _or_null(TIME),
            "candles_due": SYMBOLS,
            "candles_missed": SYMBOLS,
        },
        optional=(
            *("venue_reason", "newest_event_at"),
            *("until_at", "candles_due", "candles_missed"),
        ),
    )


def rejected_schema() -> Schema:
    """A body or row that yields no tick and no candle."""
    return _record(
        "rejected",
        {
            "poll_at": TIME,
            "observed_at": TIME,
            "endpoint": TEXT,
            "reason": TEXT,
            "detail": {"type": "string"},
            "body": {"type": "string", "maxLength": BODY_LIMIT},
            "is_cut": FLAG,
        },
    )


def horizons_schema() -> Schema:
    """The field `horizons` of the report of the stage `predictions` on `pipeline.status`."""
    number: Schema = {"type": "number"}
    measures = ("qlike", "median_qlike", "mse_log", "pinball", "coverage")
    score = _object(
        {
            "model": TEXT,
            "origins": COUNT,
            **dict.fromkeys((*measures, "dm_statistic", "p_value"), _or_null(number)),
        }
    )
    scores: Schema = {"type": "array", "items": score}
    horizon = _object(
        {
            "horizon_minutes": COUNT,
            **dict.fromkeys(("served", "model_version", "champion", "baseline"), _or_null(TEXT)),
            "reason": TEXT,
            **dict.fromkeys(("trained_through", "window_from", "window_through"), _or_null(TIME)),
            "scores": scores,
            **dict.fromkeys(("live_from", "live_through"), _or_null(TIME)),
            "live": scores,
            "drift": {"enum": ["none", "drifting", "unknown"]},
            "drift_reason": {"type": "string"},
        }
    )
    return {"$schema": DIALECT, "title": "horizons", "type": "array", "items": horizon}


def _object(fields: Schema) -> Schema:
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": True,
    }


def _record(kind: str, own: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    """`optional` fields came later within the schema version: older records lack them."""
    fields = {
        "schema_version": {"const": SCHEMA_VERSION},
        "kind": {"const": kind},
        "id": ID,
        "market": {"enum": list(MARKET_KINDS)},
        "source": TEXT,
        "venue": TEXT,
        **own,
    }
    return {
        "$schema": DIALECT,
        "title": kind,
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in optional],
        "additionalProperties": True,
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}
