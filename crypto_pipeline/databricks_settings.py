"""Settings of stages that run in a Databricks workspace: a group of its own in `Settings`.

The names of the workspace and of the token are the usual ones. Without a token the workspace's
client takes its own chain (a service principal's variables, a profile, a cloud's identity).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from crypto_pipeline import setting_values
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.setting_values import Secret

Runner = Literal["connect", "databricks"]

# Raw is not among them: it is read from Kafka, by the Spark that stands next to it.
LAYERS = ("bronze", "silver", "gold", "predictions")
NAME = r"[A-Za-z0-9_-]+"
VOLUME_FORM = re.compile(rf"/Volumes/{NAME}/{NAME}/{NAME}(/[\w.-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabricksSettings:
    """`layers` are those whose stages run there. Without a cluster they run serverless.

    `volume` is a folder of a Unity Catalog volume: there are the wheel and the messages. With
    a `catalog` the tables of these layers have names in it.
    """

    runner: Runner
    layers: frozenset[str]
    host: str | None
    token: Secret | None
    volume: str | None
    cluster_id: str | None
    catalog: str | None
    timeout_minutes: int

    def runs(self, layer: str) -> bool:
        """Whether the stages of a layer run there."""
        return self.runner == "databricks" and layer in self.layers

    def environment(self) -> dict[str, str]:
        """Without the token, which children take from the environment or `.env` themselves."""
        values = {
            "RUNNER": self.runner,
            "DATABRICKS_LAYERS": ",".join(n for n in LAYERS if n in self.layers),
            "DATABRICKS_HOST": self.host,
            "DATABRICKS_VOLUME": self.volume,
            "DATABRICKS_CLUSTER_ID": self.cluster_id,
            "DATABRICKS_CATALOG": self.catalog,
            "DATABRICKS_TIMEOUT_MINUTES": str(self.timeout_minutes),
        }
        return {name: value for name, value in values.items() if value is not None}


def databricks(values: Mapping[str, str]) -> DatabricksSettings:
    """Raises SettingsError, also for a runner that lacks what it needs."""
    runner = setting_values.choice(values, "RUNNER", "connect", ("connect", "databricks"))
    found = DatabricksSettings(
        runner="databricks" if runner == "databricks" else "connect",
        layers=_layers(values.get("DATABRICKS_LAYERS", ",".join(LAYERS))),
        host=_host(values),
        token=setting_values.secret(values, "DATABRICKS_TOKEN"),
        volume=_formed(values, "DATABRICKS_VOLUME", VOLUME_FORM, "/Volumes/main/market/pipeline"),
        cluster_id=_formed(
            values, "DATABRICKS_CLUSTER_ID", re.compile(NAME), "0123-456789-abcdefgh"
        ),
        catalog=_formed(values, "DATABRICKS_CATALOG", re.compile(NAME), "market"),
        timeout_minutes=setting_values.integer(
            values, "DATABRICKS_TIMEOUT_MINUTES", 60, low=1, high=1440
        ),
    )
    if found.runner == "databricks" and found.volume is None:
        raise SettingsError(
            "RUNNER=databricks needs DATABRICKS_VOLUME: the folder of a Unity Catalog volume that "
            "holds our wheel and takes the messages, such as /Volumes/main/market/pipeline "
            "(docs/databricks.md)."
        )
    if found.runner == "databricks" and "://" not in values.get("LAKE_ROOT", ""):
        raise SettingsError(
            "RUNNER=databricks needs LAKE_ROOT=s3a://bucket/prefix: Databricks cannot read a "
            "folder of this machine."
        )
    return found


def _layers(text: str) -> frozenset[str]:
    named = [part.strip().lower() for part in text.split(",") if part.strip()]
    if not named or not set(named) <= set(LAYERS):
        raise SettingsError(
            f"DATABRICKS_LAYERS is {text!r}. Name one or more of {', '.join(LAYERS)}, commas "
            "between. Raw is written next to Kafka."
        )
    return frozenset(named)


def _host(values: Mapping[str, str]) -> str | None:
    """
    >>> _host({"DATABRICKS_HOST": "dbc-1.cloud.databricks.com"})
    'https://dbc-1.cloud.databricks.com'
    """
    if "DATABRICKS_HOST" not in values:
        return None
    text = values["DATABRICKS_HOST"]
    full = text if "://" in text else f"https://{text}"
    example = "https://dbc-a1b2c3d4-e5f6.cloud.databricks.com"
    return setting_values.url({"DATABRICKS_HOST": full}, "DATABRICKS_HOST", example)


def _formed(
    values: Mapping[str, str], name: str, form: re.Pattern[str], example: str
) -> str | None:
    text = values.get(name)
    if text is None:
        return None
    if not form.fullmatch(text.rstrip("/")):
        raise SettingsError(f"{name} is {text!r}. Give one such as {example}.")
    return text.rstrip("/")
