"""Rejected rows go through again after a fix, once and in their own minutes; holds and releases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crypto_pipeline import stage_commit
from crypto_pipeline.audit.run import audit
from crypto_pipeline.bronze import rules
from crypto_pipeline.bronze import schema as bronze
from crypto_pipeline.errors import NotInLakeError
from crypto_pipeline.gold.schema import CANDLES_1M
from crypto_pipeline.holding.limits import Limits
from crypto_pipeline.holding.release import held_now, release
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.replay.run import replay
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.silver import schema as silver
from crypto_pipeline.stages import BRONZE, CANDLES, RAW, SILVER, TABLES
from crypto_pipeline_tests.books.market import KRAKEN, cycle, minute
from crypto_pipeline_tests.builders import AT, MINUTE, SOURCE, candle, read, tick
from crypto_pipeline_tests.topics import send

pytestmark = [pytest.mark.spark, pytest.mark.integration, pytest.mark.timeout(600)]

SMALL = "pepe-USDT"
# What a row is put through to; the stages after these only read what these leave.
TO_CANDLES = (RAW, BRONZE, SILVER, CANDLES)


def versions(lake: Lake) -> dict[str, int]:
    states = {table.key: log.open_table(lake.path(table)) for table in TABLES}
    return {key: state.version for key, state in states.items() if state is not None}


def minutes(lake: Lake, *, source: str = SOURCE) -> set[tuple[str, str]]:
    rows = read(lake.read(CANDLES_1M), "source", "symbol", "minute_at")
    keys = [(row["symbol"], row["minute_at"][8:16]) for row in rows if row["source"] == source]
    assert len(keys) == len(set(keys))
    return set(keys)


class KilledError(Exception): ...


def test_after_a_fix_rejected_rows_come_into_their_minutes_once_even_over_a_kill(
    runner: StageRunner, servers: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [tick(symbol=SMALL), candle(symbol=SMALL, open_at=AT)]
    send(servers, *minute(0), *old, tick(symbol="never right"), b"never a record")
    cycle(runner, TO_CANDLES)
    lake = runner.lake
    assert not any(symbol == SMALL for symbol, _ in minutes(lake))
    before = versions(lake)
    assert replay(runner).outcomes == {"still_rejected": 4}
    assert versions(lake) == before

    # The rule is put right; by now the symbol's market is three days further.
    monkeypatch.setattr(rules, "SYMBOL", r"^[A-Za-z0-9]{1,20}-[A-Z0-9]{2,10}$")
    send(servers, tick(symbol=SMALL, poll_at=AT + timedelta(days=3)))
    cycle(runner, TO_CANDLES)

    commit = stage_commit.commit

    def killed(write: object, record: object) -> object:
        if getattr(write, "path", "").endswith(bronze.TICKS.key):
            raise KilledError
        return commit(write, record)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(stage_commit, "commit", killed)
        with pytest.raises(KilledError):
            replay(runner, reason="bad_symbol")
    # Whatever runs next finishes exactly that batch.
    finished = runner.run(BRONZE)
    assert finished.outcomes == {"tick": 1, "candle": 1, "still_rejected": 1}
    # How long they are decides whether this process has them in hand.
    values = [
        len(row["value"])
        for row in lake.read(bronze.REJECTED).collect()
        if row["reason"] == "bad_symbol"
    ]
    assert finished.ranges["batches"]["bytes"] == sum(values) > 0
    assert replay(runner, reason="bad_symbol").passed == 0
    cycle(runner, TO_CANDLES)

    assert {(SMALL, "23T10:04"), (SMALL, "23T10:05")} <= minutes(lake)
    taken = read(lake.read(silver.TICKS), "id", "is_late", "poll_at")
    (row,) = [row for row in taken if row["id"] == tick(symbol=SMALL).id]
    assert (row["is_late"], row["poll_at"]) == (True, "2026-11-23T10:05:00.000000Z")
    assert audit(lake).differences == ()

    after = versions(lake)
    again = replay(runner)
    assert again.outcomes == {"replayed": 2, "still_rejected": 2}
    assert (again.runs, versions(lake)) == ((), after)


def test_a_source_with_too_many_rejected_rows_waits_until_it_is_released(
    runner: StageRunner, servers: Settings
) -> None:
    strict = replace(runner, limits=Limits(rate=0.5, least_rows=4))
    lake = strict.lake
    bad = [tick(source=KRAKEN, symbol="x", poll_at=AT + n * MINUTE) for n in range(3)]
    send(servers, *minute(0), *bad, candle(source=KRAKEN))
    cycle(strict, TO_CANDLES)
    assert held_now(lake) == {KRAKEN: 0}
    send(servers, *minute(1), candle(source=KRAKEN, open_at=AT, close=Decimal("67001")))
    cycle(strict, TO_CANDLES)
    assert minutes(lake, source=KRAKEN) == set()
    assert len(minutes(lake)) == 4
    last = log.last_commit(lake.path(CANDLES.primary))
    assert last is not None
    assert last.counts["held"] == 1
    with pytest.raises(NotInLakeError, match=f"Held are: {KRAKEN}"):
        release(strict, SOURCE)

    release(strict, KRAKEN)
    assert held_now(lake) == {}
    assert minutes(lake, source=KRAKEN) == {("BTC-USDT", "23T10:04"), ("BTC-USDT", "23T10:05")}
    assert audit(lake).differences == ()
