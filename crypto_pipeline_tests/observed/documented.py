"""docs/metrics.md as data: the rows of its tables, by the process that they are about."""

from __future__ import annotations

from crypto_pipeline.observed.metric import Metric
from crypto_pipeline_tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "metrics.md"


def row(metric: Metric) -> str:
    """The line that the document owes a metric."""
    labels = ", ".join(f"`{name}`" for name in metric.labels)
    cells = [f"`{metric.name}`", metric.kind, labels, metric.help, metric.alarm]
    return "| " + " | ".join(cells) + " |"


def rows() -> dict[str, list[str]]:
    """Rows of metrics under each `## ` heading, in their order."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ").partition(":")[0].lower()
        elif line.startswith("| `crypto_pipeline_"):
            found.setdefault(heading, []).append(line)
    return found


def label_rows() -> dict[str, str]:
    """The values of each label, as the document lists them."""
    section = DOCUMENT.read_text().partition("## Labels")[2].partition("\n## ")[0]
    lines = section.splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    return {name.strip("`"): values for name, values in cells}
