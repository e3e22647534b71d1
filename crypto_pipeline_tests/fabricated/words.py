"""How Spark writes JSON, instants and schemas."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pyspark.sql.types import StructType


def text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def instant(moment: datetime) -> str:
    """A statistic's instant, cut to the millisecond.

    >>> instant(datetime(2026, 11, 23, 10, 5, 0, 1_999, tzinfo=UTC))
    '2026-11-23T10:05:00.001Z'
    """
    own = moment.astimezone(UTC)
    return f"{own:%Y-%m-%dT%H:%M:%S}.{own.microsecond // 1000:03d}Z"


def fields_of(schema: StructType, *, comments: bool = True) -> list[dict[str, Any]]:
    """Columns as a CREATE TABLE leaves them: of what we note of a column its comment alone."""
    fields: list[dict[str, Any]] = json.loads(schema.json())["fields"]
    for field in fields:
        comment = field["metadata"].get("comment")
        field["metadata"] = {"comment": comment} if comments and comment else {}
    return fields
