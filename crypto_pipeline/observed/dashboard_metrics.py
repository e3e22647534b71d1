"""Metrics of the dashboard's reader and buffers."""

from __future__ import annotations

from crypto_pipeline.observed.metric import Metric

RECORDS = Metric(
    name="crypto_pipeline_dashboard_records_total",
    kind="counter",
    help="Records read from the topics since the first visit.",
    alarm="no increase for 3 minutes while the reader is live",
)
MALFORMED = Metric(
    name="crypto_pipeline_dashboard_malformed_total",
    kind="counter",
    help="Records that were not what their topic promises and were left out.",
    alarm="any increase",
)
SHED = Metric(
    name="crypto_pipeline_dashboard_shed_total",
    kind="counter",
    help="Records that the buffers let go to stay within their bytes.",
)
BYTES = Metric(
    name="crypto_pipeline_dashboard_buffer_bytes",
    kind="gauge",
    help="What the buffers hold, an upper estimate.",
)
LIVE = Metric(
    name="crypto_pipeline_dashboard_reader_live",
    kind="gauge",
    help="1 while the reader follows the topics, 0 while Kafka is away or nobody has visited.",
)
