"""SYMBOLS=all: everything that a venue trades in one request, known by a list that is kept."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from crypto_pipeline.errors import RequestRefusedError, SettingsError
from crypto_pipeline.settings import Settings, load
from crypto_pipeline.source.poll import PollResult, poll_minute
from crypto_pipeline.source.venues import reference_for, venue_for, venues_for
from crypto_pipeline_tests.source.builders import NO_ENV_FILE, POLL_AT, FakeClock, row


def listed(base: str, quote: str = "USDT", status: str = "TRADING") -> dict[str, str]:
    return {"symbol": base + quote, "status": status, "baseAsset": base, "quoteAsset": quote}


def pair(price: str) -> dict[str, Any]:
    return {"a": ["3", "1", "1"], "b": ["1", "1", "1"], "c": [price, "1"]}


KRAKEN_PAIRS = {"XXBTZUSD": "XBT/USD", "ETHUSDT": "ETH/USDT", "ODD": "no slash"}


class Server:
    """Lists and tickers of two venues; keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        # A pair in a break, and a name that has no place in a key.
        self.symbols = [listed("BTC"), listed("ETH"), listed("OLD", status="BREAK"), listed("币")]
        self.rows = [row(), row(symbol="ETHUSDT"), row(symbol="NEWUSDT")]
        self.pairs = {"XXBTZUSD": pair("2"), "ETHUSDT": pair("2.5"), "NEWUSD": pair("2")}

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.path, dict(request.url.params)))
        content: Any
        match request.url.path.rpartition("/")[2]:
            case "exchangeInfo":
                content = {"symbols": self.symbols}
            case "24hr":
                content = self.rows
            case "AssetPairs":
                named = {name: {"wsname": theirs} for name, theirs in KRAKEN_PAIRS.items()}
                content = {"error": [], "result": named}
            case "Ticker":
                content = {"error": [], "result": self.pairs}
            case _:
                content = {"serverTime": 0, "error": [], "result": {"unixtime": 0}}
        return httpx.Response(200, text=json.dumps(content))

    def paths(self) -> list[str]:
        return [path.rpartition("/")[2] for path, _ in self.asked]


class World:
    """Each poll is a process of its own over one state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.server = folder, FakeClock(), Server()

    def settings(self, **more: str) -> Settings:
        values = {"MARKET": "simulated", "STATE_DIR": str(self.folder), "SYMBOLS": "all", **more}
        return load(values, env_file=NO_ENV_FILE)

    def poll(self, name: str) -> PollResult:
        transport = httpx.MockTransport(self.server.answer)
        venue = venue_for(self.settings(), name, transport=transport, real=self.clock)
        return poll_minute(
            venue,
            market="simulated",
            source=f"simulator:{name}:7",
            symbols=None,
            poll_at=POLL_AT,
            clock=self.clock,
            marks={},
            candle_requests=1,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_binance__asks_once_for_all_that_trades(world: World) -> None:
    result = world.poll("binance")
    assert {tick.symbol for tick in result.ticks} == {"BTC-USDT", "ETH-USDT"}
    assert result.poll.symbols_asked == ("BTC-USDT", "ETH-USDT")
    assert [path for path in world.server.paths() if path in ("exchangeInfo", "24hr")] == [
        *("exchangeInfo", "24hr")
    ]
    assert ("24hr", {"symbolStatus": "TRADING"}) in [
        (path.rpartition("/")[2], query) for path, query in world.server.asked
    ]


def test_kraken__asks_without_a_pair(world: World) -> None:
    result = world.poll("kraken")
    assert {tick.symbol: str(tick.price) for tick in result.ticks} == {
        "BTC-USD": "2",
        "ETH-USDT": "2.5",
    }
    assert [query for path, query in world.server.asked if path.endswith("Ticker")] == [{}]


@pytest.mark.parametrize("venue", ["binance", "kraken"])
def test_a_pair_that_is_not_listed_yet_is_rejected_word_for_word(world: World, venue: str) -> None:
    snapshot = [row for row in world.poll(venue).rejected if row.reason == "unknown_symbol"]
    assert len(snapshot) == 1
    assert "NEWUSD" in snapshot[0].body


def test_the_list_is_kept_for_an_hour_between_processes(world: World) -> None:
    world.poll("binance")
    world.server.symbols.append(listed("NEW"))
    world.clock.at += timedelta(minutes=59)
    assert len(world.poll("binance").ticks) == 2
    world.clock.at += timedelta(minutes=2)
    assert len(world.poll("binance").ticks) == 3
    assert world.server.paths().count("exchangeInfo") == 2


def test_a_broken_list_is_asked_for_again(world: World) -> None:
    world.poll("binance")
    (file,) = world.folder.rglob("binance-listing.json")
    file.write_text('{"at": "yesterday", "symbols": 3}')
    assert len(world.poll("binance").ticks) == 2
    assert world.server.paths().count("exchangeInfo") == 2


def test_coinbase_is_left_out_and_alone_refused(world: World) -> None:
    with pytest.raises(RequestRefusedError, match="one product at a time"):
        venue_for(world.settings(), "coinbase").fetch_snapshot(None)
    venues = venues_for(world.settings(VENUES="coinbase,kraken,binance"))
    assert [venue.name for venue in venues] == ["kraken", "binance"]
    with pytest.raises(SettingsError, match="Name one of binance, kraken"):
        venues_for(world.settings(VENUES="coinbase"))


def test_reference_prices_are_for_named_symbols_only(world: World) -> None:
    assert reference_for(world.settings(COINGECKO_MINUTES="5")) is None
    named = reference_for(world.settings(COINGECKO_MINUTES="5", SYMBOLS="BTC-USDT"))
    assert named is not None
    assert named.name == "coingecko"
