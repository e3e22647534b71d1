"""What the lake's own logs say is wrong: old commits and open gaps, read without Spark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crypto_pipeline.alerting.alert import Alert
from crypto_pipeline.alerting.conditions import open_gaps, stale_tables
from crypto_pipeline.alerting.ledger import Ledger, Message
from crypto_pipeline.alerting.send import send
from crypto_pipeline.backfill.ledger import open_minutes
from crypto_pipeline.lake.rows import read_days
from crypto_pipeline.maintenance.table_files import committed_at
from crypto_pipeline.settings import Settings
from crypto_pipeline.silver.schema import GAPS
from crypto_pipeline.stages import STAGES

# What the repair looks at as well; older minutes are known and given up.
GAP_DAYS = timedelta(days=7)


def ledger_of(settings: Settings) -> Ledger:
    return Ledger(settings.home / "alerts.json")


def lake_alerts(settings: Settings, *, now: datetime) -> list[Alert]:
    root = settings.lake_root.rstrip("/")
    primaries = [stage.primary for stage in STAGES]
    committed = {table.key: committed_at(f"{root}/{table.key}") for table in primaries}
    rows = read_days(f"{root}/{GAPS.key}", since=(now - GAP_DAYS).date())
    minutes = [(one.source, one.symbol, one.minute_at) for one in open_minutes(rows)]
    return [*stale_tables(committed, now=now), *open_gaps(minutes)]


def tell(settings: Settings, alerts: list[Alert], *, now: datetime | None = None) -> list[Message]:
    """Send what is new and what has ended; raises AlertError, and goes on there the next time."""
    return ledger_of(settings).settle(
        alerts,
        now=now or datetime.now(UTC),
        send=lambda message: send(message, settings.alerting, market=settings.market),
    )
