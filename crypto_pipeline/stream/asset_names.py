"""Names of the assets that stand for topics; a module of its own because it imports nothing."""

from __future__ import annotations

INGESTED_ASSETS = ("market_ticks", "market_candles", "market_polls", "market_rejected")
