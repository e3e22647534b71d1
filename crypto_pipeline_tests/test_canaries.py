"""No secret setting without a canary, and none in what settings print, pass on or raise."""

from __future__ import annotations

import dataclasses
import traceback
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import Any

import pytest

from crypto_pipeline import settings as settings_module
from crypto_pipeline.alerting.ledger import Message
from crypto_pipeline.alerting.send import send
from crypto_pipeline.errors import PipelineError, SettingsError
from crypto_pipeline.setting_values import Secret
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.client import MarketClient
from crypto_pipeline_tests.alerting.servers import webhook
from crypto_pipeline_tests.canaries import BESIDE, CANARIES, MARK
from crypto_pipeline_tests.conftest import free_port

ALERT = Message(
    key="run_failed:lake_cycle", status="firing", text="t", since="2026-11-25T10:00:00Z"
)
Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(**over: str) -> Settings:
        hook = {"ALERT_WEBHOOK_URL": f"http://127.0.0.1:{free_port()}/{MARK}"}
        fixed = {"STATE_DIR": str(tmp_path), "MARKET": "simulated", "KAFKA_SECURITY": "scram"}
        values = {**CANARIES, **BESIDE, **hook, **fixed, **over}
        return settings_module.load(values, env_file=tmp_path / "no.env")

    return loaded


def secrets(owner: Any, name: str = "settings") -> Iterator[tuple[str, Secret | None]]:
    """Every field that may hold a secret, down through the groups of settings."""
    for field, hint in typing.get_type_hints(type(owner)).items():
        value = getattr(owner, field)
        within = f"{name}.{field}"
        if Secret in (hint, *typing.get_args(hint)):
            yield within, value
        elif dataclasses.is_dataclass(value):
            yield from secrets(value, within)
        elif isinstance(value, dict):
            for key, one in value.items():
                yield from secrets(one, f"{within}[{key}]")
        else:
            assert value is not None or NoneType in typing.get_args(hint), within


def test_every_secret_setting_has_a_canary(load: Load) -> None:
    found = dict(secrets(load()))
    assert len(found) == len(CANARIES) + 2, "the webhook is in two groups"
    for name, value in found.items():
        assert value is not None, f"{name} has no canary"
        assert MARK in value.reveal(), name
    assert {value.reveal() for value in found.values() if value} >= set(CANARIES.values())


def test_no_canary_is_printed_or_passed_on_to_children(load: Load) -> None:
    settings = load()
    assert MARK not in f"{settings!r} {settings} {settings.environment()}"


def shown(job: Callable[[], object], error: type[BaseException]) -> str:
    with pytest.raises(error) as caught:
        job()
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "over",
    [
        {"ALERT_WEBHOOK_URL": f"{MARK} is no address"},
        {"OIDC_COOKIE_SECRET": MARK},
        {"OIDC_CLIENT_ID": ""},
        {"COINGECKO_MINUTES": "1"},
    ],
)
def test_a_setting_that_is_refused_is_not_repeated_if_secret(
    load: Load, over: dict[str, str]
) -> None:
    assert MARK not in shown(lambda: load(**over), SettingsError)


def test_half_a_pair_of_keys_is_refused_without_the_half(load: Load) -> None:
    half = load(AWS_SECRET_ACCESS_KEY="")
    assert MARK not in shown(half.store.environment, SettingsError)


@pytest.mark.parametrize("status", [None, 302, 500])
def test_no_canary_in_the_trace_of_an_alert_that_is_not_taken(
    load: Load, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    with webhook() as got:
        got.status = status or 200
        port = free_port() if status is None else got.port
        settings = load(ALERT_WEBHOOK_URL=f"http://127.0.0.1:{port}/{MARK}")
        trace = shown(lambda: send(ALERT, settings.alerting, market="simulated"), PipelineError)
    assert MARK not in trace + caplog.text


def test_no_canary_in_the_trace_of_a_mail_that_is_not_taken(load: Load) -> None:
    alerting = dataclasses.replace(load(SMTP_PORT=str(free_port())).alerting, webhook_url=None)
    assert MARK not in shown(lambda: send(ALERT, alerting, market="simulated"), PipelineError)


def test_no_canary_in_the_trace_of_a_market_that_does_not_answer(load: Load) -> None:
    key = load().coingecko_api_key
    assert key is not None
    address = f"http://127.0.0.1:{free_port()}"
    with MarketClient(address, headers={"x-cg-demo-api-key": key}, attempts=1) as client:
        assert MARK not in shown(lambda: client.get("/api/v3/ping"), PipelineError)
