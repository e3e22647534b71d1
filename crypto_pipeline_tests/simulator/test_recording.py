from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from crypto_pipeline.errors import SettingsError
from crypto_pipeline.simulator.market import MINUTE_MS
from crypto_pipeline.simulator.recording import RecordedMarket
from crypto_pipeline_tests.source.builders import simulator

HEADER = "open_time_ms,open,high,low,close,volume\n"
START = 1_679_004_900_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def write(folder: Path, name: str, *rows: str) -> RecordedMarket:
    with gzip.open(folder / f"{name}-1m.csv.gz", "wt") as file:
        file.write(HEADER + "\n".join(rows) + "\n")
    return RecordedMarket(folder)


def test_health__a_halt_is_well_and_the_end_is_not(tmp_path: Path) -> None:
    end = START + 120 * MINUTE_MS
    market = write(tmp_path, "BTC_USDT", f"{START},1,1,1,1,1", f"{end},1,1,1,1,1")
    for now, status in ((START, 200), (START + 60 * MINUTE_MS, 200), (end + 600_001, 503)):
        answer = simulator(market, now_ms=now).get("/healthz")
        assert answer.status_code == status
    assert "ended at or before 2023-03-17 " in answer.json()["problems"][0]


@pytest.fixture
def folder(shared_data: Path) -> Path:
    return shared_data / "ohlcv_1m" / "binance_spot_2023"


def test_klines__equal_the_file(folder: Path) -> None:
    with gzip.open(folder / "BTC_USDT-1m.csv.gz", "rt") as file:
        lines = [line.strip().split(",") for line in list(file)[1:1001]]
    app = simulator(RecordedMarket(folder), now_ms=ms("2023-03-25T00:00:00"))
    query = {"symbol": "BTCUSDT", "interval": "1m", "startTime": lines[0][0], "limit": "1000"}
    served = app.get("/api/v3/klines", params=query).json()
    assert [str(row[0]) for row in served] == [line[0] for line in lines]
    for row, line in zip(served, lines, strict=True):
        assert [Decimal(text) for text in row[1:6]] == [Decimal(text) for text in line[1:]]


def test_hole__is_absent_and_the_ticker_shows_the_close_before(folder: Path) -> None:
    now = ms("2023-03-24T13:00:05")
    app = simulator(RecordedMarket(folder), now_ms=now)
    query = {"symbol": "BTCUSDT", "interval": "1m", "startTime": str(ms("2023-03-24T12:30:00"))}
    opened = [row[0] for row in app.get("/api/v3/klines", params=query).json()]
    assert opened[-1] == ms("2023-03-24T12:39:00")
    ticker = app.get("/api/v3/ticker/24hr", params={"symbol": "BTCUSDT"}).json()
    truth = app.get("/truth/klines", params=query).json()
    assert Decimal(ticker["lastPrice"]) == Decimal(truth[-1][4])
    after = simulator(RecordedMarket(folder), now_ms=ms("2023-03-24T14:05:00"))
    again = [row[0] for row in after.get("/api/v3/klines", params=query).json()]
    assert again[10] - again[9] == 81 * MINUTE_MS


def test_halt__stands_still_by_the_venues_mark(folder: Path) -> None:
    market = RecordedMarket(folder)
    marks = set()
    for clock in ("11:35:05", "12:00:05", "13:30:05"):
        window = market.window("BTC-USDT", ms(f"2023-03-24T{clock}"))
        assert window is not None
        marks.add(window.last_id)
    assert len(marks) == 1


def test_numbers__scientific_text_is_read_exactly(tmp_path: Path) -> None:
    market = write(tmp_path, "PEPE_USDT", f"{START},6.14e-06,6.2e-06,6.1e-06,6.15e-06,1e3")
    app = simulator(market, now_ms=START + MINUTE_MS)
    query = {"symbol": "PEPEUSDT", "interval": "1m"}
    row = app.get("/api/v3/klines", params=query).json()[0]
    assert row[1] == "0.00000614"
    assert Decimal(row[5]) == 1000


def test_running_minute__stays_inside_the_candle_and_ends_at_its_close(tmp_path: Path) -> None:
    market = write(tmp_path, "A_B", f"{START},10,13,9,12,8")
    seen = [market.bars("A-B", START, START, START + at)[0] for at in (0, 16_000, 31_000, 59_999)]
    assert [bar.close for bar in seen] == [10, 9, 13, 12]
    assert [bar.volume for bar in seen] == [2, 4, 6, 8]
    assert seen[-1].high == 13
    assert market.window("A-B", START - 1) is None


def test_folder__without_candles_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="BASE_QUOTE"):
        RecordedMarket(tmp_path)
