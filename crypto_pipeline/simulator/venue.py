"""One simulated venue: a dialect's answers, between its limits and the faults asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from starlette.responses import Response

from crypto_pipeline.simulator.clock import SimulatedClock
from crypto_pipeline.simulator.dialect import Dialect, Question, RefusedError
from crypto_pipeline.simulator.faults import (
    HTML,
    ROW_FAULTS,
    STATUSES,
    VENUE_FAULTS,
    Fault,
    FaultQueue,
    spoil,
)
from crypto_pipeline.simulator.limits import Asked, RequestLog
from crypto_pipeline.simulator.market import Market

JSON_TYPE = "application/json;charset=UTF-8"
WAITS = ("429", "418")


class SimulatedVenue:
    """Answers requests from a market at the clock's now, and writes each into the log.

    Who asks before a `Retry-After` has passed is logged as early and told again.
    """

    def __init__(
        self,
        dialect: Dialect,
        market: Market,
        clock: SimulatedClock,
        faults: FaultQueue,
        log: RequestLog,
    ) -> None:
        self.dialect = dialect
        self._market = market
        self._clock = clock
        self._faults = faults
        self._log = log
        self._limits = dialect.make_limits(max(1.0, clock.mapping.speed))
        self._last: dict[tuple[str, str], str] = {}
        self._not_before_ms = 0

    async def answer(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Response:
        now_ms = self._clock.now_ms()
        fault = self._faults.take(self.dialect.name, path, now_ms)
        question = Question(
            path=path.removeprefix(self.dialect.prefix), query=query, headers=headers, now_ms=now_ms
        )
        status, body, weight = self._content(question)
        wait = max(limit.take(weight, self._clock.real_now()) for limit in self._limits)
        is_early = self._clock.real_now() < self._not_before_ms
        if wait > 0:
            fault = Fault(kind=self.dialect.over_limit, retry_after=max(1.0, wait))
        elif is_early:
            left = (self._not_before_ms - self._clock.real_now()) / 1000
            fault = Fault(kind=self.dialect.over_limit, retry_after=left)
        key = (path, json.dumps(dict(query)))
        response = self._spoiled(fault, key, status, body)
        self._log.add(
            Asked(
                venue=self.dialect.name,
                path=path,
                at_ms=self._clock.real_now(),
                status=response.status_code,
                fault=None if fault is None else fault.kind,
                weight=weight,
                is_over=wait > 0,
                is_early=is_early,
            )
        )
        # After it was counted: who gives up waiting has asked all the same.
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.retry_after)
        return response

    def _content(self, question: Question) -> tuple[int, str, int]:
        """Status, body and weight of the answer that no fault touches."""
        try:
            answer = self.dialect.answer(self._market, question)
        except RefusedError as refusal:
            return refusal.status, dump(refusal.body), 1
        return 200, dump(answer.content), answer.weight

    def _spoiled(
        self, fault: Fault | None, key: tuple[str, str], status: int, body: str
    ) -> Response:
        headers = self._headers()
        kind = "" if fault is None else fault.kind
        if fault is not None and (kind in STATUSES or kind in VENUE_FAULTS):
            return self._failure(fault, headers)
        if kind == "stale":
            body = self._last.get(key, body)
        self._last[key] = body
        if kind in ROW_FAULTS and status == 200:
            body = spoil(body, kind, self.dialect)
        return _broken(kind, status, body, headers)

    def _failure(self, fault: Fault, headers: dict[str, str]) -> Response:
        kind = fault.kind
        default = (int(kind) if kind.isdigit() else 500, None)
        status, content = self.dialect.failures.get(kind, default)
        form = fault.retry_form or ("seconds" if status in (418, 429) else "none")
        if form != "none":
            until_ms = self._clock.real_now() + int(fault.retry_after * 1000)
            self._not_before_ms = max(self._not_before_ms, until_ms)
            moment = datetime.fromtimestamp(-(-until_ms // 1000), UTC)
            dated = format_datetime(moment, usegmt=True)
            headers["Retry-After"] = dated if form == "date" else f"{fault.retry_after:g}"
        if content is None:
            return Response(HTML, status, media_type="text/html", headers=headers)
        return Response(dump(content), status, media_type=JSON_TYPE, headers=headers)

    def _headers(self) -> dict[str, str]:
        if not self.dialect.shows_weight:
            return {}
        used = str(self._limits[0].used)
        return {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}


def _broken(kind: str, status: int, body: str, headers: dict[str, str]) -> Response:
    """A body that is cut, of another kind, or something else altogether."""
    match kind:
        case "html":
            return Response(HTML, status, media_type="text/html", headers=headers)
        case "redirect":
            return Response("", 301, headers={**headers, "Location": "http://127.0.0.1:9/"})
        case "bad_gzip":
            gzip = {**headers, "content-encoding": "gzip"}
            return Response(b"no gzip at all", status, media_type=JSON_TYPE, headers=gzip)
        case "empty":
            body = ""
        case "not_json":
            body = "upstream connect error or disconnect/reset before headers"
        case "wrong_shape":
            body = "[]" if body.startswith("{") else "{}"
        case "short_body":
            body = body[: len(body) * 2 // 3]
        case "mixed_error":
            content = json.loads(body)
            body = dump({**content, "error": ["EService:Busy"]})
        case "cut_body":
            headers["content-length"] = str(len(body.encode()))
            body = body[: len(body) // 2]
    return Response(body, status, media_type=JSON_TYPE, headers=headers)


def dump(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))
