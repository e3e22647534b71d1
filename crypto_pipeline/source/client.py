"""One way to ask a market API over HTTP: time-outs, bounded retries, errors with a remedy.

Real time throughout: a faster simulated market does not make the network faster.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from crypto_pipeline.errors import (
    MarketError,
    PermanentMarketError,
    RequestRefusedError,
    ToldToWaitError,
    TransientMarketError,
    UnexpectedBodyError,
    WrongContentError,
)
from crypto_pipeline.settings import Secret
from crypto_pipeline.source.budget import Budget
from crypto_pipeline.source.clock import Clock, SystemClock

TIMEOUT = httpx.Timeout(10.0, connect=5.0, pool=15.0)
ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.5
# Attempts and pauses of one question end by then, so that a poll stays inside its minute.
PATIENCE_SECONDS = 25.0
DEFAULT_WAIT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 7 * 86_400.0
SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
WEIGHT = re.compile(r"[0-9]{1,9}")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
BODY_SHOWN = 200
DEFAULT_REMEDY = (
    "This place or address is not served. Set MARKET=simulated, name another venue in VENUES, or "
    "an address that serves you."
)

# Takes the address and the text of a good answer; gives the error that it really is.
Judge = Callable[[str, str], MarketError | None]
# Takes the status of one request, or `timeout` or `unreachable`, and its seconds.
OnRequest = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer's text. `budget_used` is the weight of this minute, where the venue says it."""

    text: str
    budget_used: int | None


class MarketClient:
    """GETs JSON text from one address; safe to share among threads.

    After a 429 or 418 nothing is sent until the venue's own time has passed: the error is
    raised at once instead, since asking on is what turns a limit into a ban. The budget keeps
    that time for all processes. `judge` finds a venue's errors under a good status.
    """

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock | None = None,
        transport: httpx.BaseTransport | None = None,
        attempts: int = ATTEMPTS,
        timeout: httpx.Timeout = TIMEOUT,
        budget: Budget | None = None,
        judge: Judge | None = None,
        headers: Mapping[str, Secret] | None = None,
        remedy: str = DEFAULT_REMEDY,
        on_request: OnRequest | None = None,
    ) -> None:
        self.base_url = base_url
        self._clock = clock or SystemClock()
        self._attempts = attempts
        self._budget = budget or Budget(base_url, clock=self._clock)
        self._judge = judge
        self._remedy = remedy
        self._on_request = on_request
        self._http = httpx.Client(
            base_url=base_url,
            timeout=timeout,
            transport=transport,
            follow_redirects=False,
            trust_env=urlsplit(base_url).hostname not in LOOPBACK,
            headers={
                "Accept": "application/json",
                "User-Agent": "crypto-pipeline",
                **{name: secret.reveal() for name, secret in (headers or {}).items()},
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, query: Mapping[str, str] | None = None, *, weight: int = 1) -> Answer:
        """Ask, and ask again after transient failures; raises a MarketError of the last one.

        `weight` is what the venue counts for this question; every attempt costs it again.
        """
        deadline = self._clock.now() + timedelta(seconds=PATIENCE_SECONDS)
        for attempt in range(1, self._attempts + 1):
            self._budget.take(weight)
            asked_at = self._clock.now()
            try:
                return self._ask(path, query or {})
            except TransientMarketError:
                pause = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
                now = self._clock.now()
                # The next one may take as long as this one did: a venue that hangs, hangs.
                ends_at = now + timedelta(seconds=pause) + (now - asked_at)
                if attempt == self._attempts or ends_at >= deadline:
                    raise
                self._clock.sleep(pause)
        raise AssertionError("attempts is at least 1")

    def _ask(self, path: str, query: Mapping[str, str]) -> Answer:
        try:
            response = self._timed(path, query)
        except httpx.TimeoutException as error:
            raise TransientMarketError(
                f"{self.base_url}{path} did not answer in time. It is asked again at the next "
                "poll; look at the network if this goes on."
            ) from error
        except httpx.RequestError as error:
            raise TransientMarketError(
                f"{self.base_url}{path} could not be reached or broke off: {error}. It is asked "
                "again at the next poll; check the network, the proxy and the address."
            ) from error
        if response.status_code != 200:
            raise self._error_for(path, response)
        _check_json(self.base_url + path, response)
        self._judge_body(path, response.text)
        used = _budget_used(response.headers)
        self._budget.learn(used)
        return Answer(text=response.text, budget_used=used or self._budget.used())

    def _timed(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        """One request, counted whatever comes of it."""
        started, status = time.monotonic(), "unreachable"
        try:
            response = self._http.get(path, params=query)
            status = str(response.status_code)
            return response
        except httpx.TimeoutException:
            status = "timeout"
            raise
        finally:
            if self._on_request is not None:
                self._on_request(status, time.monotonic() - started)

    def _judge_body(self, path: str, text: str) -> None:
        error = None if self._judge is None else self._judge(self.base_url + path, text)
        if isinstance(error, ToldToWaitError):
            self._budget.told_to_wait(error.retry_after_seconds)
        if error is not None:
            raise error

    def _error_for(self, path: str, response: httpx.Response) -> MarketError:
        status, address = response.status_code, f"{self.base_url}{path}"
        shown = f"{address} answered {status} {response.text[:BODY_SHOWN]!r}."
        # Also a venue in maintenance (503) may say when to come back.
        if status in (418, 429) or (status >= 500 and "retry-after" in response.headers):
            seconds = _retry_after(response.headers, self._clock.now())
            self._budget.told_to_wait(seconds)
            return ToldToWaitError(
                f"{shown} Nothing is sent there for {seconds:g} s; ask for fewer symbols or from "
                "fewer machines behind this address.",
                retry_after_seconds=seconds,
            )
        judged = None if self._judge is None else self._judge(address, response.text)
        if isinstance(judged, PermanentMarketError) and not isinstance(judged, RequestRefusedError):
            return judged
        if status in (401, 403, 451):
            return PermanentMarketError(f"{shown} {self._remedy}")
        if status == 408 or status >= 500:
            return TransientMarketError(f"{shown} It is asked again at the next poll.")
        if status >= 400:
            return RequestRefusedError(
                f"{shown} Check SYMBOLS and the address of the venue.", code=_venue_code(response)
            )
        return WrongContentError(
            f"{shown} A redirect or an empty answer is not market data. Check the address."
        )


def _check_json(address: str, response: httpx.Response) -> None:
    kind = response.headers.get("content-type", "")
    is_html = "html" in kind or response.text.lstrip()[:1] == "<"
    if is_html:
        raise UnexpectedBodyError(
            f"{address} answered a page ({kind or 'no content type'}) where JSON belongs. A proxy "
            "or a log-in page may stand in between: open the address in a browser.",
            body=response.text,
        )


def _retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds or an HTTP date, at most a week; a minute where the venue gives neither."""
    text = headers.get("retry-after", "")
    if SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT_SECONDS)
    try:
        seconds = (parsedate_to_datetime(text) - now).total_seconds()
        return min(max(0.0, seconds), LONGEST_WAIT_SECONDS)
    except (TypeError, ValueError):
        return DEFAULT_WAIT_SECONDS


def _budget_used(headers: Mapping[str, str]) -> int | None:
    text = headers.get("x-mbx-used-weight-1m", "")
    return int(text) if WEIGHT.fullmatch(text) else None


def _venue_code(response: httpx.Response) -> int | str | None:
    try:
        content = json.loads(response.text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    code = content.get("code", content.get("message"))
    return code if isinstance(code, int | str) else None
