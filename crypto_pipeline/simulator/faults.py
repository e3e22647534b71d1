"""Faults on request: the next answers fail the way exchanges do.

`slow` waits `retry_after` seconds and then answers well; `stale` repeats the last answer to
the same question; `nulls` and `nan` spoil the price of the first row only.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

FaultKind = Literal["429", "418", "451", "500", "slow", "cut_body", "html", "nulls", "nan", "stale"]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
LOG_LIMIT = 1000

HTML = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
STATUS_BODIES: Mapping[str, dict[str, Any]] = {
    "429": {"code": -1003, "msg": "Too much request weight used; current limit is 6000."},
    "418": {"code": -1003, "msg": "Way too much request weight used; IP banned."},
    "451": {"code": 0, "msg": "Service unavailable from a restricted location."},
    "500": {"code": -1000, "msg": "An unknown error occurred while processing the request."},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What to do to the next `count` answers, of one endpoint or of any; seconds are real."""

    kind: FaultKind
    count: int = 1
    endpoint: str | None = None
    retry_after: float = 5.0


def parse_fault(content: Any) -> Fault:
    """Read the body of POST /faults; ValueError names what is wrong with it."""
    if not isinstance(content, dict) or content.get("kind") not in FAULT_KINDS:
        raise ValueError(f"'kind' must be one of {', '.join(FAULT_KINDS)}")
    count, endpoint = content.get("count", 1), content.get("endpoint")
    seconds = content.get("retry_after", 5.0)
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 1_000_000:
        raise ValueError("'count' must be a whole number from 1 to 1000000")
    if endpoint is not None and not isinstance(endpoint, str):
        raise ValueError("'endpoint' must be a path such as /api/v3/klines, or absent")
    if not isinstance(seconds, int | float) or not 0 <= seconds <= 86_400:
        raise ValueError("'retry_after' must be seconds from 0 to 86400")
    return Fault(kind=content["kind"], count=count, endpoint=endpoint, retry_after=seconds)


class FaultQueue:
    """Faults in the order asked for; each answer takes one from the first that fits."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, int]] = []
        self._log: deque[dict[str, Any]] = deque(maxlen=LOG_LIMIT)

    def add(self, fault: Fault) -> None:
        self._waiting.append((fault, fault.count))

    def take(self, endpoint: str, now_ms: int) -> Fault | None:
        for place, (fault, left) in enumerate(self._waiting):
            if fault.endpoint in (None, endpoint):
                if left == 1:
                    del self._waiting[place]
                else:
                    self._waiting[place] = (fault, left - 1)
                self._log.append({"kind": fault.kind, "endpoint": endpoint, "at": now_ms})
                return fault
        return None

    def report(self) -> dict[str, Any]:
        """What was done, newest last and bounded, and what still waits."""
        waiting = [{**asdict(fault), "left": left} for fault, left in self._waiting]
        return {"done": list(self._log), "waiting": waiting}


def spoil(body: str, kind: FaultKind) -> str:
    """Put null or NaN where the first row's price is: lastPrice, or a kline's close."""
    content = json.loads(body)
    row = content[0] if isinstance(content, list) and content else content
    value = None if kind == "nulls" else "NaN"
    if isinstance(row, dict) and "lastPrice" in row:
        row["lastPrice"] = value
    elif isinstance(row, list) and len(row) > 4:
        row[4] = value
    return json.dumps(content, separators=(",", ":"))
