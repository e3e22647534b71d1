"""Every metric, by the process that serves it; docs/metrics.md is the same as a table."""

from __future__ import annotations

from crypto_pipeline.observed import (
    dashboard_metrics,
    poll_metrics,
    simulator_metrics,
    spool_metrics,
)
from crypto_pipeline.observed.metric import Metric


def declared_in(module: object) -> tuple[Metric, ...]:
    """In the order in which they are written there."""
    return tuple(value for value in vars(module).values() if isinstance(value, Metric))


INGESTION = (*declared_in(poll_metrics), *declared_in(spool_metrics))
SIMULATOR = declared_in(simulator_metrics)
DASHBOARD = declared_in(dashboard_metrics)

DECLARED = {"ingestion": INGESTION, "simulator": SIMULATOR, "dashboard": DASHBOARD}
