"""The dashboard seen from outside: what its reader has read, and whether it still reads."""

from __future__ import annotations

from collections.abc import Callable

from crypto_pipeline.observed import dashboard_metrics as metrics
from crypto_pipeline.observed.declared import DASHBOARD
from crypto_pipeline.observed.exposition import gauges, page
from crypto_pipeline.observed.health import Health
from dashboard.buffers import View

AWAY = ("away", "stopped")


class Watched:
    """The feed of this process, from the first visit on; before that nothing reads."""

    def __init__(self) -> None:
        self._look: Callable[[], View] | None = None

    def watch(self, look: Callable[[], View]) -> None:
        self._look = look

    def page(self) -> bytes:
        view = self._look() if self._look else None
        tail, kept = (view.tail, view.kept) if view else (None, None)
        return page(
            DASHBOARD,
            gauges(
                (metrics.RECORDS, (), tail.records if tail else 0),
                (metrics.MALFORMED, (), tail.malformed if tail else 0),
                (metrics.SHED, (), sum(kept.shed.values()) if kept else 0),
                (metrics.BYTES, (), kept.bytes if kept else 0),
                (metrics.LIVE, (), tail is not None and tail.state == "live"),
            ),
        )

    def health(self) -> Health:
        if self._look is None:
            return Health(facts={"reader": "waits for the first visit"})
        tail = self._look().tail
        facts = {"reader": tail.state, "since": tail.since.isoformat(), "records": tail.records}
        problem = (
            f"The reader of the topics is {tail.state} since {tail.since:%Y-%m-%d %H:%M:%S} UTC: "
            f"{tail.reason or 'its thread has ended.'} The page keeps its last values."
        )
        return Health(problems=(problem,) if tail.state in AWAY else (), facts=facts)


WATCHED = Watched()
