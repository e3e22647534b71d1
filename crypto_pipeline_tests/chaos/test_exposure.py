"""What a stack shows to others is found: the looks themselves must be able to see."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from crypto_pipeline import settings as settings_module
from crypto_pipeline.embedded.preflight import check_writable
from crypto_pipeline.errors import SettingsError
from crypto_pipeline_tests.chaos.exposure import beyond_loopback, open_to_others
from crypto_pipeline_tests.conftest import ROOT

# What would run code out of bytes that came from a topic, a table, a file or a registry.
RUNS_WHAT_IT_READS = (
    *("pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"),
    *("yaml.load(", "eval(", "exec("),
)
HOSTILE_SYMBOLS = (
    *("../../etc/passwd", "BTC-USDT/../x", "BTC-USDT\x00", "-USDT", "BTC-", "btc"),
    *("BTC-USDT;rm -rf", "$(id)-USDT", "BTC-USDT\nX", "A" * 21 + "-USDT", "BTC-USDT%2e%2e", "."),
)


def test_a_listener_on_all_addresses_is_seen_and_one_on_loopback_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        assert beyond_loopback([os.getpid()]) == []
        with socket.create_server(("0.0.0.0", 0)):
            assert beyond_loopback([os.getpid()]) == ["0.0.0.0"]


def test_an_open_state_folder_is_seen(tmp_path: Path) -> None:
    loaded = settings_module.load({"STATE_DIR": str(tmp_path)}, env_file=tmp_path / "no.env")
    tmp_path.chmod(0o700)
    assert open_to_others(loaded) == []
    tmp_path.chmod(0o750)
    assert open_to_others(loaded) == [str(tmp_path)]


def test_a_state_folder_behind_a_link_is_closed_too(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    loaded = settings_module.load(
        {"STATE_DIR": str(tmp_path / "link")}, env_file=tmp_path / "no.env"
    )
    check_writable(loaded)
    assert open_to_others(loaded) == []


def test_nothing_runs_what_it_reads() -> None:
    """Messages, models and state are JSON, Parquet and Avro: no byte of them becomes code."""
    files = [p for name in ("crypto_pipeline", "dashboard") for p in (ROOT / name).rglob("*.py")]
    assert len(files) > 200
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        for line in file.read_text().splitlines()
        if any(word in line for word in RUNS_WHAT_IT_READS)
    ]
    assert found == []


@pytest.mark.parametrize("symbol", HOSTILE_SYMBOLS)
def test_a_symbol_that_is_a_path_or_a_command_is_refused(symbol: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        settings_module.load(
            {"STATE_DIR": str(tmp_path), "SYMBOLS": symbol}, env_file=tmp_path / "no.env"
        )


@pytest.mark.parametrize("name", ["MARKET", "VENUES"])
@pytest.mark.parametrize("value", ["../live", "/etc", "simulated/../..", "simulated\x00"])
def test_a_setting_that_names_a_folder_takes_no_path(name: str, value: str, tmp_path: Path) -> None:
    """The market is a folder of the state, a venue a part of file names."""
    with pytest.raises(SettingsError):
        settings_module.load(
            {"STATE_DIR": str(tmp_path), name: value}, env_file=tmp_path / "no.env"
        )
