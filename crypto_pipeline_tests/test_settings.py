"""Settings: what is accepted, who wins, what a mistake is told, and what never prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto_pipeline.errors import SettingsError
from crypto_pipeline.settings import Secret, Settings, load, parse_symbols, spark_token
from crypto_pipeline_tests.conftest import ROOT

SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "very-secret-key",
    "DATABRICKS_TOKEN": "dapi-secret",
    "SPARK_CONNECT_TOKEN": "connect-secret",
}


def given(tmp_path: Path, **values: str) -> Settings:
    environment = {"STATE_DIR": str(tmp_path / "state"), **values}
    return load(environment, env_file=tmp_path / ".env")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("MARKET", "paper", "Accepted: auto, live, simulated, recorded"),
        ("SYMBOLS", "BTCUSDT", "Write BASE-QUOTE in capitals with commas"),
        ("SYMBOLS", " , ", "Name at least one, for example BTC-USDT"),
        ("KAFKA_PORT", "0", "whole number from 1 to 65535"),
        ("KAFKA_PORT", "65536", "whole number from 1 to 65535"),
        ("KAFKA_PORT", "9092.0", "whole number from 1 to 65535"),
        ("HISTORY_HOURS", "-1", "whole number from 0 to 9600"),
        ("HISTORY_HOURS", "a day", "whole number from 0 to 9600"),
        ("POLL_DELAY_SECONDS", "soon", r"number from 0\.0 to 50\.0"),
        ("POLL_DELAY_SECONDS", "51", r"number from 0\.0 to 50\.0"),
        ("POLL_DELAY_SECONDS", "nan", r"number from 0\.0 to 50\.0"),
        ("SIMULATOR_SPEED", "0", r"number from 0\.01 to 10000\.0"),
        ("SPOOL_LIMIT_MB", "0", "whole number from 1 to 1000000"),
        ("BINANCE_URL", "api.binance.com", "Give an address such as https://"),
        ("BINANCE_URL", "ftp://api.binance.com", "Give an address such as https://"),
        ("AWS_ENDPOINT_URL", "minio:9000", "Give an address such as http"),
        ("LAKE_ROOT", "gs://bucket/lake", "Accepted: a folder, or s3a://bucket/prefix"),
        ("LAKE_ROOT", "s3a://My_Bucket/lake", "Accepted: a folder, or s3a://bucket/prefix"),
    ],
)
def test_a_malformed_setting_is_a_sentence_with_what_is_accepted(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    with pytest.raises(SettingsError, match=rf"{name} .*{words}"):
        given(tmp_path, **{name: value})


def test_the_env_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SYMBOLS=eth-usdt\nMARKET=recorded\n# a comment\n")
    settings = given(tmp_path, MARKET="live")
    assert settings.symbols == ("ETH-USDT",)
    assert settings.market == "live"


def test_an_empty_value_is_no_value(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KAFKA_PORT=\n")
    assert given(tmp_path, SPARK_PORT="").spark_port == 15002
    assert given(tmp_path).kafka_port == 9092


def test_the_working_folder_is_where_the_env_file_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("SIMULATOR_SEED=99\n")
    monkeypatch.chdir(tmp_path)
    assert load({}).simulator_seed == 99


def test_the_standard_name_of_a_key_wins(tmp_path: Path) -> None:
    both = given(tmp_path, AWS_ACCESS_KEY="old", AWS_ACCESS_KEY_ID="standard")
    assert both.store.access_key_id == Secret("standard")
    old = given(tmp_path, AWS_ACCESS_KEY="old", AWS_SECRET_KEY="old secret")
    assert old.store.access_key_id == Secret("old")
    assert old.store.secret_access_key == Secret("old secret")
    assert given(tmp_path).store.access_key_id is None


def test_the_standard_name_in_the_file_wins_over_the_old_one_outside(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AWS_ACCESS_KEY_ID=standard\n")
    assert given(tmp_path, AWS_ACCESS_KEY="old").store.access_key_id == Secret("standard")


def test_secrets_print_as_stars_and_do_not_reach_children(tmp_path: Path) -> None:
    settings = given(tmp_path, MARKET="simulated", **SECRETS)
    shown = f"{settings!r} {settings} {settings.store.access_key_id} {settings.environment()}"
    for value in SECRETS.values():
        assert value not in shown
    assert "***" in repr(settings)
    assert spark_token(settings).reveal() == "connect-secret"


def test_a_child_sees_the_same_settings(tmp_path: Path) -> None:
    settings = given(
        tmp_path,
        MARKET="recorded",
        SYMBOLS="BTC-USDT",
        RECORDED_DIR=str(tmp_path),
        KAFKA_PORT="7",
        LAKE_ROOT="s3a://lake/recorded",
        AWS_REGION="eu-central-1",
        AWS_ENDPOINT_URL="http://127.0.0.1:9000",
    )
    assert load(settings.environment(), env_file=tmp_path / "none") == settings


def test_a_watch_list_of_the_file_changes_while_children_run(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SYMBOLS=BTC-USDT\n")
    free, pinned = load({}, env_file=file), load({"SYMBOLS": "ETH-USDT"}, env_file=file)
    file.write_text("SYMBOLS=BTC-USDT,SOL-USDT\n")
    assert load(free.environment(), env_file=file).symbols == ("BTC-USDT", "SOL-USDT")
    assert load(pinned.environment(), env_file=file).symbols == ("ETH-USDT",)


def test_symbols_keep_their_order_and_lose_repeats() -> None:
    assert parse_symbols("sol-usdt, BTC-USDT ,SOL-USDT,") == ("SOL-USDT", "BTC-USDT")
    assert parse_symbols("1INCH-USDT") == ("1INCH-USDT",)


@pytest.mark.parametrize("text", ["BTC/USDT", "BTC-USDT;ETH-USDT", "-USDT", "BTC-", "BTC-US-D"])
def test_a_symbol_of_another_form_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="SYMBOLS has"):
        parse_symbols(text)


def test_paths_are_absolute_and_a_market_has_a_home_of_its_own(tmp_path: Path) -> None:
    homes = {given(tmp_path, MARKET=kind).home for kind in ("live", "simulated", "recorded")}
    assert len(homes) == 3
    assert all(home.is_absolute() for home in homes)
    with pytest.raises(SettingsError, match="MARKET is not decided yet"):
        _ = given(tmp_path).home


def test_recorded_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="RECORDED_DIR"):
        _ = given(tmp_path, MARKET="recorded").source
    recorded = given(tmp_path, MARKET="recorded", RECORDED_DIR=str(tmp_path / "november"))
    assert recorded.source == "recorded:november"


def test_without_a_token_the_remedy_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="make up"):
        spark_token(given(tmp_path))


def test_a_lake_in_a_store_is_named_in_one_way(tmp_path: Path) -> None:
    for text in ("s3://market-data/lake/", "s3a://market-data/lake"):
        assert given(tmp_path, LAKE_ROOT=text).lake_root == "s3a://market-data/lake"
    assert given(tmp_path, LAKE_ROOT="s3a://market-data").lake_root == "s3a://market-data"


def test_a_folder_is_absolute_since_the_servers_have_folders_of_their_own(tmp_path: Path) -> None:
    assert given(tmp_path, LAKE_ROOT="lake").lake_root == str(Path.cwd() / "lake")


def test_half_a_pair_of_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Set both, or none"):
        given(tmp_path, AWS_SECRET_ACCESS_KEY="very-secret-key").store.environment()


# Texts of this form in the settings' modules that name no variable.
NO_SETTING = {"SASL_SSL": "Kafka's own word", "SYMBOL_FORM": "a name in Python"}


def named_in_the_code() -> Iterator[str]:
    """Texts in capitals of the modules that read the environment, and what children are given."""
    package = ROOT / "crypto_pipeline"
    modules = [*package.glob("*settings.py"), package / "setting_values.py"]
    assert len(modules) > 7
    for node in (node for file in modules for node in ast.walk(ast.parse(file.read_text()))):
        text = str(node.value) if isinstance(node, ast.Constant) else ""
        if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", text):
            yield text
    yield from load({}, env_file=Path("no.env")).environment()


def test_the_example_names_every_setting_that_is_read() -> None:
    example = (ROOT / ".env.example").read_text()
    names = set(named_in_the_code()) - set(NO_SETTING)
    assert {"POLL_DELAY_SECONDS", "ALERT_WEBHOOK_URL", "OIDC_CLIENT_ID", "RUNNER"} <= names
    assert {name for name in names if not re.search(rf"\b{name}\b", example)} == set()


def test_the_example_says_a_setting_once() -> None:
    lines = re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(lines) == len(set(lines))
