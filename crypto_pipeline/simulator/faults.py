"""Faults on request: the next answers fail the way exchanges do.

A number is a status, in the venue's own words where it has any. `slow` waits `retry_after`
seconds and then answers well; `stale` repeats the last answer to the same question; the kinds
of `ROW_FAULTS` spoil the first row only. The rest spoils the body as a whole, or is an error of
one venue, such as Kraken's `lockout`.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

from crypto_pipeline.simulator.dialect import Dialect

STATUSES = ("400", "401", "403", "404", "418", "429", "451", "500", "502", "503")
ROW_FAULTS = (
    *("nulls", "nan", "text", "negative", "zero", "huge", "tiny", "crossed"),
    *("drift", "scalar_row", "empty_row"),
)
BODY_FAULTS = (
    *("slow", "stale", "cut_body", "short_body", "html", "empty", "not_json"),
    *("wrong_shape", "bad_gzip", "redirect", "mixed_error"),
)
VENUE_FAULTS = (
    *("throttled", "lockout", "unavailable", "busy", "denied", "unknown_error"),
    *("wrong_host", "error_under_200"),
)
FAULT_KINDS: tuple[str, ...] = (*STATUSES, *ROW_FAULTS, *BODY_FAULTS, *VENUE_FAULTS)
RETRY_FORMS = ("seconds", "date", "none")
LOG_LIMIT = 1000

HTML = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
VALUES: dict[str, Any] = {
    "nulls": None,
    "nan": "NaN",
    "text": "soon",
    "negative": "-1.5",
    "zero": "0.00000000",
    "huge": "1e30",
    "tiny": "1e-30",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What to do to the next `count` answers, of one endpoint or venue or of any.

    Seconds are real. `retry_form` is how the venue says when to come back: by default seconds
    with 429 and 418, and nothing with other statuses.
    """

    kind: str
    count: int = 1
    endpoint: str | None = None
    venue: str | None = None
    retry_after: float = 5.0
    retry_form: str | None = None

    def fits(self, venue: str, endpoint: str) -> bool:
        return self.endpoint in (None, endpoint) and self.venue in (None, venue)


def parse_fault(content: Any) -> Fault:
    """Read the body of POST /faults; ValueError names what is wrong with it."""
    if not isinstance(content, dict) or content.get("kind") not in FAULT_KINDS:
        raise ValueError(f"'kind' must be one of {', '.join(FAULT_KINDS)}")
    count, endpoint = content.get("count", 1), content.get("endpoint")
    seconds, form = content.get("retry_after", 5.0), content.get("retry_form")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 1_000_000:
        raise ValueError("'count' must be a whole number from 1 to 1000000")
    if endpoint is not None and not isinstance(endpoint, str):
        raise ValueError("'endpoint' must be a path such as /api/v3/klines, or absent")
    if not isinstance(seconds, int | float) or not 0 <= seconds <= 86_400:
        raise ValueError("'retry_after' must be seconds from 0 to 86400")
    if form is not None and form not in RETRY_FORMS:
        raise ValueError(f"'retry_form' must be one of {', '.join(RETRY_FORMS)}, or absent")
    return Fault(
        kind=content["kind"],
        count=count,
        endpoint=endpoint,
        venue=content.get("venue"),
        retry_after=seconds,
        retry_form=form,
    )


class FaultQueue:
    """Faults in the order asked for; each answer takes one from the first that fits."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, int]] = []
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_LIMIT)

    def add(self, fault: Fault) -> None:
        self._waiting.append((fault, fault.count))

    def take(self, venue: str, endpoint: str, now_ms: int) -> Fault | None:
        for place, (fault, left) in enumerate(self._waiting):
            if fault.fits(venue, endpoint):
                if left == 1:
                    del self._waiting[place]
                else:
                    self._waiting[place] = (fault, left - 1)
                self._log.append({"kind": fault.kind, "endpoint": endpoint, "at": now_ms})
                return fault
        return None

    @property
    def waiting(self) -> int:
        """Answers that are still to fail."""
        return sum(left for _, left in self._waiting)

    def report(self) -> dict[str, Any]:
        """What was done, newest last and bounded, and what still waits."""
        waiting = [{**asdict(fault), "left": left} for fault, left in self._waiting]
        return {"done": list(self._log), "waiting": waiting}


def spoil(body: str, kind: str, dialect: Dialect) -> str:
    """Spoil the first row where the venue keeps its price; a body without rows stays as it is."""
    content = json.loads(body)
    found = dialect.first_row(content)
    if found is None:
        return body
    holder, name = found.price
    if kind in VALUES:
        holder[name] = VALUES[kind]
    elif kind == "crossed" and found.bid and found.ask:
        found.bid[0][found.bid[1]] = f"{2 * float(found.ask[0][found.ask[1]]):f}"
    elif kind == "drift":
        _rename(holder, name)
    elif kind in ("scalar_row", "empty_row"):
        value: Any = 5 if kind == "scalar_row" else {}
        if found.row is None:
            content = value
        else:
            found.row[0][found.row[1]] = value
    return json.dumps(content, separators=(",", ":"))


def _rename(holder: Any, name: Any) -> None:
    """A field under a new name, as after a release without notice; an array loses its end."""
    if isinstance(holder, dict):
        holder[f"{name}V2"] = holder.pop(name)
    else:
        del holder[name:]
