"""Reading a page of metrics, as a Prometheus would."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


def names(page: str) -> list[str]:
    """Of every metric that the page declares, in its order."""
    return [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")]


def values(page: str) -> dict[str, float]:
    """By name and its label values, in the order of the page: `ticks_total binance`."""
    return {
        " ".join([sample.name.removeprefix("crypto_pipeline_"), *sample.labels.values()]): (
            sample.value
        )
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
