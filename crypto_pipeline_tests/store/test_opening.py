"""What a lake in an object store says of what is not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crypto_pipeline.errors import StoreAwayError
from crypto_pipeline.lake.opening import exists, open_delta
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.store.server import KEYS, Store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def in_store(
    store: Store, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings of an empty lake in the store; this process reads it too."""
    values = store.settings("lake-of-a-test")
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return make_settings(**values)


def test_without_a_table_there_is_none_and_without_a_store_there_is_a_sentence(
    in_store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_delta(f"{in_store.lake_root}/no/table") is None
    assert not exists(in_store.lake_root, "_lease/000000000001.json")

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreAwayError, match="did not give s3a://lake/") as caught:
        open_delta(f"{in_store.lake_root}/silver/ticks")
    assert "Check the bucket, its rights" in str(caught.value)
    assert not any(key in str(caught.value) for key in KEYS.values())
