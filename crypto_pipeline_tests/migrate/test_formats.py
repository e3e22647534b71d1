"""A state folder or a table of another format is refused by whoever opens it, with the remedy."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from crypto_pipeline import formats, state_format
from crypto_pipeline.backup.lake_backup import MANIFEST, backup, restore
from crypto_pipeline.cli import cli
from crypto_pipeline.embedded import preflight
from crypto_pipeline.errors import FormatError, LakeError
from crypto_pipeline.migrate.command import migrate
from crypto_pipeline.migrate.found import table_formats
from crypto_pipeline.migrate.migrations import MIGRATIONS
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import CANDLES, RAW
from crypto_pipeline.stream.spool import Spool
from crypto_pipeline_tests.lake.delta_log import make_table

NEWER = formats.FORMAT + 1
TABLES = (RAW.primary, CANDLES.primary)
COMMANDS = [
    "up", "once", "audit", "trace BTC-USDT 2026-11-23T10:05Z", "replay rejected", "release",
    "rebuild gold", "status", "adopt-topic", "migrate",
]  # fmt: skip


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(SPARK_CONNECT_TOKEN="not asked")


def make_lake(settings: Settings, *numbers: int | None) -> None:
    for table, number in zip(TABLES, numbers, strict=True):
        make_table(Path(settings.lake_root, table.key), table_format=number)


def said_by(settings: Settings, command: str) -> str:
    token = settings.spark_token_setting
    assert token is not None
    given = {**settings.environment(), "SPARK_CONNECT_TOKEN": token.reveal()}
    done = CliRunner(env=given).invoke(cli, command.split())
    assert done.exit_code == 2, done.output
    return " ".join(done.output.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_newer_table_is_refused_by_every_command_that_opens_it(
    settings: Settings, command: str
) -> None:
    make_lake(settings, formats.FORMAT, NEWER)
    found = said_by(settings, command)
    assert re.search(rf"gold/candles_1m.* has format {NEWER}, .* knows {formats.FORMAT}: ", found)
    assert "Run that one, or restore a backup from before" in found
    assert not (settings.home / "kafka").exists(), "something was started"


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "migrate"])
def test_an_older_table_is_said_to_need_the_migration(settings: Settings, command: str) -> None:
    make_lake(settings, formats.FORMAT, None)
    found = said_by(settings, command)
    assert re.search(rf"gold/candles_1m.* has format 0, .* works with {formats.FORMAT}\. ", found)
    assert "then run `crypto-pipeline migrate`" in found


@pytest.mark.parametrize("command", [*COMMANDS, "backfill --from 2026-11-20"])
def test_a_newer_state_folder_is_refused_by_every_command_that_opens_it(
    settings: Settings, command: str
) -> None:
    state_format.mark(settings, NEWER)
    found = said_by(settings, command)
    assert f"The state in {settings.home} has format {NEWER}," in found
    assert [file.name for file in settings.home.iterdir()] == [state_format.FILE]


def test_a_state_folder_is_marked_before_anything_is_kept_in_it(settings: Settings) -> None:
    assert state_format.found(settings) is None
    Spool.open(settings).close()
    assert state_format.found(settings) == formats.FORMAT
    Spool.open(settings).close()


@pytest.mark.parametrize("kept", state_format.HOLDS)
def test_a_state_folder_without_a_mark_is_older_than_the_marks(
    settings: Settings, kept: str
) -> None:
    (settings.home / kept).mkdir(parents=True)
    with pytest.raises(FormatError, match=r"has format 0, .*`crypto-pipeline migrate`"):
        Spool.open(settings)
    assert not (settings.home / state_format.FILE).exists()

    assert migrate(settings, Console(quiet=True)) == 0

    Spool.open(settings).close()
    assert json.loads((settings.home / state_format.FILE).read_text())["format"] == formats.FORMAT


def test_an_older_lake_is_backed_up_and_restored_as_it_is_a_newer_one_is_refused(
    settings: Settings, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    make_lake(settings, None, None)
    made, folder = make_settings(), tmp_path / "backup"
    backup(settings, folder)
    restore(made, folder)
    assert set(table_formats(made.lake_root).values()) == {0}

    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"table_format": NEWER}))
    with pytest.raises(FormatError, match=rf"^The lake in .* has format {NEWER}, "):
        restore(make_settings(), folder)
    make_table(Path(settings.lake_root, "silver/gaps"), table_format=NEWER)
    with pytest.raises(FormatError, match=rf"^Table silver/gaps .* has format {NEWER}, "):
        backup(settings, tmp_path / "another")


def test_where_no_market_is_set_each_that_is_kept_is_brought_along(settings: Settings) -> None:
    undecided = replace(settings, market="auto")
    out = io.StringIO()
    console = Console(file=out, width=300)
    assert migrate(undecided, console) == 0
    assert out.getvalue().startswith("Nothing is kept in ")

    markets = [replace(settings, market=kind) for kind in ("live", "simulated")]
    for one in markets:
        (one.home / "spool").mkdir(parents=True)
    assert migrate(undecided, console) == 0
    assert [state_format.found(one) for one in markets] == [formats.FORMAT] * 2


def test_one_look_before_the_stack_starts_sees_what_a_lake_in_a_folder_has(
    settings: Settings,
) -> None:
    preflight.check_formats(settings)
    make_lake(settings, formats.FORMAT, formats.FORMAT)
    preflight.check_formats(settings)
    make_table(Path(settings.lake_root, "silver/gaps"), table_format=NEWER)
    with pytest.raises(LakeError, match=rf"^Table silver/gaps in .* has format {NEWER}, .*\.$"):
        preflight.check_formats(settings)


def test_the_migrations_lead_step_by_step_to_the_format_that_is_written() -> None:
    assert [step.to for step in MIGRATIONS] == list(range(1, formats.FORMAT + 1))
