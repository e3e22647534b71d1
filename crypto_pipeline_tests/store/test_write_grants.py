"""The Spark server and Databricks write with their own policies: what each grant is needed for.

One server is started. Its keys mean first the one policy, then the other: who one is, is decided
at the store. For a grant that is taken away only the smallest operation that needs it is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from pyspark.errors import PySparkException

from crypto_pipeline.doctor.spark import look as doctor_of_spark
from crypto_pipeline.embedded import jars, spark_on_store
from crypto_pipeline.embedded.running import services
from crypto_pipeline.keeping_settings import LAYER_DAYS
from crypto_pipeline.lake.session import connect, disconnect
from crypto_pipeline.maintenance.perform import LISTING_TASKS
from crypto_pipeline.rebuild.run import SIDE
from crypto_pipeline.setting_values import Secret
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import missing
from crypto_pipeline_tests.proof import Proof, begin, is_full
from crypto_pipeline_tests.short_lived import short_lived
from crypto_pipeline_tests.store.authority import Authority
from crypto_pipeline_tests.store.policy import Grant
from crypto_pipeline_tests.store.proxy import before
from crypto_pipeline_tests.store.server import KEYS, Store
from crypto_pipeline_tests.store.stack import PREFIX, Stack
from crypto_pipeline_tests.store.world import Operation, World, fails

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]

WRITTEN_BY_DATABRICKS = tuple(layer for layer in LAYER_DAYS if layer != "raw")
# The process around the server renews its lease all the while.
SPARK = ("WriteLakePolicy", "HoldLeasePolicy")
DATABRICKS = ("DatabricksPolicy", "HoldLeasePolicy")
# Large enough for three parts.
NOISE_ROWS = 1_600_000


MINUTES = pytest.mark.skipif(
    not is_full(), reason="minutes: `make prove` has it; test_grants.py tries the other policies"
)


@pytest.fixture(scope="module")
def world(store: Store, stack: Stack, make_settings: Callable[..., Settings]) -> Iterator[World]:
    """A running server; large files go up in parts of 5 MB, S3's least, instead of 64."""
    parts = {f"spark.hadoop.fs.s3a.multipart.{what}": "5M" for what in ("size", "threshold")}
    with before(store.port) as proxy, pytest.MonkeyPatch.context() as patch:
        whole = spark_on_store.configuration
        patch.setattr(spark_on_store, "configuration", lambda s: whole(s) | parts)
        values = {
            "LAKE_ROOT": stack.outputs["LakeRoot"], "AWS_ENDPOINT_URL": proxy.url, **KEYS,
        }  # fmt: skip
        settings = make_settings(**values)
        if jars.missing(jars.needed(settings), jars.folder(settings)):
            missing("the jars of Spark and of S3 are not here: `make test` with a network")
        authority = Authority()
        proxy.decide, proxy.review = authority.decide, authority.review
        made = World(settings=settings, stack=stack, proxy=proxy, authority=authority)
        with made.acting(*SPARK), short_lived(), services(settings, ["spark"]):
            yield made


@pytest.fixture(scope="module")
def spark(world: World) -> Iterator[SparkSession]:
    session = connect(world.settings, role="tests")
    session.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
    # Else files are listed in 10,000 tasks, however few they are.
    session.conf.set("spark.sql.sources.parallelPartitionDiscovery.parallelism", LISTING_TASKS)
    yield session
    disconnect(session)


def path(world: World, layer: str) -> str:
    return f"{world.root}/{layer}/table"


def create(spark: SparkSession, layer: str) -> Operation:
    """A new table: what is not there yet is asked for, found missing, and written."""

    def run(world: World) -> None:
        new = f"{world.root}/{layer}/{uuid4().hex}"
        spark.sql(f"CREATE TABLE delta.`{new}` (id BIGINT) USING DELTA")

    return run


def append(spark: SparkSession, layer: str) -> Operation:
    """A commit, after which nothing new is left of the names it was first written under.

    What a commit without the right to delete has left stays for ever.
    """

    def run(world: World) -> None:
        old = begun_files(world, layer)
        rows = spark.sql("SELECT 1L AS id, DATE'2026-11-25' AS date, 0.5D AS noise")
        rows.write.format("delta").mode("append").partitionBy("date").save(path(world, layer))
        assert not begun_files(world, layer) - old

    return run


def begun_files(world: World, layer: str) -> set[str]:
    return {key for key in world.keys(f"{layer}/table/") if key.endswith(".tmp")}


def read(spark: SparkSession, layer: str) -> Operation:
    def run(world: World) -> None:
        spark.read.format("delta").load(path(world, layer)).select("id").collect()

    return run


def compact(spark: SparkSession, layer: str) -> Operation:
    def run(world: World) -> None:
        spark.sql(f"OPTIMIZE delta.`{path(world, layer)}`").collect()
        spark.sql(f"DELETE FROM delta.`{path(world, layer)}` WHERE date < '2026-01-01'").collect()

    return run


def vacuum(spark: SparkSession, layer: str) -> Operation:
    """Rows are replaced, and their old files are gone afterwards."""

    def run(world: World) -> None:
        table = path(world, layer)
        rows = spark.sql("SELECT 2L AS id, DATE'2026-11-25' AS date, 0.5D AS noise")
        old = data_files(world, layer)
        rows.write.format("delta").mode("overwrite").option(
            "replaceWhere", "date = '2026-11-25'"
        ).save(table)
        spark.sql(f"VACUUM delta.`{table}` RETAIN 0 HOURS").collect()
        left = data_files(world, layer)
        assert left
        assert not left & old

    return run


def data_files(world: World, layer: str) -> set[str]:
    return {key for key in world.keys(f"{layer}/table/date=") if key.endswith(".parquet")}


def clean_log(spark: SparkSession, layer: str) -> Operation:
    """Old entries of the log are gone after a commit that writes a checkpoint."""

    def run(world: World) -> None:
        table = path(world, layer)
        every = "'delta.checkpointInterval' = '1'"
        spark.sql(f"ALTER TABLE delta.`{table}` SET TBLPROPERTIES ({every})").collect()
        with world.months_later():
            append(spark, layer)(world)
            append(spark, layer)(world)
        assert f"{layer}/table/_delta_log/{0:020d}.json" not in world.keys(f"{layer}/table/")

    return run


def give_up(spark: SparkSession, layer: str) -> Operation:
    """A large file whose upload fails leaves no parts behind."""

    def run(world: World) -> None:
        assert world.cut_uploads(f"{layer}/") == []
        noise = f"rand() AS noise FROM range(0, {NOISE_ROWS}, 1, 1)"
        rows = spark.sql(f"SELECT id, DATE'2026-11-24' AS date, {noise}")
        try:
            with world.parts_fail(), pytest.raises(PySparkException):
                rows.write.format("delta").mode("append").save(path(world, layer))
            assert world.cut_uploads(f"{layer}/") == []
        finally:
            world.abort_uploads()

    return run


def suite(spark: SparkSession, layers: Sequence[str]) -> Iterator[Operation]:
    """Everything that a writer does; a side place has no upkeep."""
    for layer in layers:
        yield create(spark, layer)
        yield append(spark, layer)
        yield give_up(spark, layer)
        if layer not in ("raw", SIDE):
            yield vacuum(spark, layer)
        if layer != SIDE:
            yield compact(spark, layer)
            yield clean_log(spark, layer)
            yield read(spark, layer)


def perform(world: World, operations: Iterable[Operation]) -> None:
    """All of them, and nothing that was asked for is refused."""
    world.authority.refused.clear()
    for operation in operations:
        try:
            operation(world)
        finally:
            assert world.authority.refused == [], operation.__qualname__


def layer_of(grant: Grant) -> str:
    """The layer of a grant; empty for one on the bucket."""
    return grant.resource.partition(f"/{PREFIX}/")[2].partition("/")[0]


def smallest(spark: SparkSession, grant: Grant, layers: Sequence[str]) -> Operation:
    """The operation that shows what a grant is for."""
    layer = layer_of(grant) or layers[0]
    if grant.action == "s3:AbortMultipartUpload":
        return give_up(spark, layer)
    if grant.action == "s3:DeleteObject":
        return append(spark, layer) if "_delta_log" in grant.resource else vacuum(spark, layer)
    if grant.sid == "ReadRaw":
        return read(spark, layer)
    return create(spark, layer)


def check(
    world: World,
    spark: SparkSession,
    policies: tuple[str, str],
    layers: Sequence[str],
    proof: Proof,
) -> None:
    """Every grant on these layers was used; without one of a sample its operation fails."""
    every = world.stack.grants(policies[0])
    given = [grant for grant in every if layer_of(grant) in ("", *layers)]
    assert [grant for grant in given if grant not in world.authority.used] == []
    for grant in proof.random().sample(given, min(proof.count, len(given))):
        with world.acting(*policies, without=grant):
            assert fails(world, smallest(spark, grant, layers)), grant
        with world.acting(*policies):
            assert not fails(world, smallest(spark, grant, layers)), grant
    proof.record(grants=len(given), policy=policies[0], layers=list(layers))


def begun(name: str) -> Proof:
    """All grants and layers in full, else some."""
    return begin(name, reduced=4, full=100, also=("deploy/aws",))


def some(proof: Proof, layers: Sequence[str]) -> tuple[str, ...]:
    return tuple(layers) if is_full() else (proof.random().choice(list(layers)),)


@pytest.mark.prove
@MINUTES
def test_the_spark_server_has_what_it_takes_and_no_more(world: World, spark: SparkSession) -> None:
    proof = begun("grants-of-the-spark-server")
    layers = ("raw", *some(proof, WRITTEN_BY_DATABRICKS), SIDE)
    world.authority.used.clear()
    with world.acting(*SPARK):
        perform(world, suite(spark, layers))
    check(world, spark, SPARK, layers, proof)


@pytest.mark.prove
@MINUTES
def test_databricks_has_what_it_takes_and_no_more(world: World, spark: SparkSession) -> None:
    proof = begun("grants-of-databricks")
    layers = some(proof, WRITTEN_BY_DATABRICKS)
    with world.acting(*SPARK):
        append(spark, "raw")(world)
    world.authority.used.clear()
    with world.acting(*DATABRICKS):
        perform(world, [read(spark, "raw"), *suite(spark, layers)])
        assert fails(world, append(spark, "raw"))
    check(world, spark, DATABRICKS, (*layers, "raw"), proof)


def test_a_data_file_of_raw_stays_whatever_the_server_is_told(
    world: World, spark: SparkSession
) -> None:
    """Refused or passed over in silence: the upkeep leaves it out (RAW_VACUUM=no)."""

    def vacuum_raw(world: World) -> None:
        spark.sql(f"VACUUM delta.`{path(world, 'raw')}` RETAIN 0 HOURS").collect()

    with world.acting(*SPARK):
        for _ in range(2):
            append(spark, "raw")(world)
        compact(spark, "raw")(world)
        kept = data_files(world, "raw")
        fails(world, vacuum_raw)
        assert kept == data_files(world, "raw")


def test_doctor_is_let_in_by_the_server(world: World, spark: SparkSession) -> None:
    remote = replace(world.settings, spark_remote=world.settings.spark_address)
    assert [finding.verdict for finding in doctor_of_spark(remote)] == ["ok"]
    wrong = replace(remote, spark_token_setting=Secret("canary-not-the-token"))
    (told,) = [finding.line() for finding in doctor_of_spark(wrong)]
    assert told.startswith("wrong")
    assert "SPARK_CONNECT_TOKEN" in told
    assert "canary" not in told
