"""Dagster's run queue, looked at as often as its daemon can."""

from __future__ import annotations

from dagster._core.run_coordinator import QueuedRunCoordinator

# The daemon sleeps half a second at a time; with a whole second, the least that its setting takes,
# it sleeps twice, and a minute's cycle waits for that.
LOOK_SECONDS = 0.25


class PromptQueue(QueuedRunCoordinator):
    """The queue of `make up` and of the chart; limits and pools are Dagster's own."""

    @property
    def dequeue_interval_seconds(self) -> float:  # type: ignore[override]
        return LOOK_SECONDS
