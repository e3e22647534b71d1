"""Stand-ins with state: a topic that is a list, a venue whose prices move, a scripted producer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from kafka.errors import KafkaError, KafkaTimeoutError

from crypto_pipeline import settings as settings_module
from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.poll import Rejected
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.errors import BrokerAwayError
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.venue import Fetched, Origin, Snapshot
from crypto_pipeline.stream.publish import Outgoing, Published
from crypto_pipeline.stream.ranges import Span

MINUTE = timedelta(minutes=1)
START = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)


class Killed(BaseException):
    """The process ends here; nothing in the package may catch it."""


def settings_for(folder: Path, **values: str) -> Settings:
    given = {
        "MARKET": "simulated",
        "STATE_DIR": str(folder),
        "SYMBOLS": "BTC-USDT,ETH-USDT",
        "HISTORY_HOURS": "1",
        "POLL_DELAY_SECONDS": "0",
        **values,
    }
    return settings_module.load(given, env_file=folder / "no.env")


@dataclass(slots=True)
class FakeClock:
    time: datetime = START + timedelta(seconds=2)
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


@dataclass(slots=True)
class ListPublisher:
    """A broker as a list; `is_away` refuses, `kill` is asked before and after each publish."""

    log: list[Outgoing] = field(default_factory=list)
    is_away: bool = False
    kill: Callable[[str], None] = lambda step: None

    def publish(self, messages: Sequence[Outgoing], *, deadline_seconds: float) -> Published:
        self.kill("before publish")
        if self.is_away:
            raise BrokerAwayError("Kafka does not answer.")
        begin = len(self.log)
        self.log += messages
        self.kill("after publish")
        spans = {message.topic: {0: Span(begin, len(self.log))} for message in messages}
        return Published(count=len(messages), seconds=0.0, offsets=spans)

    def payloads(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(message.value) for message in self.log if message.topic == topic]


@dataclass(slots=True)
class FakeVenue:
    """Every snapshot has new prices, so that a second poll of a minute would be seen."""

    polls: int = 0
    name: str = "binance"
    candle_page: int = 1000
    candle_reach: int | None = None

    def fetch_snapshot(self, symbols: Sequence[str]) -> Snapshot:
        self.polls += 1
        part = Fetched(
            body=str(self.polls), endpoint="snapshot", budget_used=2, symbols=tuple(symbols)
        )
        return Snapshot(parts=(part,))

    def parse_snapshot(
        self, body: str, *, origin: Origin, symbols: Sequence[str]
    ) -> tuple[list[Tick], list[Rejected]]:
        return [tick(symbol, origin=origin, price=body) for symbol in symbols], []

    def fetch_candles(self, symbol: str, start: datetime, end: datetime) -> Fetched:
        return Fetched(
            body=json.dumps([start.isoformat(), end.isoformat()]),
            endpoint="candles",
            budget_used=3,
            symbols=(symbol,),
        )

    def parse_candles(
        self, body: str, *, origin: Origin, symbol: str, finished_by: datetime, is_backfill: bool
    ) -> tuple[list[Candle], list[Rejected]]:
        start, end = (datetime.fromisoformat(text) for text in json.loads(body))
        minutes = [start + MINUTE * n for n in range((end - start) // MINUTE)]
        return [
            candle(symbol, origin=origin, open_at=at, is_backfill=is_backfill) for at in minutes
        ], []

    def server_time(self) -> datetime:
        return START

    def listed_symbols(self) -> frozenset[str]:
        return frozenset({"BTC-USDT", "ETH-USDT"})


def tick(symbol: str, *, origin: Origin, price: str = "1") -> Tick:
    return Tick(
        market=origin.market,
        source=origin.source,
        venue=origin.venue,
        symbol=symbol,
        poll_at=origin.poll_at,
        observed_at=origin.observed_at,
        event_at=origin.poll_at,
        price=Decimal(price),
        bid=None,
        ask=None,
        bid_size=None,
        ask_size=None,
        open_24h=None,
        high_24h=None,
        low_24h=None,
        volume_24h=None,
        quote_volume_24h=None,
        market_cap=None,
        trades_24h=None,
        mark="same",
        is_unchanged=False,
        endpoint=origin.endpoint,
        record=price,
    )


def candle(symbol: str, *, origin: Origin, open_at: datetime, is_backfill: bool) -> Candle:
    return Candle(
        market=origin.market,
        source=origin.source,
        venue=origin.venue,
        symbol=symbol,
        open_at=open_at,
        observed_at=origin.observed_at,
        event_at=None,
        open=Decimal(1),
        high=Decimal(1),
        low=Decimal(1),
        close=Decimal(1),
        volume=Decimal(1),
        quote_volume=None,
        trades=None,
        is_backfill=is_backfill,
        endpoint=origin.endpoint,
        record="",
    )


class Acknowledged(NamedTuple):
    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class FakeFuture:
    """Settled with a value or an error; with neither it is never settled."""

    value: Acknowledged | None = None
    error: KafkaError | None = None

    def succeeded(self) -> bool:
        return self.value is not None

    def get(self, timeout: float) -> Acknowledged:
        if self.value is None:
            raise self.error or KafkaTimeoutError(f"Timeout after waiting for {timeout} secs.")
        return self.value


@dataclass(slots=True)
class ScriptedProducer:
    """Answers sends from a script shared by all sessions: None is an ack, else the error."""

    script: list[Any]
    log: list[bytes]
    is_dropped: bool = False

    @property
    def _sender(self) -> ScriptedProducer:
        return self

    def force_close(self) -> None:
        self.is_dropped = True

    def join(self, timeout: float) -> None: ...

    def close(self, timeout: float) -> None: ...

    def flush(self, timeout: float) -> None: ...

    def send(self, topic: str, value: bytes, key: bytes) -> FakeFuture:
        assert not self.is_dropped
        step = self.script.pop(0) if self.script else None
        if isinstance(step, KafkaError):
            return FakeFuture(error=step)
        if step is not None:
            return step()
        self.log.append(value)
        return FakeFuture(value=Acknowledged(topic, 0, len(self.log) - 1))
