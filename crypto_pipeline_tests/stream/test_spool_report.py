"""What the screen is told of the spool."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from crypto_pipeline.contract.report_schema import spool_schema
from crypto_pipeline.stream.publish import Outgoing
from crypto_pipeline.stream.spool import Spool
from crypto_pipeline.stream.spool_report import report_spool
from crypto_pipeline_tests.stream.fakes import START, ListPublisher, settings_for


def test_what_waits_is_told_as_the_schema_says(tmp_path: Path) -> None:
    publisher, settings = ListPublisher(), settings_for(tmp_path)
    with Spool(tmp_path / "spool", limit_bytes=10_000) as spool:
        tick = Outgoing(topic="market.ticks", key=b"k", value=b"v")
        poll = Outgoing(topic="market.polls", key=b"k", value=b"v")
        spool.append([tick, tick], poll, poll_at=START, purpose="minute")
        report_spool(settings, spool, publisher)
    (sent,) = publisher.log
    report = json.loads(sent.value)
    jsonschema.validate(report, spool_schema())
    assert (sent.topic, sent.key) == ("pipeline.status", b"spool")
    assert (report["polls"], report["oldest_poll_at"]) == (1, "2026-11-23T10:05:00.000000Z")
    assert report["bytes"] > 0


def test_a_broker_that_is_away_is_no_failure_of_the_poll(tmp_path: Path) -> None:
    publisher = ListPublisher(is_away=True)
    with Spool(tmp_path / "spool", limit_bytes=10_000) as spool:
        report_spool(settings_for(tmp_path), spool, publisher)
    assert publisher.log == []
