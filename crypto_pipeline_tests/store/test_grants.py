"""Each workload does its work with its own policy, and without any one grant something fails.

The clients are the real ones. A grant is one action on one place, so a place too many is found
as well as an action too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pyarrow as pa
import pytest
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from deltalake import write_deltalake

from crypto_pipeline.keeping_settings import LAYER_DAYS
from crypto_pipeline.lake.lease import FOLDER, Terms, file_name, take
from crypto_pipeline.lake.lease_store import lease_store
from crypto_pipeline.lake.opening import exists, open_delta
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.lake.test_lease import holder
from crypto_pipeline_tests.store.authority import Authority
from crypto_pipeline_tests.store.proxy import Proxy
from crypto_pipeline_tests.store.server import KEYS
from crypto_pipeline_tests.store.stack import BUCKET, PREFIX, Stack
from crypto_pipeline_tests.store.world import Operation, World, unneeded

pytestmark = pytest.mark.integration

TERMS = Terms(renew=0.1, expiry=30, longest_request=1)


@pytest.fixture
def world(
    stack: Stack,
    proxy: Proxy,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """The stack's own lake; what an operation needs to find there, the administrator puts there."""
    values = {
        "LAKE_ROOT": stack.outputs["LakeRoot"],
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_REGION": "us-east-1",
        **KEYS,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    # Its default session would keep these keys for other tests.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    authority = Authority()
    proxy.decide, proxy.review = authority.decide, authority.review
    yield World(settings=make_settings(**values), stack=stack, proxy=proxy, authority=authority)
    for entry in stack.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        stack.client("s3").delete_object(Bucket=BUCKET, Key=entry["Key"])


def hold_a_lease(world: World) -> None:
    """Look who holds it, take the next number, renew and let go."""
    lease = take(
        lease_store(world.settings),
        holder(uuid4().hex),
        terms=TERMS,
        is_dead=lambda _: True,
        say=lambda _: None,
    )
    lease.renew()
    lease.release()


def read_layer(layer: str) -> Operation:
    """A table's rows, and that another is not there."""

    def read(world: World) -> None:
        table = open_delta(f"{world.root}/{layer}/table")
        assert table is not None
        assert table.to_pyarrow_table().num_rows == 3
        assert open_delta(f"{world.root}/{layer}/no-table") is None

    return read


def see_that_another_took_over(world: World) -> None:
    """As a run looks before each commit; there is no third lease."""
    assert exists(world.root, f"{FOLDER}/{file_name(2)}")
    assert not exists(world.root, f"{FOLDER}/{file_name(3)}")


def write_tables(world: World) -> None:
    options = {
        "AWS_ENDPOINT_URL": world.stack.url, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAADMIN", "AWS_SECRET_ACCESS_KEY": "secret-of-the-admin",
        "AWS_S3_ALLOW_UNSAFE_RENAME": "true",
    }  # fmt: skip
    for layer in LAYER_DAYS:
        rows = pa.table({"id": [1, 2, 3]})
        write_deltalake(f"s3://{BUCKET}/{PREFIX}/{layer}/table", rows, storage_options=options)


@pytest.fixture
def manager(world: World, tmp_path: Path) -> Iterator[S3ComputeLogManager]:
    """Dagster's own, as the instance's settings of a lake in a store make it."""
    made = S3ComputeLogManager(
        bucket=BUCKET,
        prefix=f"{PREFIX}/_dagster",
        local_dir=str(tmp_path / "output"),
        endpoint_url=world.proxy.url,
        skip_empty_files=True,
        region="us-east-1",
    )
    yield made
    made.dispose()


def keep_and_show(manager: S3ComputeLogManager, *, megabytes: int = 0) -> Operation:
    """What a run printed is uploaded, found again and read back by another process."""

    def keep(world: World) -> None:
        key = [uuid4().hex, "compute_logs", "step"]
        local = Path(manager.local_manager.get_captured_local_path(key, "out"))
        local.parent.mkdir(parents=True)
        local.write_bytes(b"printed" + bytes(megabytes * 1_000_000))
        manager.upload_to_cloud_storage(key, ComputeIOType.STDOUT)
        assert manager.cloud_storage_has_logs(key, ComputeIOType.STDOUT)
        local.unlink()
        manager.download_from_cloud_storage(key, ComputeIOType.STDOUT)
        assert local.read_bytes().startswith(b"printed")

    return keep


def give_up_an_upload(manager: S3ComputeLogManager) -> Operation:
    """A large output whose upload fails leaves no parts behind, which would be paid for."""

    def give_up(world: World) -> None:
        before = world.cut_uploads("_dagster/")
        with world.parts_fail(), pytest.raises(Exception, match=r"AccessDenied|Access Denied"):
            keep_and_show(manager, megabytes=20)(world)
        assert world.cut_uploads("_dagster/") == before

    return give_up


def test_who_holds_the_lease_has_what_it_takes_and_no_more(world: World) -> None:
    with world.acting("HoldLeasePolicy"):
        hold_a_lease(world)
        hold_a_lease(world)
    assert world.authority.refused == []
    assert unneeded(world, ["HoldLeasePolicy"], {"hold": hold_a_lease}) == []


def test_a_grant_too_many_is_found(world: World) -> None:
    too_many = ["HoldLeasePolicy", "RunOutputPolicy"]
    with world.acting(*too_many):
        hold_a_lease(world)
    found = unneeded(world, too_many, {"hold": hold_a_lease})
    assert found == list(world.stack.grants("RunOutputPolicy"))


def test_who_reads_has_what_it_takes_and_no_more(world: World) -> None:
    write_tables(world)
    world.admin.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{FOLDER}/{file_name(2)}", Body=b"{}")
    operations = {layer: read_layer(layer) for layer in LAYER_DAYS}
    operations["lease"] = see_that_another_took_over
    with world.acting("ReadLakePolicy"):
        for operation in operations.values():
            operation(world)
    assert world.authority.refused == []
    assert unneeded(world, ["ReadLakePolicy"], operations) == []


def test_what_runs_print_takes_what_it_has_and_no_more(
    world: World, manager: S3ComputeLogManager
) -> None:
    operations = {"keep": keep_and_show(manager), "give up": give_up_an_upload(manager)}
    with world.acting("RunOutputPolicy"):
        for operation in operations.values():
            operation(world)
    assert {asked.action for asked in world.authority.refused} <= {"s3:PutObject"}
    assert unneeded(world, ["RunOutputPolicy"], operations) == []


def test_a_machine_with_all_policies_shows_runs_too(
    world: World, manager: S3ComputeLogManager
) -> None:
    """The pages ask for output that is not there yet, and list it."""
    with world.acting("ReadLakePolicy", "RunOutputPolicy"):
        assert not manager.cloud_storage_has_logs(["no-run", "logs", "x"], ComputeIOType.STDOUT)
        keep_and_show(manager)(world)
    assert world.authority.refused == []
