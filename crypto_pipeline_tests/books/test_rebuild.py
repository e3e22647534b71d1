"""A rebuilt layer has the old values and batches; damage is put right; a kill is no harm."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest
from deltalake import DeltaTable

from crypto_pipeline.audit.command import summary
from crypto_pipeline.audit.run import audit
from crypto_pipeline.bronze import rules
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Table
from crypto_pipeline.rebuild import run as rebuilding
from crypto_pipeline.rebuild.run import rebuild, tables_below
from crypto_pipeline.replay.run import replay
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import STAGES
from crypto_pipeline_tests.books.market import copied, cycle, minute
from crypto_pipeline_tests.topics import send

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]

TABLES = [table for _, table in tables_below("bronze")]


def content(lake: Lake) -> dict[str, list[list[str]]]:
    """All rows of all tables as sorted values, the batch among them; doubles to 9 digits."""
    return {table.key: values(lake, table) for table in TABLES}


def values(lake: Lake, table: Table) -> list[list[str]]:
    """Read past Spark, which takes a second for what this does at once."""
    names = [field.name for field in table.schema.fields]
    rows = DeltaTable(lake.path(table)).to_pyarrow_table(columns=names).to_pylist()
    return sorted(
        [f"{v:.9e}" if isinstance(v, float) else repr(v) for v in row.values()] for row in rows
    )


class KilledError(Exception): ...


def damage(lake: Lake) -> None:
    """A row goes in bronze and in silver, a value is altered in gold."""
    for words in (
        "DELETE FROM {bronze/candles} WHERE symbol = 'BTC-USDT'",
        "DELETE FROM {silver/ticks} WHERE symbol = 'ETH-USDT'",
        "UPDATE {gold/candles_1m} SET close = 1 WHERE symbol = 'BTC-USDT'",
    ):
        lake.spark.sql(re.sub(r"\{(.*)\}", rf"delta.`{lake.root}/\1`", words)).collect()


def test_values_and_batches_stay_damage_is_put_right_a_kill_is_resumed_and_books_balance(
    books: StageRunner, servers: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = copied(books, tmp_path / "lake")
    lake = runner.lake
    monkeypatch.setattr(rules, "SYMBOL", r"^[A-Za-z0-9]{1,20}-[A-Z0-9]{2,10}$")
    assert replay(runner).passed == 1
    before = content(lake)
    damage(lake)
    assert content(lake) != before

    overwrite, calls = rebuilding._overwrite, []

    def killed(number: int, rows: object, place: str, record: object) -> None:
        calls.append(place)
        if len(calls) == number:
            raise KilledError
        overwrite(rows, place, record)  # type: ignore[arg-type]

    # Once while the side place is filled, once between two tables that are put in place.
    for number in (2, len(TABLES) + 2):
        calls.clear()
        with monkeypatch.context() as patched:
            patched.setattr(rebuilding, "_overwrite", partial(killed, number))
            with pytest.raises(KilledError):
                rebuild(lake, "bronze")
    calls.clear()
    monkeypatch.setattr(rebuilding, "_overwrite", lambda *a: (calls.append(a[1]), overwrite(*a)))
    assert [one.table for one in rebuild(lake, "bronze")] == [table.key for table in TABLES]
    assert len(calls) < len(TABLES)
    assert content(lake) == before

    versions = {stage.name: log.last_commit(lake.path(stage.primary)) for stage in STAGES}
    send(servers, *minute(8))
    cycle(runner)
    for stage in STAGES:
        old, new = versions[stage.name], log.last_commit(lake.path(stage.primary))
        assert old is not None
        assert new is not None
        assert new.batch == old.batch + 1
    for table in TABLES:
        lake.spark.sql(f"OPTIMIZE delta.`{lake.path(table)}`").collect()
    sound = audit(lake)
    assert sound.differences == ()
    assert sound.is_clean
    assert "no difference" in summary(sound)
    lines = {line.stage: dict(line.outcomes) for line in sound.lines}
    assert lines["bronze"] == {"ticks": 23, "candles": 22, "polls": 10, "rejected": 2}
    assert lines["silver"] == {
        "ticks": 20, "candles": 22, "duplicate": 1, "conflict": 1, "too_late": 1, "polls": 10,
    }  # fmt: skip
