"""Our wheel as a workspace knows it: its package, entry point, file and place."""

from __future__ import annotations

from crypto_pipeline.databricks_settings import DatabricksSettings
from crypto_pipeline.version import VERSION

PACKAGE = "crypto_pipeline_stages"
ENTRY_POINT = "run_stage"
WHEEL = f"{PACKAGE}-{VERSION}-py3-none-any.whl"


def wheel_path(databricks: DatabricksSettings) -> str:
    """Where the workspace finds it: in the volume, under this version's name."""
    return f"{databricks.volume}/{WHEEL}"
