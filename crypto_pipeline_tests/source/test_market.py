from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from crypto_pipeline.errors import SettingsError, WrongContentError
from crypto_pipeline.settings import Settings, load
from crypto_pipeline.source.clock import SystemClock, VenueClock
from crypto_pipeline.source.market import check_symbols, market_clock, resolve, venue_for
from crypto_pipeline_tests.source.builders import NO_ENV_FILE, NOW, simulator, transport_to


def settings(tmp_path: Path, **given: str) -> Settings:
    return load({"STATE_DIR": str(tmp_path), **given}, env_file=NO_ENV_FILE)


def answering(status: int) -> httpx.MockTransport:
    return httpx.MockTransport(lambda request: httpx.Response(status, text="{}"))


@pytest.mark.parametrize(("status", "market"), [(200, "live"), (451, "simulated")])
def test_resolve__auto_follows_the_venues_answer(tmp_path: Path, status: int, market: str) -> None:
    got = resolve(settings(tmp_path), transport=answering(status))
    assert (got.settings.market, got.was_auto) == (market, True)
    assert got.why.startswith("The market is")


def test_resolve__a_set_market_stays(tmp_path: Path) -> None:
    got = resolve(settings(tmp_path, MARKET="live"), transport=answering(451))
    assert (got.settings.market, got.was_auto) == ("live", False)


def test_check_symbols__names_the_unknown(tmp_path: Path) -> None:
    values = settings(tmp_path, MARKET="simulated", SYMBOLS="BTC-USDT,BTC-USTD")
    venue = venue_for(values, transport=transport_to(simulator()))
    with pytest.raises(SettingsError, match="BTC-USTD, which binance does not list"):
        check_symbols(values, venue=venue)


def test_market_clock__is_the_simulators(tmp_path: Path) -> None:
    values = settings(tmp_path, MARKET="simulated")
    clock = market_clock(values, transport=transport_to(simulator()))
    assert isinstance(clock, VenueClock)
    assert clock.start_at == NOW
    assert isinstance(market_clock(settings(tmp_path, MARKET="live")), SystemClock)


def test_market_clock__another_program_on_the_port(tmp_path: Path) -> None:
    values = settings(tmp_path, MARKET="simulated")
    with pytest.raises(WrongContentError, match="SIMULATOR_PORT"):
        market_clock(values, transport=answering(200))


def test_venue_clock__runs_faster_and_sleeps_shorter() -> None:
    slept: list[float] = []
    clock = VenueClock(
        real_start_at=NOW,
        start_at=NOW - timedelta(days=900),
        speed=60.0,
        real_now=lambda: NOW + timedelta(seconds=2),
        real_sleep=slept.append,
    )
    assert clock.now() == NOW - timedelta(days=900) + timedelta(minutes=2)
    clock.sleep(30)
    assert slept == [0.5]
