"""Without keys the clients take the role of the machine, pod or task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crypto_pipeline.lake.lease import Record
from crypto_pipeline.lake.lease_store import lease_store
from crypto_pipeline.lake.opening import exists, open_delta
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.lake.test_lease import holder
from crypto_pipeline_tests.store.proxy import Proxy
from crypto_pipeline_tests.store.role import KEY, role
from crypto_pipeline_tests.store.server import KEYS, Store

pytestmark = pytest.mark.integration


def test_the_readers_and_the_lease_use_the_role(
    store: Store,
    proxy: Proxy,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with role(tmp_path) as (variables, asked):
        place = {"LAKE_ROOT": store.settings("by-role")["LAKE_ROOT"], "AWS_ENDPOINT_URL": proxy.url}
        for name in KEYS:
            monkeypatch.delenv(name, raising=False)
        for name, value in {**place, **variables}.items():
            monkeypatch.setenv(name, value)
        settings = make_settings(**place)

        leases = lease_store(settings)
        assert leases.create(Record(epoch=1, holder=holder()))
        boto = sum(asked.values())
        assert exists(settings.lake_root, "_lease/000000000001.json")
        assert open_delta(f"{settings.lake_root}/no/table") is None

    assert boto > 0
    assert sum(asked.values()) > boto
    signed = [request.headers.get("authorization", "") for request in proxy.requests]
    assert signed
    assert all(KEY in signature for signature in signed)
