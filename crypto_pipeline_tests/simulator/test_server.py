from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from crypto_pipeline.errors import SettingsError, TransientMarketError
from crypto_pipeline.settings import load
from crypto_pipeline.simulator.start import build_app
from crypto_pipeline.source.client import MarketClient
from crypto_pipeline_tests.observed.pages import values
from crypto_pipeline_tests.source.builders import NO_ENV_FILE, NOW_MS, simulator

KLINES = {"symbol": "BTCUSDT", "interval": "1m"}
MINUTE = NOW_MS - NOW_MS % 60_000


def test_ticker__three_ways_to_ask() -> None:
    app = simulator()
    one = app.get("/api/v3/ticker/24hr", params={"symbol": "BTCUSDT"})
    two = app.get("/api/v3/ticker/24hr", params={"symbols": '["BTCUSDT","PEPEUSDT"]'}).json()
    every = app.get("/api/v3/ticker/24hr").json()
    assert one.json() == two[0] == every[0]
    assert [row["symbol"] for row in two] == ["BTCUSDT", "PEPEUSDT"]
    assert (len(every), len(one.json())) == (3, 21)
    assert one.json()["closeTime"] == NOW_MS
    assert "E" not in two[1]["lastPrice"]
    assert one.headers["X-MBX-USED-WEIGHT-1M"] == "2"


def test_ticker__mini_drops_the_book() -> None:
    row = simulator().get("/api/v3/ticker/24hr", params={"symbol": "BTCUSDT", "type": "MINI"})
    assert len(row.json()) == 12
    assert "bidPrice" not in row.json()


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("ticker/24hr", {"symbol": "NOPE"}, -1121),
        ("ticker/24hr", {"symbols": '["BTCUSDT","NOPE"]'}, -1121),
        ("ticker/24hr", {"symbols": "BTCUSDT"}, -1100),
        ("ticker/24hr", {"symbol": "BTCUSDT", "symbols": "[]"}, -1128),
        ("ticker/24hr", {"type": "TINY"}, -1130),
        ("klines", {"interval": "1m"}, -1102),
        ("klines", {"symbol": "NOPE", "interval": "1m"}, -1121),
        ("klines", {"symbol": "BTCUSDT", "interval": "7m"}, -1120),
        ("klines", {**KLINES, "limit": "many"}, -1100),
    ],
)
def test_refusals__are_binances(path: str, query: dict[str, str], code: int) -> None:
    answer = simulator().get(f"/api/v3/{path}", params=query)
    assert answer.status_code == 400
    assert answer.json()["code"] == code


def test_klines__limits_and_running_minute() -> None:
    app = simulator()

    def opened(**query: Any) -> list[int]:
        rows = app.get("/api/v3/klines", params={**KLINES, **query}).json()
        return [row[0] for row in rows]

    assert len(opened()) == 500
    assert opened()[-1] == MINUTE
    assert len(opened(limit=5000)) == 1000
    start = MINUTE - 3_600_000
    assert opened(startTime=start - 1, limit=2) == [start, start + 60_000]
    assert opened(startTime=start, endTime=start + 59_999) == [start]
    assert opened(endTime=start, limit=2) == [start - 60_000, start]


def test_klines__agree_with_the_ticker() -> None:
    app = simulator()
    ticker = app.get("/api/v3/ticker/24hr", params={"symbol": "BTCUSDT"}).json()
    running = app.get("/api/v3/klines", params={**KLINES, "limit": "1"}).json()[0]
    assert Decimal(ticker["lastPrice"]) == Decimal(running[4])
    closed = app.get("/truth/klines", params={**KLINES, "limit": "2"}).json()
    assert [row[0] for row in closed] == [MINUTE - 60_000]


def test_faults__count_endpoint_and_log() -> None:
    app = simulator()
    app.post("/faults", json={"kind": "500", "count": 2, "endpoint": "/api/v3/klines"})
    assert app.get("/api/v3/time").status_code == 200
    assert app.get("/api/v3/klines", params=KLINES).status_code == 500
    assert app.get("/truth/klines", params=KLINES).status_code == 200
    assert app.get("/api/v3/klines", params=KLINES).status_code == 500
    assert app.get("/api/v3/klines", params=KLINES).status_code == 200
    log = app.get("/faults/log").json()
    assert [one["kind"] for one in log["done"]] == ["500", "500"]
    assert log["waiting"] == []


def test_faults__who_asks_before_the_time_is_told_again_and_logged() -> None:
    app = simulator()
    app.post("/faults", json={"kind": "429", "retry_after": 7, "venue": "binance"})
    assert app.get("/coinbase/time").status_code == 200
    first = app.get("/api/v3/klines", params=KLINES)
    assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
    assert app.get("/api/v3/time").status_code == 429
    assert values(app.get("/metrics").text)["simulator_excess_total early binance"] == 1
    log = app.get("/requests/log").json()
    assert [(one["status"], one["is_early"]) for one in log] == [
        (200, False),
        (429, False),
        (429, True),
    ]


@pytest.mark.parametrize(
    ("path", "asked", "status"),
    [
        ("/api/v3/ticker/24hr", 76, 429),
        ("/kraken/0/public/Time", 2, 200),
        ("/coinbase/time", 16, 429),
        ("/coingecko/api/v3/ping", 31, 429),
    ],
)
def test_limits__one_request_too_many_is_refused_and_logged(
    path: str, asked: int, status: int
) -> None:
    app = simulator()
    answers = [app.get(path) for _ in range(asked)]
    log = app.get("/requests/log").json()
    assert [one["is_over"] for one in log] == [False] * (asked - 1) + [True]
    assert answers[-1].status_code == status
    assert answers[-1].text != answers[-2].text
    excess = values(app.get("/metrics").text)
    assert [n for n in excess if n.startswith("simulator_excess_total over")] == [
        f"simulator_excess_total over {log[-1]['venue']}"
    ]


def test_faults__spoil_only_the_first_row() -> None:
    app = simulator()
    app.post("/faults", json={"kind": "nulls"})
    rows = app.get("/api/v3/ticker/24hr").json()
    assert rows[0]["lastPrice"] is None
    assert Decimal(rows[1]["lastPrice"]) > 0


def test_faults__malformed_request_is_refused() -> None:
    answer = simulator().post("/faults", json={"kind": "earthquake"})
    assert answer.status_code == 400
    assert "'kind' must be one of" in answer.json()["error"]


def test_exchange_info__lists_base_and_quote() -> None:
    content = simulator().get("/api/v3/exchangeInfo").json()
    assert {(one["baseAsset"], one["quoteAsset"]) for one in content["symbols"]} >= {
        ("PEPE", "USDT")
    }


def test_build_app__live_has_nothing_to_simulate(tmp_path: Path) -> None:
    values = load({"MARKET": "live", "STATE_DIR": str(tmp_path)}, env_file=NO_ENV_FILE)
    with pytest.raises(SettingsError, match="nothing to simulate"):
        build_app(values)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A real server on a free port."""
    environment = {"MARKET": "simulated", "STATE_DIR": str(tmp_path), "SYMBOLS": "BTC-USDT"}
    app = build_app(load(environment, env_file=NO_ENV_FILE))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.mark.integration
def test_server__over_a_socket(address: str) -> None:
    with MarketClient(address, attempts=1) as client:
        ticker = json.loads(client.get("/api/v3/ticker/24hr", {"symbol": "BTCUSDT"}).text)
        assert abs(ticker["closeTime"] - time.time() * 1000) < 10_000
        assert client.get("/healthz").text


@pytest.mark.integration
def test_server__half_a_body_breaks_the_connection(address: str) -> None:
    httpx.post(f"{address}/faults", json={"kind": "cut_body", "count": 2}, trust_env=False)
    broke_off = pytest.raises(TransientMarketError, match="broke off")
    with MarketClient(address, attempts=1) as impatient, broke_off:
        impatient.get("/api/v3/exchangeInfo")
    with MarketClient(address, attempts=2) as patient:
        assert patient.get("/api/v3/exchangeInfo").text
