"""Metrics of the polls: what came, what the venues were asked, and what they still bear.

Ages are real seconds, also where a simulated market runs faster.
"""

from __future__ import annotations

from typing import get_args

from crypto_pipeline.contract.poll import Outcome
from crypto_pipeline.observed.labels import REASONS, STATUSES, VENUE, WINDOWS
from crypto_pipeline.observed.metric import Metric

POLLS = Metric(
    name="crypto_pipeline_polls_total",
    kind="counter",
    help="Polls by venue, purpose and outcome; a minute in which a venue stood in counts each.",
    labels={**VENUE, "purpose": ("minute", "history"), "outcome": get_args(Outcome)},
    alarm="no increase with outcome ok or partial for 3 minutes",
)
TICKS = Metric(
    name="crypto_pipeline_ticks_total",
    kind="counter",
    help="Ticks that polls took from a venue.",
    labels=VENUE,
)
CANDLES = Metric(
    name="crypto_pipeline_candles_total",
    kind="counter",
    help="Closed candles that polls and history took from a venue.",
    labels=VENUE,
)
REJECTED = Metric(
    name="crypto_pipeline_rejected_total",
    kind="counter",
    help="Rows and bodies that gave no tick and no candle, by the rule that they broke.",
    labels={**VENUE, "reason": REASONS},
    alarm="any increase of missing_field or wrong_content: the venue changed its answers",
)
FAILOVERS = Metric(
    name="crypto_pipeline_failovers_total",
    kind="counter",
    help="Minutes that this venue gave because those before it in VENUES did not.",
    labels=VENUE,
    alarm="more than 5 in 10 minutes",
)
REQUEST_SECONDS = Metric(
    name="crypto_pipeline_venue_request_seconds",
    kind="histogram",
    help="Time of one request to a venue until its whole answer, by HTTP status or what failed.",
    labels={**VENUE, "status": STATUSES},
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    alarm="status 418, 429, 403 or 451 increases",
)
BUDGET_USED = Metric(
    name="crypto_pipeline_budget_used",
    kind="gauge",
    help="What is spent of a venue's allowance: weight in a window of seconds, or pace.",
    labels={**VENUE, "window": WINDOWS},
    alarm="above 80 % of the limit for 5 minutes",
)
BUDGET_LIMIT = Metric(
    name="crypto_pipeline_budget_limit",
    kind="gauge",
    help="What may be spent of a venue's allowance, in the unit of what is used.",
    labels={**VENUE, "window": WINDOWS},
)
VENUE_WAIT = Metric(
    name="crypto_pipeline_venue_wait_seconds",
    kind="gauge",
    help="Until a venue that said to wait may be asked again; 0 when it may.",
    labels=VENUE,
    alarm="above 300: this is a ban, not a pause",
)
BREAKER_OPEN = Metric(
    name="crypto_pipeline_breaker_open",
    kind="gauge",
    help="1 while a venue is left alone because it failed, else 0.",
    labels=VENUE,
    alarm="1 for every venue at once",
)
BREAKER_FAILURES = Metric(
    name="crypto_pipeline_breaker_failures",
    kind="gauge",
    help="Failures of a venue in a row.",
    labels={**VENUE, "kind": ("permanent", "transient")},
    alarm="permanent above 0: a place or a key is refused",
)
LAST_POLL_AGE = Metric(
    name="crypto_pipeline_last_poll_age_seconds",
    kind="gauge",
    help="Since a poll last ended, well or not; absent before the first.",
    alarm="above 180: the schedule does not run; absent for 5 minutes: nobody can tell",
)
LAST_GOOD_POLL_AGE = Metric(
    name="crypto_pipeline_last_good_poll_age_seconds",
    kind="gauge",
    help="Since a poll with ticks was last made durable; absent before the first.",
    alarm="above 180",
)
