"""A backup is a whole lake at one moment; a damaged one is refused before anything is written."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable
from rich.console import Console

from crypto_pipeline.backup.command import backup_command, restore_command
from crypto_pipeline.backup.lake_backup import MANIFEST, backup, restore
from crypto_pipeline.backup.place import FolderPlace
from crypto_pipeline.errors import LakeError, SettingsError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.table import Table
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, RAW
from crypto_pipeline_tests.lake.delta_log import compact, record, write_commit, write_foreign

TABLES = (RAW.primary, BRONZE.primary)


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    """Two tables with some commits, one of them compacted."""
    made = make_settings()
    for table in TABLES:
        for batch in range(1, 4):
            write_commit(place(made, table), record(batch))
    compact(place(made, RAW.primary))
    return made


@pytest.fixture
def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, lake_root_setting=str(tmp_path / "restored"))


def place(settings: Settings, table: Table) -> Path:
    return Path(settings.lake_root, table.key)


def content(settings: Settings, table: Table) -> tuple[int, list[object], object]:
    opened = DeltaTable(str(place(settings, table)))
    rows = sorted(opened.to_pyarrow_table().to_pylist(), key=repr)
    return opened.version(), rows, log.last_commit(str(place(settings, table)))


def test_what_was_backed_up_comes_back_and_goes_on(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    before = {table.key: content(settings, table) for table in TABLES}
    made = backup(settings, tmp_path / "backup")
    for table in TABLES:
        write_commit(place(settings, table), record(4))

    restore(elsewhere, tmp_path / "backup")

    assert {table.key: content(elsewhere, table) for table in TABLES} == before
    assert made["tables"] == {key: version for key, (version, _, _) in before.items()}
    write_commit(place(elsewhere, RAW.primary), record(4))
    assert log.last_commit(str(place(elsewhere, RAW.primary))).batch == 4  # type: ignore[union-attr]


def test_commits_made_while_it_copies_are_not_in_it_and_no_reader_is_ahead(
    settings: Settings, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each copied file is followed by another commit of both stages."""
    batches = iter(range(4, 1000))

    fetch = FolderPlace.fetch

    def fetch_and_commit(own: FolderPlace, name: str, target: Path) -> str:
        batch = next(batches)
        for table in TABLES:
            write_commit(place(settings, table), record(batch))
        return fetch(own, name, target)

    monkeypatch.setattr(FolderPlace, "fetch", fetch_and_commit)
    backup(settings, tmp_path / "backup")
    monkeypatch.undo()
    restore(elsewhere, tmp_path / "backup")

    last = {t.key: log.last_commit(str(place(elsewhere, t))) for t in TABLES}
    raw, bronze = last[RAW.primary.key], last[BRONZE.primary.key]
    assert raw is not None
    assert bronze is not None
    assert bronze.ranges["batches"]["to"] <= raw.batch
    for table in TABLES:
        assert DeltaTable(str(place(elsewhere, table))).to_pyarrow_table().num_rows == 9


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_backup_is_refused_and_nothing_is_written(
    settings: Settings, elsewhere: Settings, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "backup"
    backup(settings, folder)
    victim = sorted(folder.rglob("*.parquet"))[0]
    if damage == "missing":
        victim.unlink()
    else:
        body = bytearray(victim.read_bytes())
        body[len(body) // 2] ^= 1
        victim.write_bytes(bytes(body))
    with pytest.raises(LakeError, match=r"Nothing was restored"):
        restore(elsewhere, folder)
    assert not Path(elsewhere.lake_root).exists()


def test_a_newer_format_is_refused_by_name(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    made = backup(settings, folder)
    (folder / MANIFEST).write_text(json.dumps(made | {"format": 2, "code_version": "9.9"}))
    with pytest.raises(LakeError, match=r"has format 2, this version knows 1. Use .* 9\.9"):
        restore(elsewhere, folder)


def test_what_cannot_be_done_is_said_before_anything_is_done(
    settings: Settings, elsewhere: Settings, tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    folder = tmp_path / "backup"
    with pytest.raises(LakeError, match="nothing to back up"):
        backup(make_settings(), folder)
    with pytest.raises(LakeError, match="no backup, or one that was cut short"):
        restore(elsewhere, folder)
    backup(settings, folder)
    with pytest.raises(LakeError, match="is not empty"):
        backup(settings, folder)
    with pytest.raises(LakeError, match=r"is not empty\. Stop the pipeline"):
        restore(settings, folder)
    with pytest.raises(LakeError, match="holds simulated data, this is MARKET=live"):
        restore(replace(elsewhere, market="live"), folder)


def test_maintenance_behind_a_range_is_in_the_backup_too(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    write_foreign(place(settings, RAW.primary), 3)
    before = content(settings, RAW.primary)
    backup(settings, tmp_path / "backup")
    restore(elsewhere, tmp_path / "backup")
    assert content(elsewhere, RAW.primary) == before


def test_without_a_market_a_backup_and_a_restore_take_the_one_that_is_kept(
    settings: Settings, elsewhere: Settings, tmp_path: Path
) -> None:
    out = io.StringIO()
    console = Console(file=out, width=300)
    folder = tmp_path / "backup"
    assert backup_command(replace(settings, market="auto"), console, folder) == 0
    assert json.loads((folder / MANIFEST).read_text())["market"] == "simulated"
    assert restore_command(replace(elsewhere, market="auto"), console, folder) == 0
    assert content(elsewhere, RAW.primary)[0] == content(settings, RAW.primary)[0]


def test_without_a_market_none_or_several_that_are_kept_are_a_sentence(
    settings: Settings, tmp_path: Path
) -> None:
    undecided, console = replace(settings, market="auto"), Console(file=io.StringIO())
    (settings.state_dir / "live").mkdir()
    with pytest.raises(SettingsError, match=r"has live and simulated\. Set it to the one"):
        backup_command(undecided, console, tmp_path / "backup")
    empty = replace(undecided, state_dir=tmp_path / "state")
    with pytest.raises(SettingsError, match=r"MARKET is not set, and .* has nothing"):
        restore_command(empty, console, tmp_path / "backup")
