"""A layer from a notebook: the same steps as the wheel task's, with widgets for parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from crypto_pipeline.databricks.task import open_runner, parse, run_steps

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Each widget with what it stands for at first and what it says above it.
WIDGETS = {
    "lake_root": ("", "Lake root, s3://bucket/prefix"),
    "market": ("live", "Market: live, simulated or recorded"),
    "catalog": ("", "Catalog, or empty for an external location"),
}


class Widgets(Protocol):
    """The part of `dbutils.widgets` that is used."""

    def text(self, name: str, default: str, label: str) -> None: ...

    def get(self, name: str) -> str: ...


def run_layer(layer: str, *, spark: SparkSession, widgets: Widgets) -> list[dict[str, Any]]:
    """Run the steps of a layer with what the widgets say; what each did, for the screen."""
    for name, (default, label) in WIDGETS.items():
        widgets.text(name, default, label)
    values = [f"--{name.replace('_', '-')}={widgets.get(name).strip()}" for name in WIDGETS]
    asked = parse([f"--steps={layer}", *values])
    shown: list[dict[str, Any]] = []
    run_steps(asked, open_runner(asked, spark), report=shown.append)
    return shown
