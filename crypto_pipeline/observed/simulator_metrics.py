"""Metrics of the simulator: what it was asked and how it answered."""

from __future__ import annotations

from crypto_pipeline.observed.labels import STATUSES, VENUE
from crypto_pipeline.observed.metric import Metric

REQUESTS = Metric(
    name="crypto_pipeline_simulator_requests_total",
    kind="counter",
    help="Answers that a simulated venue gave, by HTTP status.",
    labels={**VENUE, "status": STATUSES},
)
EXCESS = Metric(
    name="crypto_pipeline_simulator_excess_total",
    kind="counter",
    help="Requests over a venue's limit, or earlier than it had said.",
    labels={**VENUE, "kind": ("over", "early")},
    alarm="any increase: a budget does not hold",
)
FAULTS = Metric(
    name="crypto_pipeline_simulator_faults_waiting",
    kind="gauge",
    help="Answers that are still to fail on request.",
)
SYMBOLS = Metric(
    name="crypto_pipeline_simulator_symbols",
    kind="gauge",
    help="Instruments that the market lists.",
)
SPEED = Metric(
    name="crypto_pipeline_simulator_speed_ratio",
    kind="gauge",
    help="Simulated seconds a real second.",
)
CLOCK = Metric(
    name="crypto_pipeline_simulator_clock_timestamp_seconds",
    kind="gauge",
    help="The market's now, seconds since 1970 UTC.",
)
