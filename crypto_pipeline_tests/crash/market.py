"""A market, a broker and a Spark server for tests that stop one of them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from crypto_pipeline.embedded import java
from crypto_pipeline.embedded import services as stack
from crypto_pipeline.embedded.running import services, start, stop, wait_until_ready
from crypto_pipeline.settings import Settings, spark_token
from crypto_pipeline.source.clock import minute_of
from crypto_pipeline.source.market import market_clock
from crypto_pipeline.stream.topics import ensure

MINUTE = timedelta(minutes=1)
Make = Callable[..., Settings]


@dataclass
class Broker:
    """A broker of this test's own that can be killed and started again over the same data."""

    settings: Settings
    process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        (service,) = (
            one for one in stack.table(self.settings, java.find()) if one.name == "broker"
        )
        self.process = start(service, self.settings)
        wait_until_ready(service, self.process, self.settings)

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def down(self) -> None:
        if self.process is not None:
            stop([self.process])


@contextmanager
def market(servers: Settings, make_settings: Make, **options: str) -> Iterator[Broker]:
    """A simulator and a broker of their own, and the shared Spark server."""
    settings = make_settings(
        SPARK_REMOTE=servers.spark_address,
        SPARK_CONNECT_TOKEN=spark_token(servers).reveal(),
        HISTORY_HOURS="0",
        **options,
    )
    with services(settings, ["simulator"]):
        broker = Broker(settings)
        try:
            broker.up()
            ensure(settings)
            yield broker
        finally:
            broker.down()


def wait_for_a_minute(settings: Settings, *, speed: float) -> None:
    """Until the market's clock shows another minute than now."""
    clock = market_clock(settings)
    now = clock.now()
    clock.sleep((minute_of(now) + MINUTE - now).total_seconds() + 0.05 * speed)
