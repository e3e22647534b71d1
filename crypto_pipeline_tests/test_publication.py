"""What is sent to the screen's topics depends on the last record that they have."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from crypto_pipeline.publication import Position, Screen

STANDS = Position(table_id="ours", batch=700)


class Sent:
    """A publisher that keeps what it was given."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def publish(self, messages: Any, *, deadline_seconds: float) -> Any:
        self.messages += messages
        return {}

    def close(self) -> None: ...


def asked_after(newest: Mapping[str, Any]) -> int | None:
    """From which batch on forecasts are asked for; None when the topic shows the last."""
    asked: list[int] = []

    def records(after: int) -> Any:
        asked.append(after)
        return SimpleNamespace(records=[], passed=0)

    Screen(publisher=Sent(), newest=lambda _: newest).publish_forecasts(at=STANDS, records=records)
    return asked[0] if asked else None


@pytest.mark.parametrize(
    ("newest", "after"),
    [
        ({}, 0),
        ({"table_id": "another", "batch": 700}, 0),
        ({"table_id": "ours", "batch": 698}, 698),
        ({"table_id": "ours", "batch": 700}, None),
        # The table was restored from a backup of before these records.
        ({"table_id": "ours", "batch": 900}, 699),
    ],
)
def test_forecasts_go_on_where_the_topic_ends_or_with_the_newest_of_a_restored_table(
    newest: Mapping[str, Any], after: int | None
) -> None:
    assert asked_after(newest) == after


def test_the_summary_of_a_restored_table_is_sent() -> None:
    publisher = Sent()
    screen = Screen(publisher=publisher, newest=lambda _: {"table_id": "ours", "batch": 900})
    row = {"source": "s", "symbol": "BTC-USDT"}
    sent = screen.publish_summary(at=STANDS, records=lambda: [row])
    assert (sent.records, len(publisher.messages)) == (1, 1)
