"""Declared metrics and their numbers as the text that Prometheus reads.

Every declared metric is on the page, also without a series yet, so the names never depend on
what has happened. The registry is the page's own: nothing of the process-wide one is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.registry import Collector

from crypto_pipeline.observed.ledger import Book, Series
from crypto_pipeline.observed.metric import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The numbers of each metric by its name.
Numbers = Mapping[str, Series]


def page(metrics: Sequence[Metric], numbers: Numbers) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Page(metrics, numbers))
    return generate_latest(registry)


def gauges(*values: tuple[Metric, tuple[str, ...], float]) -> dict[str, Series]:
    """Numbers of metrics that are looked up and not counted."""
    found: dict[str, Series] = {}
    for metric, labels, value in values:
        found.setdefault(metric.name, {})[",".join(metric.bounded(labels))] = [value]
    return found


def counted(book: Book, metrics: Sequence[Metric]) -> dict[str, Series]:
    """What was counted; a counter without labels begins at 0 instead of being absent."""
    found = {metric.name: book.counts.get(metric.name, {}) for metric in metrics}
    for metric in metrics:
        if metric.kind == "counter" and not metric.labels:
            found[metric.name] = found[metric.name] or {"": [0.0]}
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Page(Collector):
    metrics: Sequence[Metric]
    numbers: Numbers

    def collect(self) -> Iterator[Family]:
        for metric in self.metrics:
            yield _family(metric, self.numbers.get(metric.name, {}))


def _family(metric: Metric, series: Series) -> Family:
    names = list(metric.labels)
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=names)
        for key, numbers in series.items():
            histogram.add_metric(_labels(key), _buckets(metric, numbers), numbers[-1])
        return histogram
    make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = make(metric.name, metric.help, labels=names)
    for key, (value,) in series.items():
        family.add_metric(_labels(key), value)
    return family


def _labels(key: str) -> list[str]:
    return key.split(",") if key else []


def _buckets(metric: Metric, numbers: Sequence[float]) -> list[tuple[str, float]]:
    """Each bucket counts those below it too."""
    bounds = [*map(str, metric.buckets), "+Inf"]
    return list(zip(bounds, accumulate(numbers[:-1]), strict=True))
