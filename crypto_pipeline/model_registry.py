"""Fitted models as versions of an MLflow registry: coefficients in JSON, and who is champion.

MLflow takes seconds to import, so it is imported by the first call that needs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.errors import RegistryError
from crypto_pipeline.gold.schema import VOLATILITY
from crypto_pipeline.predictions.fit import described as described_fit
from crypto_pipeline.predictions.recipe import CHALLENGER as MODEL
from crypto_pipeline.predictions.recipe import TERMS
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.settings import Settings, set_environment
from crypto_pipeline.version import VERSION

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
# The tag of a version that has been champion: where a rollback goes.
PROMOTED = "promoted_at"
FOLDER, FILE = "model", "model.json"
UNITY_CATALOG, DATABRICKS = "databricks-uc", "databricks"
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
# What MLflow calls a model: Unity Catalog takes none whose columns are not said.
MLMODEL = {
    "flavors": {"crypto_pipeline": {"data": FILE, "code_version": VERSION}},
    "signature": {
        "inputs": json.dumps([{"type": "double", "name": name} for name in TERMS[1:]]),
        "outputs": json.dumps([{"type": "double", "name": "variance"}]),
    },
}
# Reads its options nowhere else. It reports its use to its makers unless it is told not to, and
# would ask an address that does not answer for minutes while the lake is held.
OPTIONS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """One registered model at an MLflow address; `artifacts` is where embedded files go.

    Every call raises RegistryError, with what to do, when the registry does not answer.
    """

    uri: str
    name: str
    artifacts: Path | None = None

    def register(self, model: Mapping[str, Any], *, metrics: Mapping[str, float]) -> int:
        """Keep a model, name it challenger, and return its version."""
        with _errors(self.uri):
            client = self._client()
            run = client.create_run(self._experiment(client))
            for name, value in metrics.items():
                client.log_metric(run.info.run_id, name, value)
            client.log_dict(run.info.run_id, dict(model), f"{FOLDER}/{FILE}")
            client.log_dict(run.info.run_id, MLMODEL, f"{FOLDER}/MLmodel")
            client.set_terminated(run.info.run_id)
            if self._aliases(client) is None:
                client.create_registered_model(self.name)
            made = client.create_model_version(
                self.name,
                source=f"{run.info.artifact_uri}/{FOLDER}",
                run_id=run.info.run_id,
                tags={"model_version": str(model["model_version"])},
            )
            client.set_registered_model_alias(self.name, CHALLENGER, made.version)
            return int(made.version)

    def promote(self, version: int) -> None:
        """Move `champion` to a version."""
        with _errors(self.uri):
            client = self._client()
            client.set_registered_model_alias(self.name, CHAMPION, str(version))
            at = format_time(datetime.now(UTC))
            client.set_model_version_tag(self.name, str(version), PROMOTED, at)

    def newest(self) -> int:
        """The challenger; raises RegistryError when nothing was registered yet."""
        number = self.version_of(CHALLENGER)
        if number is None:
            raise RegistryError(
                f"{self.name} has no version yet: run `crypto-pipeline train` first."
            )
        return number

    def earlier_champion(self) -> int:
        """The newest version before the champion that has been champion; where a rollback goes."""
        with _errors(self.uri):
            client = self._client()
            now = self.version_of(CHAMPION) or 0
            found = client.search_model_versions(f"name='{self.name}'")
            older = (int(v.version) for v in found if int(v.version) < now)
            for number in sorted(older, reverse=True):
                # A search of Unity Catalog tells no tags.
                if PROMOTED in client.get_model_version(self.name, str(number)).tags:
                    return number
            raise RegistryError(f"{self.name} has no earlier champion to go back to.")

    def version_of(self, alias: str) -> int | None:
        """The version that an alias names; None when it names none."""
        with _errors(self.uri):
            number = (self._aliases(self._client()) or {}).get(alias)
            return None if number is None else int(number)

    def read(self, version: int) -> dict[str, Any]:
        """The model that was registered under a version."""
        with _errors(self.uri), TemporaryDirectory() as folder:
            client = self._client()
            made = client.get_model_version(self.name, str(version))
            file = client.download_artifacts(str(made.run_id), f"{FOLDER}/{FILE}", folder)
            model: dict[str, Any] = json.loads(Path(file).read_text())
            return model

    @property
    def tracking_uri(self) -> str:
        """Where runs and their files are; Unity Catalog keeps none, its workspace does."""
        return self.uri.replace(UNITY_CATALOG, DATABRICKS, 1)

    def _experiment(self, client: MlflowClient) -> str:
        is_databricks = self.tracking_uri.startswith(DATABRICKS)
        name = f"/Shared/{self.name}" if is_databricks else self.name
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        place = None if self.artifacts is None else self.artifacts.as_uri()
        return str(client.create_experiment(name, artifact_location=place))

    def _aliases(self, client: MlflowClient) -> Mapping[str, str] | None:
        """Versions by alias; None before the model is registered."""
        from mlflow.exceptions import MlflowException

        try:
            aliases: Mapping[str, str] = client.get_registered_model(self.name).aliases
        except MlflowException as error:
            if error.error_code in NOT_THERE:
                return None
            raise
        return aliases

    def _client(self) -> MlflowClient:
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.uri)


def described(done: Training) -> dict[str, Any]:
    """A training as JSON: coefficients, what they were fitted on, and by which code."""
    through = None if done.market_now is None else done.market_now.isoformat()
    return {
        "model": MODEL,
        "model_version": done.model_version,
        "trained_through": through,
        "input": {"table": VOLATILITY.key, "version": done.input_version},
        "code_version": VERSION,
        "fits": [described_fit(one) for one in done.fits],
    }


def metrics(done: Training) -> dict[str, float]:
    """What the registry shows beside a version: rows and the log error's variance by horizon."""
    found = {}
    for one in done.fits:
        if one.model == MODEL:
            found[f"rows_{one.horizon_minutes}m"] = float(one.rows)
            found[f"residual_variance_{one.horizon_minutes}m"] = one.residual_variance
    return found


def open_registry(settings: Settings) -> Registry:
    """The registry of the settings: an address, else a database file of this market's state."""
    keeping = settings.keeping
    if keeping.model_registry is not None:
        return Registry(uri=keeping.model_registry, name=keeping.model_name)
    home = settings.home
    home.mkdir(parents=True, exist_ok=True)
    uri = f"sqlite:///{home / 'models.db'}"
    return Registry(uri=uri, name=keeping.model_name, artifacts=home / "models")


@contextmanager
def _errors(uri: str) -> Iterator[None]:
    set_environment(OPTIONS)
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        raise RegistryError(
            f"The model registry at {uri} refused: {error}. Check MODEL_REGISTRY and MODEL_NAME."
        ) from error
