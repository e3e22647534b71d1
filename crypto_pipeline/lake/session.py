"""One Spark Connect session: found or refused at once; the writer's is known by a fixed id."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pyspark.errors import PySparkException

from crypto_pipeline.errors import SparkAwayError
from crypto_pipeline.lake.lease import EPOCH_SETTING
from crypto_pipeline.settings import Settings, spark_token

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KNOCK_SECONDS = 3.0
# A writer's session has an id of its own, so that its successor finds and stops what it left.
WRITER = "lake-writer"
# A session that its server has closed, as after an hour without use, cannot be opened again; the
# next of the row is taken.
GENERATIONS = 50


def connect(settings: Settings, *, role: str = WRITER) -> SparkSession:
    """Open a session; operations that a killed writer left are stopped before the next one's.

    Raises SparkAwayError within three seconds when nothing listens. The client would
    retry for minutes.
    """
    knock(settings)
    for session in session_ids(settings, role=role):
        spark = _open(settings, session)
        if spark is not None:
            return spark
    raise SparkAwayError(
        f"The Spark server at {settings.spark_address} refuses every session of {role}. "
        "Restart it: stop `make up` and start it again."
    )


def disconnect(spark: SparkSession) -> None:
    """Close the channel and leave the session on the server, so that its id can be used again.

    A client that is left open asks the server once more when Python ends, and waits for
    minutes when the server is gone by then.
    """
    spark.release_session_on_close = False  # type: ignore[attr-defined]
    spark.stop()


def lease_epoch(spark: SparkSession) -> int:
    """The number of the lease that this session's server holds; 0 for a server without one."""
    return int(spark.conf.get(EPOCH_SETTING, "0") or 0)


def session_ids(settings: Settings, *, role: str) -> Iterator[str]:
    """To be tried in turn: a writer's own row; for others, who leave nothing behind, a new one."""
    if role != WRITER:
        yield str(uuid.uuid4())
        return
    for generation in range(GENERATIONS):
        yield str(uuid.uuid5(uuid.NAMESPACE_URL, f"{settings.lake_root}|{role}|{generation}"))


def knock(settings: Settings) -> None:
    address = urlsplit(settings.spark_address)
    host, port = address.hostname or "localhost", address.port or 15002
    try:
        socket.create_connection((host, port), timeout=KNOCK_SECONDS).close()
    except OSError as error:
        raise SparkAwayError(
            f"No Spark Connect server answers at {host}:{port} ({error}). Start the services "
            "with `make up`, or set SPARK_REMOTE."
        ) from error


def _open(settings: Settings, session: str) -> SparkSession | None:
    from pyspark.sql import SparkSession

    token = spark_token(settings).reveal()
    url = f"{settings.spark_address}/;token={token};session_id={session}"
    try:
        spark = SparkSession.builder.remote(url).create()
        spark.interruptAll()
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    except PySparkException as error:
        if "SESSION_CLOSED" in str(error) or "SESSION_CHANGED" in str(error):
            return None
        if "nauthenticated" in str(error) or "UNAUTHENTICATED" in str(error):
            raise SparkAwayError(
                f"The Spark server at {settings.spark_address} refuses our token. Remove "
                f"{settings.spark_token_file} and start `make up` again, or set "
                "SPARK_CONNECT_TOKEN to the server's own."
            ) from error
        raise
    return spark
