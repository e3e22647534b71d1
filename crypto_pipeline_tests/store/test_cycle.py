"""The whole cycle on a lake in an object store, by the command that a user types."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date

import httpx
import pytest

from crypto_pipeline.backfill.run import days_to_repair
from crypto_pipeline.embedded import jars
from crypto_pipeline.errors import StoreAwayError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.opening import exists, open_delta
from crypto_pipeline.lake.rows import read_days
from crypto_pipeline.settings import Settings
from crypto_pipeline.silver.schema import GAPS
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests.conftest import free_port, missing
from crypto_pipeline_tests.store.server import BUCKET, KEYS, Store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def in_store(
    store: Store, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings of an empty lake in the store; this process reads it too."""
    values = store.settings("lake-of-a-test")
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    made = make_settings(SYMBOLS="BTC-USDT,ETH-USDT", HISTORY_HOURS="1", **values)
    if jars.missing(jars.needed(made), jars.folder(made)):
        missing("the jars of the broker, of Spark and of S3 are not here: `make test` with one")
    return made


def once(settings: Settings) -> str:
    """Run the command; its output, which must end well."""
    done = subprocess.run(
        [sys.executable, "-m", "crypto_pipeline.cli", "once"],
        env={**os.environ, **settings.environment(), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


@pytest.mark.spark
def test_a_cycle_works_on_a_store_and_its_keys_show_nowhere(
    in_store: Settings, store: Store
) -> None:
    output = once(in_store)

    assert "books balanced: True" in output
    root = in_store.lake_root
    for stage in STAGES:
        last = log.last_commit(f"{root}/{stage.primary.key}")
        assert last is not None, stage.name
        assert (last.batch, last.lease_epoch) == (1, 1)
    assert in_store.lake_root == f"s3a://{BUCKET}/lake-of-a-test"
    assert not (in_store.home / "lake").exists()
    assert exists(root, "_lease/000000000001.json")
    assert not exists(root, "_lease/000000000002.json")
    ticks = open_delta(f"{root}/silver/ticks")
    assert ticks is not None
    assert set(ticks.to_pyarrow_table(columns=["symbol"])["symbol"].to_pylist()) == {
        "BTC-USDT",
        "ETH-USDT",
    }
    # The ledger of gaps is read as the sensor reads it.
    assert read_days(f"{root}/{GAPS.key}", since=date(2020, 1, 1)) is not None
    assert isinstance(days_to_repair(in_store), list)

    logs = "".join(file.read_text() for file in (in_store.home / "logs").glob("*.log"))
    names = [key["Key"] for key in _keys(store)]
    for key in KEYS.values():
        assert key not in output + logs + " ".join(names)


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


def _keys(store: Store) -> list[dict[str, str]]:
    import xml.etree.ElementTree as ElementTree

    listing = httpx.get(f"{store.url}/{BUCKET}?list-type=2").text
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    return [
        {"Key": str(node.findtext(f"{space}Key"))}
        for node in ElementTree.fromstring(listing).iter(f"{space}Contents")
    ]
