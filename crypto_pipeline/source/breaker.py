"""Whether a venue is worth asking: it is left alone for a while after it failed for good.

Kept in a file beside the budget, since each minute's poll is a process of its own.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from crypto_pipeline.contract.poll import Outcome
from crypto_pipeline.source.budget import read_state

log = logging.getLogger(__name__)

# A refused place or key does not change by itself within minutes.
PERMANENT_PAUSES = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=6))
# A venue that is down costs each poll its whole patience.
TRANSIENT_LIMIT = 3
TRANSIENT_PAUSE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """Failures in a row, the reason of the last, and until when the venue is left alone."""

    permanent: int = 0
    transient: int = 0
    until: str | None = None
    reason: str = ""


class Breaker:
    """Closed while a venue answers; open for longer and longer while it refuses.

    A venue that says to wait has not failed: the budget keeps its time.
    """

    def __init__(self, venue: str, file: Path) -> None:
        self.venue = venue
        self._file = file

    def why_not(self, now: datetime) -> str | None:
        """None when the venue may be asked, else the sentence that says why it is not."""
        seen = self.read()
        if seen.until is None or now >= datetime.fromisoformat(seen.until):
            return None
        return f"{self.venue} is left alone until {seen.until[:16]}Z ({seen.reason})"

    def note(self, outcome: Outcome, *, reason: str | None, now: datetime) -> None:
        """Learn from a poll; the remedy is logged when the venue is given up, not each minute."""
        seen = self.read()
        if outcome == "permanent":
            count = seen.permanent + 1
            pause = PERMANENT_PAUSES[min(count, len(PERMANENT_PAUSES)) - 1]
            self._open(Failures(permanent=count), pause, reason or outcome, now)
        elif outcome in ("transient", "wrong_content"):
            count = seen.transient + 1
            after = Failures(permanent=seen.permanent, transient=count)
            if count >= TRANSIENT_LIMIT:
                self._open(after, TRANSIENT_PAUSE, reason or outcome, now)
            else:
                self._write(after)
        elif outcome != "told_to_wait" and seen != Failures():
            self._write(Failures())

    def _open(self, failures: Failures, pause: timedelta, reason: str, now: datetime) -> None:
        until = (now + pause).isoformat()
        if failures.permanent <= 1:
            log.warning("%s is left alone until %s: %s", self.venue, until, reason)
        self._write(
            Failures(
                permanent=failures.permanent,
                transient=failures.transient,
                until=until,
                reason=reason[:200],
            )
        )

    def read(self) -> Failures:
        """Failures in a row so far; none where nothing was noted yet."""
        content = read_state(self._file)
        try:
            return Failures(**content)
        except TypeError:
            return Failures()

    def _write(self, failures: Failures) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._file.with_suffix(".tmp")
        temporary.write_text(json.dumps(asdict(failures)))
        temporary.replace(self._file)
