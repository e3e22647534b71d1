"""What waits in the spool, told on `pipeline.status` for the screen."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from crypto_pipeline.contract.message import (
    SCHEMA_VERSION,
    encode,
    format_optional_time,
    format_time,
)
from crypto_pipeline.contract.report import SpoolReport
from crypto_pipeline.contract.topic import STATUS
from crypto_pipeline.errors import StreamError
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.venues import market_kind
from crypto_pipeline.stream.publish import MessagePublisher, Outgoing
from crypto_pipeline.stream.spool import Spool
from crypto_pipeline.stream.spool_state import look

log = logging.getLogger(__name__)

KEY = b"spool"
DEADLINE_SECONDS = 5.0


def report_spool(settings: Settings, spool: Spool, publisher: MessagePublisher) -> None:
    """Send the spool's state; a broker that does not take it is no failure of the poll."""
    state = look(spool.folder)
    report = SpoolReport(
        schema_version=SCHEMA_VERSION,
        kind="spool",
        market=market_kind(settings),
        source=settings.source,
        polls=state.polls,
        messages=state.messages,
        bytes=state.bytes,
        limit_bytes=settings.spool_limit_mb * 1024 * 1024,
        oldest_poll_at=format_optional_time(state.oldest_poll_at),
        reported_at=format_time(datetime.now(UTC)),
    )
    message = Outgoing(topic=STATUS.name, key=KEY, value=encode({**report}))
    try:
        publisher.publish([message], deadline_seconds=DEADLINE_SECONDS)
    except StreamError as error:
        log.warning("The spool's state was not told: %s", error)
