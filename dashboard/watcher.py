"""One thread a process that watches for the operator's thresholds and tells a webhook.

It reads the shared feed, as every session does; without a webhook it keeps the log only. What
could not be told is tried again, in order and ever more seldom, and dropped oldest first when it
grows too much. What the webhook refuses for good is dropped at once.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from crypto_pipeline.contract.message import format_time
from crypto_pipeline.setting_values import Secret
from dashboard.alerts import Event, Log, Thresholds, watch
from dashboard.feed import Look

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 300.0
WAITING_KEPT = 200
# Lines of a chat message; `events` has all.
LINES = 20
# Of the answers 4xx, those after which the same message may be taken.
TRANSIENT = (408, 429)
TIMEOUT = httpx.Timeout(5.0)
Send = Callable[[dict[str, Any]], None]


class Watcher:
    """Looks every few seconds; `events` and `active` are safe to read from any thread."""

    def __init__(
        self,
        look: Callable[[datetime], Look],
        thresholds: Thresholds,
        *,
        send: Send | None,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self.thresholds = thresholds
        self._look, self._send, self._every = look, send, every_seconds
        self._log = Log()
        self._waiting: deque[Event] = deque(maxlen=WAITING_KEPT)
        self._pause, self._not_before = every_seconds, datetime.min.replace(tzinfo=UTC)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self.events: tuple[Event, ...] = ()
        self.sent = self.failed = 0

    @property
    def has_webhook(self) -> bool:
        return self._send is not None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(TIMEOUT.connect or 5.0)

    def step(self, now: datetime) -> None:
        """One look and, where there is something to tell, one try to tell it."""
        self._waiting.extend(watch(self._log, self._look(now).known, self.thresholds, now))
        self.events = tuple(self._log.events)
        if self._send is None:
            self._waiting.clear()
        elif self._waiting and now >= self._not_before:
            self._tell(self._send, now)

    def _tell(self, send: Send, now: datetime) -> None:
        events = list(self._waiting)
        try:
            send(content(events))
        except httpx.HTTPError as error:
            self.failed += 1
            # Its text may hold the address, which is a secret.
            if is_refused(error):
                log.warning("ALERT_WEBHOOK_URL refuses alerts; %d are dropped.", len(events))
                self._waiting.clear()
                return
            log.warning("ALERT_WEBHOOK_URL did not take alerts: %s", type(error).__name__)
            self._not_before = now + timedelta(seconds=self._pause)
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        else:
            self.sent += len(events)
            self._pause = self._every
            self._waiting.clear()

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self.step(datetime.now(UTC))


def is_refused(error: httpx.HTTPError) -> bool:
    """Whether the same message would be refused again."""
    if not isinstance(error, httpx.HTTPStatusError):
        return False
    status = error.response.status_code
    return 400 <= status < 500 and status not in TRANSIENT


def content(events: Sequence[Event]) -> dict[str, Any]:
    """What a webhook gets; `text` alone is what chat services show."""
    lines = [
        f"{'BEGUN' if event.has_begun else 'ENDED'} {event.kind} {event.symbol}: {event.words}"
        for event in events
    ]
    more = [f"and {len(lines) - LINES} more"] if len(lines) > LINES else []
    return {
        "text": "\n".join([*lines[:LINES], *more]),
        "kind": "alerts",
        "events": [as_json(event) for event in events],
    }


def as_json(event: Event) -> dict[str, Any]:
    return {
        "at": format_time(event.at),
        "kind": event.kind,
        "symbol": event.symbol,
        "state": "begun" if event.has_begun else "ended",
        "words": event.words,
    }


def webhook(url: Secret | None) -> Send | None:
    """A way to post JSON there; a redirect is not followed."""
    if url is None:
        return None

    def send(body: dict[str, Any]) -> None:
        httpx.post(url.reveal(), json=body, timeout=TIMEOUT).raise_for_status()

    return send
