"""Who has been told what: an alert is sent once, and its end once.

A file keeps it, so that a restart repeats nothing. A message that could not be sent stays due.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from crypto_pipeline.alerting.alert import HOLDS_FOR, Alert
from crypto_pipeline.stream.durable import write_durably

Status = Literal["firing", "resolved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One alert as the ledger has it; times are ISO-8601 UTC text."""

    text: str
    since: str
    told: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What to send: the alert's key and text, whether it began or ended, and since when."""

    key: str
    status: Status
    text: str
    since: str


Send = Callable[[Message], None]


@dataclass(frozen=True)
class Ledger:
    file: Path

    def settle(self, alerts: Iterable[Alert], *, now: datetime, send: Send) -> list[Message]:
        """Send what is new and what has ended; each is noted as soon as it is sent.

        Whatever `send` raises goes through, and the messages after it wait for the next time.
        """
        known = self.read()
        current = {alert.key: alert for alert in alerts}
        due = [
            message
            for key in sorted({*known, *current})
            if (message := _step(known, key, current.get(key), now)) is not None
        ]
        self._write(known)
        for message in due:
            send(message)
            if message.status == "firing":
                known[message.key] = replace(known[message.key], told=True)
            else:
                del known[message.key]
            self._write(known)
        return due

    def read(self) -> dict[str, Known]:
        if not self.file.exists():
            return {}
        found = json.loads(self.file.read_text())
        return {key: Known(**value) for key, value in found.items()}

    def _write(self, known: dict[str, Known]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        content = {key: asdict(value) for key, value in sorted(known.items())}
        write_durably(self.file, json.dumps(content, indent=1).encode())


def _step(known: dict[str, Known], key: str, alert: Alert | None, now: datetime) -> Message | None:
    """Note what is seen; the message that it makes due, if any."""
    before = known.get(key)
    if alert is None:
        if before is not None and before.told:
            return Message(key=key, status="resolved", text=before.text, since=before.since)
        known.pop(key, None)
        return None
    if before is None:
        before = Known(text=alert.text, since=now.isoformat(), told=False)
        known[key] = before
    lasted = now - datetime.fromisoformat(before.since)
    if before.told or lasted < HOLDS_FOR[alert.kind]:
        return None
    return Message(key=key, status="firing", text=alert.text, since=before.since)
