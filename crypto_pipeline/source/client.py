"""One way to ask a market API over HTTP: time-outs, bounded retries, errors with a remedy.

Real time throughout: a faster simulated market does not make the network faster.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping
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
    ToldToWaitError,
    TransientMarketError,
    WrongContentError,
)
from crypto_pipeline.source.clock import Clock, SystemClock

TIMEOUT = httpx.Timeout(10.0, connect=5.0, pool=15.0)
ATTEMPTS = 3
FIRST_PAUSE_SECONDS = 0.5
# Attempts and pauses of one question end by then, so that a poll stays inside its minute.
PATIENCE_SECONDS = 25.0
DEFAULT_WAIT_SECONDS = 60.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
BODY_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer's text. `budget_used` is the weight of this minute, where the venue says it."""

    text: str
    budget_used: int | None


class RequestRefusedError(PermanentMarketError):
    """Status 400 or 404: the venue understood and declined; `code` is its own number, if any."""

    def __init__(self, message: str, *, code: int | None) -> None:
        super().__init__(message)
        self.code = code


class UnexpectedBodyError(WrongContentError):
    """An answer under a good status that is not JSON; `body` is its text."""

    def __init__(self, message: str, *, body: str) -> None:
        super().__init__(message)
        self.body = body


class MarketClient:
    """GETs JSON text from one address; safe to share among threads.

    After a 429 or 418 nothing is sent until the venue's own time has passed: the error is
    raised at once instead, since asking on is what turns a limit into a ban.
    """

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock | None = None,
        transport: httpx.BaseTransport | None = None,
        attempts: int = ATTEMPTS,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        self._base_url = base_url
        self._clock = clock or SystemClock()
        self._attempts = attempts
        self._not_before: datetime | None = None
        self._lock = threading.Lock()
        self._http = httpx.Client(
            base_url=base_url,
            timeout=timeout,
            transport=transport,
            follow_redirects=False,
            trust_env=urlsplit(base_url).hostname not in LOOPBACK,
            headers={"Accept": "application/json", "User-Agent": "crypto-pipeline"},
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

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """Ask, and ask again after transient failures; raises a MarketError of the last one."""
        deadline = self._clock.now() + timedelta(seconds=PATIENCE_SECONDS)
        for attempt in range(1, self._attempts + 1):
            self._check_allowed(path)
            try:
                return self._ask(path, query or {})
            except TransientMarketError:
                pause = FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
                resumes_at = self._clock.now() + timedelta(seconds=pause)
                if attempt == self._attempts or resumes_at >= deadline:
                    raise
                self._clock.sleep(pause)
        raise AssertionError("attempts is at least 1")

    def _ask(self, path: str, query: Mapping[str, str]) -> Answer:
        try:
            response = self._http.get(path, params=query)
        except httpx.TimeoutException as error:
            raise TransientMarketError(
                f"{self._base_url}{path} did not answer in time. It is asked again at the next "
                "poll; look at the network if this goes on."
            ) from error
        except httpx.TransportError as error:
            raise TransientMarketError(
                f"{self._base_url}{path} could not be reached or broke off: {error}. It is asked "
                "again at the next poll; check the network, the proxy and the address."
            ) from error
        if response.status_code != 200:
            raise self._error_for(path, response)
        _check_json(self._base_url + path, response)
        return Answer(text=response.text, budget_used=_budget_used(response.headers))

    def _error_for(self, path: str, response: httpx.Response) -> MarketError:
        status, address = response.status_code, f"{self._base_url}{path}"
        shown = f"{address} answered {status} {response.text[:BODY_SHOWN]!r}."
        if status in (418, 429):
            seconds = _retry_after(response.headers, self._clock.now())
            with self._lock:
                self._not_before = self._clock.now() + timedelta(seconds=seconds)
            return ToldToWaitError(
                f"{shown} Nothing is sent there for {seconds:g} s; ask for fewer symbols or from "
                "fewer machines behind this address.",
                retry_after_seconds=seconds,
            )
        if status in (401, 403, 451):
            return PermanentMarketError(
                f"{shown} This place or address is not served. Set MARKET=simulated, or "
                "BINANCE_URL to an address that serves you."
            )
        if status == 408 or status >= 500:
            return TransientMarketError(f"{shown} It is asked again at the next poll.")
        if status >= 400:
            return RequestRefusedError(
                f"{shown} Check SYMBOLS and the address of the venue.", code=_venue_code(response)
            )
        return WrongContentError(
            f"{shown} A redirect or an empty answer is not market data. Check the address."
        )

    def _check_allowed(self, path: str) -> None:
        with self._lock:
            not_before = self._not_before
        if not_before is None:
            return
        left = (not_before - self._clock.now()).total_seconds()
        if left > 0:
            raise ToldToWaitError(
                f"{self._base_url}{path} was not asked: the venue said to wait another "
                f"{left:.0f} s. Polls go on after that.",
                retry_after_seconds=left,
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
    """Seconds or an HTTP date; a minute where the venue gives neither."""
    text = headers.get("retry-after", "")
    try:
        return max(0.0, min(float(text), 7 * 86_400.0))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (TypeError, ValueError):
        return DEFAULT_WAIT_SECONDS


def _budget_used(headers: Mapping[str, str]) -> int | None:
    text = headers.get("x-mbx-used-weight-1m", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _venue_code(response: httpx.Response) -> int | None:
    try:
        content = json.loads(response.text)
    except ValueError:
        return None
    code = content.get("code") if isinstance(content, dict) else None
    return code if isinstance(code, int) else None
