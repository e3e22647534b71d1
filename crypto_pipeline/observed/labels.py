"""The few values that a label may take, for the labels that several metrics share."""

from __future__ import annotations

from typing import get_args

from crypto_pipeline.contract.topic import INGESTED
from crypto_pipeline.setting_values import VenueName

VENUES = (*get_args(VenueName), "coingecko")
VENUE = {"venue": VENUES}
TOPIC = {"topic": tuple(topic.name for topic in INGESTED)}
STATUSES = (
    *("200", "301", "302", "400", "401", "403", "404", "408", "418", "429", "451"),
    *("500", "502", "503", "504", "timeout", "unreachable"),
)
REASONS = (
    *("bad_time", "crossed", "missing_field", "not_a_minute", "not_a_number", "not_a_row"),
    *("not_an_object", "not_positive", "out_of_range", "repeated_symbol", "torn"),
    *("unknown_symbol", "venue_error", "wrong_content"),
)
# `pace` is a venue that counts no windows: requests ahead of the pace, of those it may be ahead.
WINDOWS = ("60", "86400", "pace")
