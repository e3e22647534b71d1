"""A lake from before the marks is brought to today's format through the server that writes it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from rich.console import Console

from crypto_pipeline import formats, state_format
from crypto_pipeline.embedded import up_lock
from crypto_pipeline.errors import FormatError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.migrate import migrations
from crypto_pipeline.migrate.command import migrate
from crypto_pipeline.settings import Settings, spark_token
from crypto_pipeline.stages import RAW
from crypto_pipeline_tests.builders import put, raw_row, read

pytestmark = [pytest.mark.spark, pytest.mark.integration]

# As the code made it that kept a log for seven days and knew no format.
UNMARKED = Path(__file__).parent / "format_0"
RECORDS = RAW.primary


@pytest.fixture
def settings(servers: Settings, make_settings: Callable[..., Settings]) -> Settings:
    """A folder with an unmarked state and table, beside a Spark server that runs."""
    made = make_settings(
        SPARK_PORT=str(servers.spark_port), SPARK_CONNECT_TOKEN=spark_token(servers).reveal()
    )
    (made.home / "spool").mkdir(parents=True)
    shutil.copytree(UNMARKED, made.lake_root)
    return made


def migrated(settings: Settings) -> str:
    out = io.StringIO()
    with up_lock.hold(settings):
        assert migrate(settings, Console(file=out, width=400)) == 0
    return out.getvalue()


def properties(lake: Lake) -> dict[str, str]:
    state = log.open_table(lake.path(RECORDS))
    assert state is not None
    return state.properties


def test_an_unmarked_lake_is_brought_along_and_goes_on(
    settings: Settings, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(spark=spark, root=settings.lake_root, market="simulated")
    with pytest.raises(FormatError, match=r"raw/records .* has format 0"):
        lake.ensure(RECORDS)
    before = properties(lake)
    assert before["delta.logRetentionDuration"] == "interval 7 days"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "set_properties", killed)
        with pytest.raises(KeyboardInterrupt):
            migrated(settings)
    assert properties(lake) == before

    said = migrated(settings)

    assert "raw/records: format 0 to 1" in said
    assert "state folder" not in said, "it was done before the kill"
    assert state_format.found(settings) == formats.FORMAT
    wanted = {k: v for k, v in RECORDS.properties.items() if k not in migrations.PROTOCOL}
    assert properties(lake).items() >= wanted.items()
    assert formats.of_table(properties(lake)) == formats.FORMAT

    done = log.open_table(lake.path(RECORDS))
    assert migrated(settings).startswith("Everything in ")
    assert log.open_table(lake.path(RECORDS)) == done

    put(lake, RAW, {RECORDS: [raw_row(b"1")]})
    assert [row["batch"] for row in read(lake.read(RECORDS), "batch")] == [1]
