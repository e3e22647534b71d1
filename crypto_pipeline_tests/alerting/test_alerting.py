"""Who is told of what: once when it begins, once when it ends, with a way to the runbook."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from crypto_pipeline.alerting import conditions
from crypto_pipeline.alerting.alert import HOLDS_FOR, SECTIONS, Alert, Kind, runbook_link
from crypto_pipeline.alerting.conditions import CheckResult, FinishedRun
from crypto_pipeline.alerting.ledger import Ledger, Message
from crypto_pipeline.alerting.look import ledger_of, tell
from crypto_pipeline.errors import AlertError, SettingsError
from crypto_pipeline.settings import Settings, load
from crypto_pipeline_tests.alerting.servers import mail_server, webhook
from crypto_pipeline_tests.conftest import ROOT

NOW = datetime(2026, 11, 23, 10, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FAILED = Alert(kind="run_failed", subject="lake_cycle", text="Run 1 of lake_cycle failed.")
STALE = Alert(kind="stale", subject="gold/volatility", text="gold/volatility is old.")

Make = Callable[..., Settings]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def settings(**values: str) -> Settings:
        given = {"STATE_DIR": str(tmp_path), "MARKET": "simulated", **values}
        return load(given, env_file=tmp_path / "no.env")

    return settings


def collect(ledger: Ledger, *alerts: Alert, now: datetime = NOW) -> list[tuple[str, str]]:
    sent: list[Message] = []
    ledger.settle(alerts, now=now, send=sent.append)
    return [(one.status, one.key) for one in sent]


def test_a_thing_is_told_once_and_its_end_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "home" / "alerts.json")
    key = FAILED.key
    assert collect(ledger, FAILED) == [("firing", key)]
    assert collect(ledger, FAILED, now=NOW + MINUTE) == []
    assert collect(Ledger(ledger.file), FAILED, now=NOW + 2 * MINUTE) == [], "after a restart"
    assert collect(ledger, now=NOW + 3 * MINUTE) == [("resolved", key)]
    assert collect(ledger, now=NOW + 4 * MINUTE) == []
    assert collect(ledger, FAILED, now=NOW + 5 * MINUTE) == [("firing", key)]


def test_what_passes_quickly_wakes_nobody(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "alerts.json")
    holds = HOLDS_FOR["stale"]
    assert collect(ledger, STALE) == []
    assert collect(ledger, now=NOW + MINUTE) == []
    assert collect(ledger, STALE, now=NOW + 2 * MINUTE) == []
    assert collect(ledger, STALE, now=NOW + 2 * MINUTE + holds) == [("firing", STALE.key)]


def test_a_message_that_was_not_sent_is_due_again_and_others_are_not_repeated(
    tmp_path: Path,
) -> None:
    ledger = Ledger(tmp_path / "alerts.json")
    other = Alert(kind="books", subject="silver/ticks", text="…")
    sent: list[str] = []

    def fails_at_the_second(message: Message) -> None:
        if sent:
            raise AlertError("no")
        sent.append(message.key)

    with pytest.raises(AlertError):
        ledger.settle([FAILED, other], now=NOW, send=fails_at_the_second)
    assert sent == [other.key]
    assert collect(ledger, FAILED, other) == [("firing", FAILED.key)]


def test_conditions_name_what_is_wrong_and_nothing_else() -> None:
    runs = [
        FinishedRun(job="lake_cycle", run_id="abcdefgh-1", is_success=False, reason="No broker."),
        FinishedRun(job="ingestion", run_id="x", is_success=True),
    ]
    assert [(a.key, a.text) for a in conditions.failed_runs(runs)] == [
        ("run_failed:lake_cycle", "Run abcdefgh of lake_cycle failed. No broker.")
    ]
    times = {"a/new": NOW - 5 * MINUTE, "a/old": NOW - 6 * MINUTE, "a/absent": None}
    assert [a.subject for a in conditions.stale_tables(times, now=NOW)] == ["a/old"]
    checks = [
        CheckResult(asset="silver/ticks", name="books_balance", passed=False, is_error=True),
        CheckResult(asset="gold/x", name="audit", passed=False, is_error=True),
        CheckResult(asset="maintenance/table_files", name="n", passed=False, is_error=False),
        CheckResult(asset="raw/records", name="books_balance", passed=True, is_error=True),
    ]
    assert [a.key for a in conditions.failed_checks(checks)] == [
        "books:silver/ticks",
        "check:gold/x/audit",
    ]
    gaps = [("binance", s, NOW - n * MINUTE) for s in ("A-B", "C-D") for n in (1, 2)]
    (alert,) = conditions.open_gaps([*gaps])
    assert (alert.key, alert.text) == (
        "gaps:binance",
        "4 minutes of 2 symbols are missing since 2026-11-23 10:03 UTC.",
    )


def test_every_kind_has_its_section_in_the_runbook() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert set(SECTIONS.values()) <= anchors
    assert set(SECTIONS) == set(HOLDS_FOR) == set(get_args(Kind))
    link = runbook_link(STALE.key, base="https://example.org/project/")
    assert link == "https://example.org/project/docs/runbook.md#a-table-is-stale"


def test_a_webhook_gets_both_messages(make: Make) -> None:
    with webhook() as got:
        settings = make(
            ALERT_WEBHOOK_URL=f"http://127.0.0.1:{got.port}/hook/s3cret",
            ALERT_RUNBOOK_URL="https://example.org/project",
        )
        assert len(tell(settings, [FAILED], now=NOW)) == 1
        assert tell(settings, [FAILED], now=NOW + MINUTE) == []
        assert len(tell(settings, [], now=NOW + 2 * MINUTE)) == 1
    link = "https://example.org/project/docs/runbook.md#a-run-failed"
    assert [(body["status"], body["key"], body["runbook"]) for body in got.received] == [
        ("firing", FAILED.key, link),
        ("resolved", FAILED.key, link),
    ]
    assert FAILED.text in got.received[0]["text"]
    assert link in got.received[0]["text"]
    assert got.received[1]["since"] == NOW.isoformat()


def test_an_e_mail_gets_both_messages(make: Make) -> None:
    with mail_server() as got:
        settings = make(
            ALERT_EMAIL_TO="me@example.org, you@example.org",
            ALERT_EMAIL_FROM="pipeline@example.org",
            SMTP_PORT=str(got.port),
            SMTP_TLS="no",
        )
        tell(settings, [FAILED], now=NOW)
        tell(settings, [], now=NOW + MINUTE)
    first, second = got.received
    assert "Subject: [simulated] firing: run_failed:lake_cycle" in first
    assert "To: me@example.org, you@example.org" in first
    assert FAILED.text in first
    assert "docs/runbook.md#a-run-failed" in first
    assert "Subject: [simulated] resolved: run_failed:lake_cycle" in second


@pytest.mark.parametrize("status", [404, 500])
def test_a_webhook_that_refuses_is_a_sentence_without_its_secret(make: Make, status: int) -> None:
    with webhook() as got:
        got.status = status
        settings = make(ALERT_WEBHOOK_URL=f"http://127.0.0.1:{got.port}/hook/s3cret")
        with pytest.raises(AlertError, match=f"answered {status}") as caught:
            tell(settings, [FAILED], now=NOW)
        assert "s3cret" not in f"{caught.value} {caught.value.__context__}"
        got.status = 200
        assert len(tell(settings, [FAILED], now=NOW + MINUTE)) == 1
    assert ledger_of(settings).read()[FAILED.key].told


def test_servers_that_are_away_are_sentences(make: Make) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    hook = make(ALERT_WEBHOOK_URL=f"http://127.0.0.1:{port}/s3cret")
    with pytest.raises(AlertError, match="gave no answer") as caught:
        tell(hook, [FAILED], now=NOW)
    assert "s3cret" not in f"{caught.value} {caught.value.__context__}"
    mail = make(ALERT_EMAIL_TO="me@example.org", SMTP_PORT=port, SMTP_TLS="no")
    with pytest.raises(AlertError, match=f"127.0.0.1:{port} did not take an alert"):
        tell(mail, [FAILED], now=NOW)


def test_secrets_stay_secret_and_malformed_addresses_are_named(make: Make) -> None:
    settings = make(ALERT_WEBHOOK_URL="https://hooks.example/s3cret", SMTP_PASSWORD="p4ss")
    shown = f"{settings!r} {settings.environment()}"
    assert "s3cret" not in shown
    assert "p4ss" not in shown
    assert not make().alerting.is_on
    with pytest.raises(SettingsError, match="ALERT_EMAIL_TO has 'nobody'"):
        make(ALERT_EMAIL_TO="nobody")
    with pytest.raises(SettingsError, match="ALERT_WEBHOOK_URL is not an address") as caught:
        make(ALERT_WEBHOOK_URL="s3cret hook")
    assert "s3cret" not in str(caught.value)
