"""One whole cycle on recorded candles: every close in gold is the recording's."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from deltalake import DeltaTable

from crypto_pipeline.contract.tick import plain
from crypto_pipeline.embedded.running import services
from crypto_pipeline.once import Cycle, run_cycle
from crypto_pipeline.pipeline import open_pipeline
from crypto_pipeline.resources.market import ingest
from crypto_pipeline.settings import Settings, spark_token
from crypto_pipeline.stages import BRONZE, CANDLES, PREDICTIONS, RAW, SILVER
from crypto_pipeline.stream.topics import ensure
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.conftest import SHARED_DATA
from crypto_pipeline_tests.short_lived import short_lived

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]

Make = Callable[..., Settings]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Candle files, the moment at which a poll meets them, and the minutes that they lack."""

    folder: Path
    symbols: tuple[str, ...]
    at: datetime
    hours: int
    hole: Span


REAL = Path("ohlcv_1m", "binance_spot_2023")
# Hours of a recording that are replayed: a part of the day with the whole halt, or the day.
REDUCED, FULL = 4, 24
# Binance's own halt of that day.
HALT = (datetime(2023, 3, 24, 12, 40, tzinfo=UTC), datetime(2023, 3, 24, 14, 0, tzinfo=UTC))


@pytest.fixture
def claim() -> proof.Proof:
    return proof.begin("recorded-closes", reduced=REDUCED, full=FULL)


@pytest.fixture
def recording(tmp_path: Path, claim: proof.Proof) -> Recording:
    """Hours of five real coins with the halt in them; made ones where the recordings are not."""
    if (SHARED_DATA / REAL).is_dir():
        return Recording(
            folder=SHARED_DATA / REAL,
            symbols=("BTC-USDT", "ETH-USDT", "SOL-USDT", "DOGE-USDT", "ADA-USDT"),
            at=datetime(2023, 3, 24, 15, tzinfo=UTC),
            hours=claim.count,
            hole=HALT,
        )
    return made_recording(tmp_path, seed=claim.seed)


@contextmanager
def cycle(settings: Settings) -> Iterator[tuple[Cycle, object]]:
    """Poll and run every stage once, against a broker and a simulator of the test's own.

    Plans are compiled as in production, unlike those of most tests.
    """
    with short_lived(), ExitStack() as stack:
        stack.enter_context(services(settings, ["broker", "simulator"]))
        ensure(settings)
        polled = ingest(settings)
        pipeline = stack.enter_context(open_pipeline(settings))
        pipeline.lake.spark.conf.set("spark.sql.codegen.wholeStage", "true")
        yield run_cycle(pipeline), polled


def with_spark_of(servers: Settings, make_settings: Make, **options: str) -> Settings:
    return make_settings(
        SPARK_REMOTE=servers.spark_address,
        SPARK_CONNECT_TOKEN=spark_token(servers).reveal(),
        MARKET="recorded",
        **options,
    )


def recorded_closes(folder: Path, symbols: tuple[str, ...]) -> dict[tuple[str, datetime], Decimal]:
    closes = {}
    for symbol in symbols:
        file = folder / f"{symbol.replace('-', '_')}-1m.csv.gz"
        with gzip.open(file, "rt") as lines:
            for row in csv.DictReader(lines):
                at = datetime.fromtimestamp(int(row["open_time_ms"]) / 1000, tz=UTC)
                closes[symbol, at] = Decimal(row["close"])
    return closes


def gold_closes(settings: Settings) -> dict[tuple[str, datetime], Decimal]:
    table = DeltaTable(f"{settings.lake_root}/{CANDLES.primary.key}").to_pyarrow_table(
        columns=["symbol", "minute_at", "close", "origin"]
    )
    rows = table.to_pylist()
    assert {row["origin"] for row in rows} == {"exchange"}
    keys = [(row["symbol"], row["minute_at"].astimezone(UTC)) for row in rows]
    assert len(set(keys)) == len(keys), "a minute twice in gold"
    return dict(zip(keys, (row["close"] for row in rows), strict=True))


def made_recording(folder: Path, *, seed: int) -> Recording:
    """Candle files of a random walk with a hole, in the form of the recordings."""
    walk = random.Random(seed)
    begin = datetime(2024, 2, 28, 22, tzinfo=UTC)
    symbols = ("AAA-USDT", "BBB-BTC")
    for symbol in symbols:
        price = Decimal(walk.randrange(1, 50_000)) / 1000
        with gzip.open(folder / f"{symbol.replace('-', '_')}-1m.csv.gz", "wt") as out:
            out.write("open_time_ms,open,high,low,close,volume\n")
            for minute in range(200):
                if 40 <= minute < 55:
                    continue
                close = max(Decimal("0.001"), price + Decimal(walk.randrange(-30, 31)) / 1000)
                low, high = min(price, close), max(price, close)
                at = int((begin + timedelta(minutes=minute)).timestamp() * 1000)
                values = (str(plain(x)) for x in (price, high, low, close))
                out.write(f"{at},{','.join(values)},{walk.randrange(0, 900)}\n")
                price = close
    hole = (begin + timedelta(minutes=40), begin + timedelta(minutes=55))
    at = begin + timedelta(minutes=150)
    return Recording(folder=folder, symbols=symbols, at=at, hours=2, hole=hole)


@pytest.mark.prove
def test_every_replayed_minute_closes_as_recorded_and_what_is_missing_stays_empty(
    servers: Settings, make_settings: Make, recording: Recording, claim: proof.Proof
) -> None:
    settings = with_spark_of(
        servers,
        make_settings,
        RECORDED_DIR=str(recording.folder),
        RECORDED_START=f"{recording.at:%Y-%m-%dT%H:%M:%SZ}",
        HISTORY_HOURS=str(recording.hours),
        SYMBOLS=",".join(recording.symbols),
    )
    with cycle(settings) as (done, polled):
        runs = {run.stage: run for run in done.runs}
        gold = gold_closes(settings)
    recorded = recorded_closes(recording.folder, settings.symbols)
    first, last = (end(at for _, at in gold) for end in (min, max))
    # The recording's clock goes on until the poll asks for its history.
    waited = first - (recording.at - timedelta(hours=recording.hours))
    assert timedelta() <= waited < timedelta(minutes=5)
    expected = {key: close for key, close in recorded.items() if first <= key[1] <= last}
    from_at, to_at = recording.hole
    minutes = recording.hours * 60 - (to_at - from_at) // timedelta(minutes=1)
    assert len(expected) >= len(recording.symbols) * minutes
    assert gold == expected
    assert not [at for _, at in gold if from_at <= at < to_at]

    assert done.balances
    assert all(run.balances for run in done.runs)
    assert runs[RAW.name].rows_in == runs[BRONZE.name].rows_in
    # Rejected rows end in bronze; a poll's record goes on, for what it says of missing minutes.
    typed = sum(runs[BRONZE.name].outcomes[kind] for kind in ("tick", "candle", "poll"))
    assert runs[SILVER.name].rows_in == typed
    assert runs[BRONZE.name].rejected == 0
    assert runs[PREDICTIONS.name].rows_out[PREDICTIONS.primary.key] > 0
    assert getattr(polled, "ticks", 0) == len(recording.symbols)
    claim.record(closes=len(gold), symbols=recording.symbols, hours=recording.hours)
