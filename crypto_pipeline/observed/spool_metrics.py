"""Metrics of the spool and of the way from it to Kafka. Ages and lags are real seconds."""

from __future__ import annotations

from crypto_pipeline.observed.labels import TOPIC
from crypto_pipeline.observed.metric import Metric

SPOOLED = Metric(
    name="crypto_pipeline_messages_spooled_total",
    kind="counter",
    help="Messages made durable in the spool.",
    labels=TOPIC,
)
PUBLISHED = Metric(
    name="crypto_pipeline_messages_published_total",
    kind="counter",
    help="Messages that Kafka acknowledged, repeats after a kill included.",
    labels=TOPIC,
    alarm="no increase for 5 minutes",
)
PUBLISH_LAG = Metric(
    name="crypto_pipeline_publish_lag_seconds",
    kind="histogram",
    help="From a poll's arrival in the spool to the acknowledgement of its last message.",
    buckets=(0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
    alarm="its 95th percentile above 10 for 10 minutes",
)
SPOOL_BYTES = Metric(
    name="crypto_pipeline_spool_bytes",
    kind="gauge",
    help="Bytes in the spool, torn files included.",
    alarm="above 80 % of the limit",
)
SPOOL_LIMIT = Metric(
    name="crypto_pipeline_spool_limit_bytes",
    kind="gauge",
    help="What the spool may hold (SPOOL_LIMIT_MB).",
)
SPOOL_POLLS = Metric(
    name="crypto_pipeline_spool_polls",
    kind="gauge",
    help="Polls that wait in the spool for an acknowledgement.",
    alarm="above 5 for 5 minutes",
)
SPOOL_MESSAGES = Metric(
    name="crypto_pipeline_spool_messages",
    kind="gauge",
    help="Messages of the polls that wait in the spool.",
)
SPOOL_OLDEST_AGE = Metric(
    name="crypto_pipeline_spool_oldest_age_seconds",
    kind="gauge",
    help="How long the oldest poll has been waiting in the spool; 0 when none waits.",
    alarm="above 300",
)
SPOOL_TORN = Metric(
    name="crypto_pipeline_spool_torn_files",
    kind="gauge",
    help="Damaged spool files that were set aside as found.",
    alarm="above 0: look at the disk",
)
SPOOL_FULL = Metric(
    name="crypto_pipeline_spool_full",
    kind="gauge",
    help="1 from a poll that the spool refused until one that it took, else 0.",
    alarm="1: minutes are being lost now",
)
POLLS_LOST = Metric(
    name="crypto_pipeline_polls_lost_total",
    kind="counter",
    help="Minutes that were polled and not stored because the spool was full.",
    alarm="any increase",
)
DISK_FREE = Metric(
    name="crypto_pipeline_disk_free_bytes",
    kind="gauge",
    help="Free room on the disk that holds the spool.",
    alarm="below 1e9",
)
LAST_ACK_AGE = Metric(
    name="crypto_pipeline_last_ack_age_seconds",
    kind="gauge",
    help="Since Kafka last acknowledged a whole poll; absent before the first.",
    alarm="above 300",
)
