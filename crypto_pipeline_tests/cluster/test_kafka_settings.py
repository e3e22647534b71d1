"""Who Kafka is told that we are, and where the password may be seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from crypto_pipeline import settings as settings_module
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import client_config

CANARY = "canary-4711"


def load(tmp_path: Path, **values: str) -> Settings:
    given = {"STATE_DIR": str(tmp_path), "MARKET": "simulated", **values}
    return settings_module.load(given, env_file=tmp_path / "no.env")


def test_the_laptop_says_nothing_of_security(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert client_config(settings)["security_protocol"] == "PLAINTEXT"
    assert settings.kafka.reader_options() == {}


def test_a_role_has_its_own_user_and_others_the_common_one(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{CANARY}\n")
    settings = load(
        tmp_path,
        KAFKA_SECURITY="scram",
        KAFKA_CA_FILE=str(tmp_path / "ca.crt"),
        KAFKA_USERNAME="everyone",
        KAFKA_PASSWORD="common",
        KAFKA_LAKE_USERNAME="lake-user",
        KAFKA_LAKE_PASSWORD_FILE=str(tmp_path / "password"),
    )
    lake = client_config(settings.as_kafka_user("lake"))
    assert (lake["sasl_plain_username"], lake["sasl_plain_password"]) == ("lake-user", CANARY)
    assert lake["security_protocol"] == "SASL_SSL"
    assert lake["sasl_mechanism"] == "SCRAM-SHA-512"
    assert lake["ssl_cafile"] == str(tmp_path / "ca.crt")
    sensor = client_config(settings.as_kafka_user("sensor"))
    assert (sensor["sasl_plain_username"], sensor["sasl_plain_password"]) == ("everyone", "common")


def test_a_rotated_password_is_read_at_the_next_connection(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old")
    settings = load(
        tmp_path, KAFKA_SECURITY="scram", KAFKA_USERNAME="u", KAFKA_PASSWORD_FILE=str(file)
    )
    assert client_config(settings)["sasl_plain_password"] == "old"
    file.write_text("new")
    assert client_config(settings)["sasl_plain_password"] == "new"


def test_readers_are_told_no_user_and_no_password(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        KAFKA_SECURITY="scram",
        KAFKA_CA_FILE=str(tmp_path / "ca.crt"),
        KAFKA_USERNAME=CANARY,
        KAFKA_PASSWORD=CANARY,
    )
    options = settings.kafka.reader_options()
    assert options["kafka.security.protocol"] == "SASL_SSL"
    assert options["kafka.ssl.truststore.location"] == str(tmp_path / "ca.crt")
    assert CANARY not in str(options)


def test_a_password_is_in_no_text_and_in_no_child_variable(tmp_path: Path) -> None:
    settings = load(tmp_path, KAFKA_SECURITY="scram", KAFKA_USERNAME="u", KAFKA_PASSWORD=CANARY)
    assert CANARY not in repr(settings)
    assert CANARY not in str(settings.environment())


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"KAFKA_SECURITY": "ssl"}, "KAFKA_SECURITY is 'ssl'. Accepted: plaintext, tls, scram."),
        ({"KAFKA_SECURITY": "scram"}, "there is no user for the poller. Set KAFKA_POLLER_USERNAME"),
        ({"KAFKA_SECURITY": "scram", "KAFKA_USERNAME": "u"}, "The Kafka user u has no password."),
        (
            {"KAFKA_SECURITY": "scram", "KAFKA_USERNAME": "u", "KAFKA_PASSWORD_FILE": "/nowhere"},
            "cannot be read from /nowhere (No such file or directory)",
        ),
    ],
)
def test_what_is_missing_is_a_sentence(
    tmp_path: Path, values: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        client_config(load(tmp_path, **values))
    assert sentence in str(caught.value)
