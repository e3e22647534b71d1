"""Spark: is the Connect server reached, does it take our token, and is it the version we speak."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from crypto_pipeline.doctor.finding import Finding, idle, tried
from crypto_pipeline.embedded import up_lock
from crypto_pipeline.errors import SparkAwayError
from crypto_pipeline.lake.session import connect, disconnect, knock
from crypto_pipeline.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A session of its own: the writer's is not touched.
ROLE = "doctor"


def look(settings: Settings, *, opened: Callable[..., SparkSession] = connect) -> Iterator[Finding]:
    if settings.spark_remote is None and not up_lock.is_held(settings):
        yield idle("Spark", "The server of `make up`, which does not run.")
        return
    yield tried("Spark", lambda: _session(settings, opened))


def _session(settings: Settings, opened: Callable[..., SparkSession]) -> str:
    import pyspark

    knock(settings)
    spark = opened(settings, role=ROLE)
    try:
        version = spark.version
    finally:
        disconnect(spark)
    if version != pyspark.__version__:
        raise SparkAwayError(
            f"The Spark server at {settings.spark_address} is {version}, this client is "
            f"{pyspark.__version__}. Use a server of the same version: deploy/docker builds one."
        )
    return f"{settings.spark_address}, version {version}, takes our token."
