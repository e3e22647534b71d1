"""Which dates retention has removed from a table: the table itself says it.

Not the settings: they may have been others when the rows went, and a lake that is younger than
its days has lost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

REMOVED_PROPERTY = "crypto_pipeline.removed_before"


def removed_before(properties: Mapping[str, str]) -> date | None:
    """The first date from which on nothing was removed; None for a table that lost nothing."""
    text = properties.get(REMOVED_PROPERTY)
    return None if text is None else date.fromisoformat(text)
