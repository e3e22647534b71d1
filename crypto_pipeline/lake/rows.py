"""A few rows of a table without a Spark session: for sensors, which look once a minute."""

from __future__ import annotations

from datetime import date
from typing import Any

from crypto_pipeline.lake.opening import open_delta


def read_days(path: str, *, since: date) -> list[dict[str, Any]]:
    """The rows of a table by `date` from that day on; none where there is no table.

    All of them go into memory: for tables that gain few rows a day.
    """
    table = open_delta(path)
    if table is None:
        return []
    rows = table.to_pyarrow_table(filters=[("date", ">=", since)])
    return list(rows.to_pylist())
