"""What `crypto-pipeline status` says of real logs, folders and ports."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from crypto_pipeline.lake.table import Table
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline.status import folder_bytes, print_status, read_status
from crypto_pipeline.stream.spool import spool_folder
from crypto_pipeline_tests.builders import AT
from crypto_pipeline_tests.lake.delta_log import make_table, record, write_commit


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    made = make_settings()
    made.home.mkdir()
    return made


def commit(settings: Settings, table: Table, batch: int, **outputs: list[object]) -> None:
    spans = {key.replace("__", "/"): value for key, value in outputs.items()}
    path = Path(settings.lake_root, table.key)
    if not path.exists():
        make_table(path)
    write_commit(path, record(batch, outputs=spans))


def test_a_folder_without_anything_has_zeros_and_no_services(settings: Settings) -> None:
    status = read_status(settings)
    assert not any(status.services.values())
    assert [one.batch for one in status.stages] == [0] * 7
    assert {one.bytes for one in (*status.layers, *status.topics)} == {0}
    assert (status.last_poll_at, status.open_gaps, status.rejected) == (None, 0, 0)
    assert status.disk_free > 0
    assert print_status(settings, Console(quiet=True)) == 1


def test_a_stage_is_behind_by_the_batches_that_it_has_not_read(settings: Settings) -> None:
    for batch in range(1, 6):
        commit(settings, RAW.primary, batch)
    for batch in range(1, 4):
        commit(settings, BRONZE.primary, batch, bronze__polls=[1, 1.0, AT.timestamp()])

    status = read_status(settings)

    stages = {one.stage: one for one in status.stages}
    assert (stages["raw"].batch, stages["raw"].behind) == (5, None)
    assert (stages["bronze"].batch, stages["bronze"].behind) == (3, 2)
    assert (stages["silver"].batch, stages["silver"].behind) == (0, 3)
    assert stages["raw"].committed_at is not None
    assert stages[SILVER.name].committed_at is None
    assert status.last_poll_at == AT


def test_layers_topics_and_the_spool_are_sized_as_they_lie_on_disk(settings: Settings) -> None:
    commit(settings, RAW.primary, 1)
    for name, size in (("market.ticks-0", 700), ("market.ticks-1", 30), ("market.polls-0", 5)):
        folder = settings.home / "kafka" / "log" / name
        folder.mkdir(parents=True)
        (folder / "0.log").write_bytes(b"x" * size)
    spool_folder(settings).mkdir(parents=True)

    status = read_status(settings)

    layers = {one.name: one for one in status.layers}
    assert layers["raw"].bytes == folder_bytes(Path(settings.lake_root, "raw"))
    assert 0 < layers["raw"].live < layers["raw"].bytes
    assert (layers["raw"].rows, layers["gold"].bytes) == (3, 0)
    topics = {one.name: one.bytes for one in status.topics}
    assert (topics["market.ticks"], topics["market.polls"], topics["market.candles"]) == (730, 5, 0)
    assert (status.spool.polls, status.spool.bytes) == (0, 0)


def test_a_service_that_listens_is_seen_and_the_page_names_it(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", settings.kafka_port)):
        services = read_status(settings).services
    assert [name for name, is_up in services.items() if is_up] == ["broker"]
    console = Console(record=True, width=100, quiet=False, file=None, force_terminal=False)
    with console.capture() as captured:
        print_status(settings, console)
    for words in ("broker", "predictions", "market.ticks", "Disk free", "Last poll in the lake"):
        assert words in captured.get()


def test_without_a_stack_and_a_market_it_is_about_the_one_that_is_kept(settings: Settings) -> None:
    commit(settings, RAW.primary, 7)
    console = Console(width=100)
    with console.capture() as captured:
        assert print_status(replace(settings, market="auto"), console) == 1
    assert " 7 " in captured.get()
