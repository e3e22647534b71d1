"""Models as versions: kept as JSON, named champion and challenger, taken back by an alias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from crypto_pipeline.errors import RegistryError
from crypto_pipeline.model_registry import CHALLENGER, CHAMPION, open_registry
from crypto_pipeline.settings import Settings


def model(version: str) -> dict[str, object]:
    return {"model": "blend_pooled", "model_version": version, "fits": [{"weights": [0.1, 0.2]}]}


def test_a_model_is_kept_named_promoted_and_taken_back(
    make_settings: Callable[..., Settings],
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
    assert {file.name for file in files} == {"model.json"}


def test_an_address_that_is_none_is_a_sentence(make_settings: Callable[..., Settings]) -> None:
    registry = replace(open_registry(make_settings()), uri="nowhere://x", artifacts=None)
    with pytest.raises(RegistryError, match="MODEL_REGISTRY"):
        registry.version_of(CHAMPION)


def test_the_address_is_a_setting(make_settings: Callable[..., Settings]) -> None:
    registry = open_registry(make_settings(MODEL_REGISTRY="databricks-uc", MODEL_NAME="a.b.c"))
    assert (registry.uri, registry.name, registry.artifacts) == ("databricks-uc", "a.b.c", None)
