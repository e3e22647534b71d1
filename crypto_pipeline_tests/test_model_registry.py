"""Models as versions: kept as JSON, named champion and challenger, taken back by an alias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from crypto_pipeline import pipeline
from crypto_pipeline.errors import RegistryError
from crypto_pipeline.model_registry import CHALLENGER, CHAMPION, open_registry
from crypto_pipeline.pipeline import Pipeline
from crypto_pipeline.predictions.fit import Fit
from crypto_pipeline.predictions.recipe import TERMS
from crypto_pipeline.predictions.training import Training
from crypto_pipeline.settings import Settings

FIT = Fit(
    model="blend_pooled",
    horizon_minutes=5,
    weights=(0.1,) * len(TERMS),
    band=1.7,
    residual_variance=0.5,
    rows=600,
    trained_from=datetime(2026, 11, 9, tzinfo=UTC),
    trained_through=datetime(2026, 11, 23, tzinfo=UTC),
)


def model(version: str) -> dict[str, object]:
    return {"model": "blend_pooled", "model_version": version, "fits": [{"weights": [0.1, 0.2]}]}


def test_a_model_is_kept_named_promoted_and_taken_back(
    make_settings: Callable[..., Settings], capfd: pytest.CaptureFixture[str]
) -> None:
    settings = make_settings()
    registry = open_registry(settings)
    for refused in (registry.newest, registry.earlier_champion):
        with pytest.raises(RegistryError):
            refused()
    numbers = [registry.register(model(v), metrics={"rows_5m": 9.0}) for v in "abc"]
    assert numbers == [1, 2, 3]
    assert (registry.version_of(CHALLENGER), registry.version_of(CHAMPION)) == (3, None)
    assert registry.read(2) == model("b")

    registry.promote(1)
    with pytest.raises(RegistryError, match="no earlier champion"):
        registry.earlier_champion()
    registry.promote(registry.newest())
    assert registry.version_of(CHAMPION) == 3
    # The second was never champion.
    assert registry.earlier_champion() == 1
    registry.promote(1)
    assert (registry.version_of(CHALLENGER), registry.version_of(CHAMPION)) == (3, 1)
    with pytest.raises(RegistryError, match="refused"):
        registry.promote(4)
    files = [file for file in (settings.home / "models").rglob("*") if file.is_file()]
    assert {file.name for file in files} == {"model.json", "MLmodel"}
    # Not before the registry has set MLflow's options.
    from mlflow.models import Model

    told = Model.load(str(files[0].parent)).signature
    assert told.inputs.input_names() == list(TERMS[1:])
    assert told.outputs.input_names() == ["variance"]
    assert capfd.readouterr().err == ""


def test_an_address_that_is_none_is_a_sentence(make_settings: Callable[..., Settings]) -> None:
    registry = replace(open_registry(make_settings()), uri="nowhere://x", artifacts=None)
    with pytest.raises(RegistryError, match="MODEL_REGISTRY"):
        registry.version_of(CHAMPION)


def test_a_registry_that_is_away_costs_a_cycle_its_version_and_no_forecast(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    away = replace(open_registry(settings), uri="nowhere://x", artifacts=None)
    found = Pipeline(runner=SimpleNamespace(lake=None), screen=None, registry=away)  # type: ignore[arg-type]
    monkeypatch.setattr(Pipeline, "market_now", lambda _: FIT.trained_through)
    done = Training(fits=(FIT,), model_version="v", reason="fitted", market_now=FIT.trained_through)
    monkeypatch.setattr(pipeline, "train", lambda *_, **__: done)
    assert "not registered: The model registry at nowhere://x" in found.train().reason
    with pytest.raises(RegistryError):
        found.fit(market_now=FIT.trained_through)


def test_the_address_is_a_setting(make_settings: Callable[..., Settings]) -> None:
    registry = open_registry(make_settings(MODEL_REGISTRY="databricks-uc", MODEL_NAME="a.b.c"))
    assert (registry.uri, registry.name, registry.artifacts) == ("databricks-uc", "a.b.c", None)
    # Unity Catalog keeps no runs.
    assert registry.tracking_uri == "databricks"
    assert replace(registry, uri="databricks-uc://team").tracking_uri == "databricks://team"
