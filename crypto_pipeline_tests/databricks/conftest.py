"""Both engines on one bucket: our Spark beside the broker, the runtime's in a fake workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from crypto_pipeline.databricks.wheel import WHEEL
from crypto_pipeline.embedded import jars
from crypto_pipeline.embedded.running import services
from crypto_pipeline.lake.session import connect, disconnect
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests.conftest import missing
from crypto_pipeline_tests.databricks.cluster import (
    build_wheel,
    cluster,
    install_wheel,
    runtime,
    s3_conf,
)
from crypto_pipeline_tests.databricks.engines import PREFIX, Engines
from crypto_pipeline_tests.databricks.workspace import TOKEN, VOLUME, put_wheel, serving
from crypto_pipeline_tests.short_lived import short_lived
from crypto_pipeline_tests.store.server import KEYS
from crypto_pipeline_tests.store.server import serving as serving_store


@pytest.fixture(scope="package")
def engines(
    broker: Settings,
    make_settings: Callable[..., Settings],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engines]:
    """The settings are in this process's environment as long as they live."""
    folder = tmp_path_factory.mktemp("databricks")
    place = runtime()
    python = place / "bin" / "python"
    wheel = build_wheel(folder / "dist", python)
    assert wheel.name == WHEEL
    install_wheel(wheel, folder / "packages", python)
    with serving_store() as store, serving(folder, lambda _: {}) as workspace:
        settings = make_settings(
            **store.settings(PREFIX),
            KAFKA_PORT=str(broker.kafka_port),
            KAFKA_CONTROLLER_PORT=str(broker.kafka_controller_port),
            RUNNER="databricks",
            DATABRICKS_HOST=workspace.url,
            DATABRICKS_TOKEN=TOKEN,
            DATABRICKS_VOLUME=VOLUME,
        )
        if jars.missing(jars.needed(settings), jars.folder(settings)):
            missing("the jars of Spark and of S3 are not here: `make test` with a network")
        put_wheel(workspace, VOLUME, wheel)
        ensure(broker)
        conf = s3_conf(place, store.url, folder)
        with (
            pytest.MonkeyPatch.context() as patch,
            short_lived(),
            cluster(python, folder / "packages", folder=folder, conf=conf) as running,
            services(settings, ["spark"]),
        ):
            for name, value in {
                **settings.environment(), **KEYS, "DATABRICKS_TOKEN": TOKEN,
            }.items():  # fmt: skip
                patch.setenv(name, value)
            spark = connect(settings, role="tests")
            yield Engines(running, workspace, settings, store, spark)
            disconnect(spark)
