"""The dashboard as `make up` starts it, over a real broker, and the minutes that it shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kafka import KafkaAdminClient

from crypto_pipeline.contract.topic import TOPICS
from crypto_pipeline.settings import Settings
from crypto_pipeline.stream.connection import open_admin, open_producer
from crypto_pipeline.stream.tail import TailRecord
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.dashboard import market
from crypto_pipeline_tests.embedded.stack import await_port

DAY_MS = 86_400_000
MINUTE = timedelta(minutes=1)
# As much as the page ever keeps of a symbol, so that nothing grows for being new.
HISTORY = timedelta(minutes=1_500)
STAGES = ("raw", "bronze", "silver", "candles", "volatility", "summary", "predictions")


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running page: its address, and its process as the kernel sees it."""

    port: int
    metrics_port: int
    pid: int
    broker_port: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def resident_bytes(self) -> int:
        return int(self._status("VmRSS")) * 1024

    def threads(self) -> int:
        return int(self._status("Threads"))

    def broker_connections(self) -> int:
        """Established connections of the process to its broker."""
        folder = Path(f"/proc/{self.pid}/fd")
        own = set()
        for file in folder.iterdir():
            # One that is closed meanwhile is nobody's.
            with suppress(FileNotFoundError):
                own.add(str(file.readlink()))
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ends = f":{self.broker_port:04X}"
        return sum(
            row[2].endswith(ends) and row[3] == "01" and f"socket:[{row[9]}]" in own for row in rows
        )

    def _status(self, name: str) -> str:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


@contextmanager
def served(
    settings: Settings, *, refresh_seconds: float, core: int | None = None
) -> Iterator[Served]:
    """The page in a process of its own, on one core of the machine where `core` names it."""
    port, log = settings.dashboard_port, settings.state_dir / "page.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard", "--server.port", str(port)],
            cwd=ROOT,
            env={
                **os.environ, **settings.environment(), "REFRESH_SECONDS": str(refresh_seconds),
            },
            stdout=output,
            stderr=output,
        )  # fmt: skip
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        await_port(port, process)
        yield Served(
            port=port,
            metrics_port=settings.dashboard_metrics_port,
            pid=process.pid,
            broker_port=settings.kafka_port,
        )
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(20)


def topics_with_given_times(settings: Settings) -> None:
    """The topics of the contract, but with the sender's times: a minute may last a second."""
    own_time = {
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": str(2 * DAY_MS),
    }
    with closing(open_admin(settings)) as admin:
        made: KafkaAdminClient = admin
        made.create_topics(
            {
                topic.name: {
                    "num_partitions": topic.partitions, "configs": {**topic.config, **own_time},
                }
                for topic in TOPICS
            }
        )  # fmt: skip
        made.wait_for_topics([topic.name for topic in TOPICS])


def send(settings: Settings, records: Iterable[TailRecord]) -> int:
    """To their topics, under their own times where the topic takes those; gives how many."""
    with closing(open_producer(settings)) as producer:
        sent = [
            producer.send(
                record.topic,
                key=record.key.encode(),
                value=json.dumps(record.value).encode(),
                timestamp_ms=int(record.broker_at.timestamp() * 1000),
            )
            for record in records
        ]
        for future in sent:
            future.get(60)
    return len(sent)


def minute(symbols: Iterable[str], at: datetime, *, price: str) -> Iterator[TailRecord]:
    """All that a running pipeline says in one minute, its summaries with a few minutes' band."""
    for symbol in symbols:
        yield market.tick(symbol, at=at, price=price)
        yield dated(market.candle(symbol, open_at=at - MINUTE, close=price), at)
        said = market.summary(symbol, now=at, last=price)
        assert said.value is not None
        said.value["recent"] = said.value["recent"][-5:]
        yield said
        for minutes in (5, 15, 60):
            yield market.forecast(symbol, minutes=minutes, now=at)
    yield from (market.status(stage, at=at) for stage in STAGES)
    yield market.poll(at=at)


def history(symbols: Iterable[str], until: datetime) -> Iterator[TailRecord]:
    """Candles and served forecasts of as many minutes as the page keeps, then a full summary."""
    for symbol in symbols:
        for back in range(int(HISTORY / MINUTE), 0, -1):
            at = until - back * MINUTE
            price = f"{100 + back % 17}.50"
            yield dated(market.candle(symbol, open_at=at - MINUTE, close=price), at)
            yield market.forecast(symbol, minutes=60, now=at)
        yield market.summary(symbol, now=until)


def dated(record: TailRecord, at: datetime) -> TailRecord:
    return market.record(record.topic, record.value, at=at, key=record.key)


def on_the_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)
