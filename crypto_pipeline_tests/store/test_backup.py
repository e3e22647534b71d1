"""A lake in a bucket is backed up into a folder, and restored into a bucket or a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from crypto_pipeline import settings as settings_module
from crypto_pipeline.backup.lake_backup import backup, restore
from crypto_pipeline.backup.place import CHUNK, BucketPlace
from crypto_pipeline.errors import LakeError, StoreAwayError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.lease_store import client
from crypto_pipeline.lake.opening import storage_options
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, RAW
from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.lake.delta_log import record, write_commit
from crypto_pipeline_tests.store.server import BUCKET, Store

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

TABLES = (RAW.primary, BRONZE.primary)
PREFIX = "backed-up"


@pytest.fixture(scope="module")
def settings(store: Store, make_settings: Callable[..., Settings]) -> Iterator[Settings]:
    """Two tables with some commits in the bucket; this process reads it too."""
    values = store.settings(PREFIX)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        made = make_settings(**values)
        for table in TABLES:
            for batch in range(1, 4):
                write_commit(f"{made.lake_root}/{table.key}", record(batch), options=options())
        yield made


def options() -> dict[str, str]:
    return storage_options(settings_module.load().store)


def content(root: str) -> dict[str, object]:
    kept = options() if "://" in root else None
    found: dict[str, object] = {}
    for table in TABLES:
        path = f"{root}/{table.key}"
        opened = DeltaTable(path, storage_options=kept)
        rows = sorted(opened.to_pyarrow_table().to_pylist(), key=repr)
        found[table.key] = (opened.version(), rows, log.last_commit(path))
    return found


def at(settings: Settings, root: str) -> Settings:
    return replace(settings, lake_root_setting=root)


def test_a_bucket_comes_back_in_another_place_of_it_and_in_a_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both tables get another commit while it copies, which is not of it."""
    before = content(settings.lake_root)
    fetch, batches = BucketPlace.fetch, [4]

    def fetch_and_commit(own: BucketPlace, name: str, target: Path) -> str:
        for batch in batches:
            for table in TABLES:
                write_commit(f"{settings.lake_root}/{table.key}", record(batch), options=options())
        batches.clear()
        return fetch(own, name, target)

    with monkeypatch.context() as patch:
        patch.setattr(BucketPlace, "fetch", fetch_and_commit)
        made = backup(settings, tmp_path / "backup")
    assert made["tables"] == {table.key: 2 for table in TABLES}
    assert content(settings.lake_root) != before

    # The lake's own name begins like the first of them.
    for root in (f"s3a://{BUCKET}/{PREFIX[:-1]}", str(tmp_path / "restored")):
        restore(at(settings, root), tmp_path / "backup")
        assert content(root) == before
        with pytest.raises(LakeError, match=r"is not empty\. Stop the pipeline"):
            restore(at(settings, root), tmp_path / "backup")


def test_an_object_of_many_pieces_is_the_same_in_the_folder(
    settings: Settings, tmp_path: Path
) -> None:
    body = bytes(range(256)) * (CHUNK // 256 * 2 + 1)
    key = f"{PREFIX}/rebuild/large"
    client(settings.store).put_object(Bucket=BUCKET, Key=key, Body=body)
    BucketPlace(settings).fetch("rebuild/large", tmp_path / "large")
    assert (tmp_path / "large").read_bytes() == body
    client(settings.store).delete_object(Bucket=BUCKET, Key=key)


def test_without_a_store_there_is_a_sentence_and_no_backup(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreAwayError, match="Check the bucket, its rights"):
        backup(settings, tmp_path / "backup")
    assert not list(tmp_path.rglob("backup.json"))
