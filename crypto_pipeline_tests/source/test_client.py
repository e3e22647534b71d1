from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from crypto_pipeline.errors import (
    PermanentMarketError,
    RequestRefusedError,
    ToldToWaitError,
    TransientMarketError,
    UnexpectedBodyError,
    WrongContentError,
)
from crypto_pipeline.source.client import PATIENCE_SECONDS, MarketClient
from crypto_pipeline_tests.source.builders import FakeClock

Handler = Callable[[httpx.Request], httpx.Response]


def client(clock: FakeClock, handler: Handler) -> MarketClient:
    return MarketClient("http://venue.test", clock=clock, transport=httpx.MockTransport(handler))


def answers(*given: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """A handler that gives these in turn, the last one for ever."""
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        answer = given[min(len(seen), len(given)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler, seen


def test_get__returns_text_and_weight() -> None:
    handler, _ = answers(httpx.Response(200, text="[]", headers={"X-MBX-USED-WEIGHT-1M": "42"}))
    got = client(FakeClock(), handler).get("/api")
    assert (got.text, got.budget_used) == ("[]", 42)


@pytest.mark.parametrize(
    "failure",
    [httpx.Response(502), httpx.ReadTimeout("late"), httpx.RemoteProtocolError("cut")],
)
def test_get__retries_what_passes(failure: httpx.Response | Exception) -> None:
    clock = FakeClock()
    handler, seen = answers(failure, failure, httpx.Response(200, text="[]"))
    assert client(clock, handler).get("/api").text == "[]"
    assert (len(seen), len(clock.sleeps)) == (3, 2)


def test_get__each_request_is_told_with_its_status_and_seconds() -> None:
    told: list[tuple[str, bool]] = []
    failures = (httpx.ReadTimeout("late"), httpx.ConnectError("refused"))
    handler, _ = answers(*failures, httpx.Response(200, text="[]"), httpx.Response(451))
    asking = MarketClient(
        "http://venue.test",
        clock=FakeClock(),
        transport=httpx.MockTransport(handler),
        on_request=lambda status, seconds: told.append((status, seconds >= 0)),
    )
    asking.get("/api")
    with pytest.raises(PermanentMarketError):
        asking.get("/api")
    assert told == [("timeout", True), ("unreachable", True), ("200", True), ("451", True)]


def test_get__gives_up_after_three_attempts() -> None:
    handler, seen = answers(httpx.ConnectError("refused"))
    with pytest.raises(TransientMarketError, match="asked again at the next poll"):
        client(FakeClock(), handler).get("/api")
    assert len(seen) == 3


@pytest.mark.parametrize(("seconds", "attempts"), [(13, 1), (10, 2), (1, 3)])
def test_get__begins_no_attempt_that_would_end_past_its_patience(
    seconds: int, attempts: int
) -> None:
    """A venue that hangs has to leave the next one its part of the minute."""
    clock = FakeClock()

    def slow(request: httpx.Request) -> httpx.Response:
        clock.sleep(seconds)
        raise httpx.ReadTimeout("late")

    with pytest.raises(TransientMarketError):
        client(clock, slow).get("/api")
    assert clock.sleeps.count(seconds) == attempts
    assert sum(clock.sleeps) < PATIENCE_SECONDS


@pytest.mark.parametrize("status", [429, 418])
def test_get__stays_silent_as_long_as_told(status: int) -> None:
    clock = FakeClock()
    handler, seen = answers(
        httpx.Response(status, headers={"Retry-After": "30"}), httpx.Response(200, text="[]")
    )
    asked = client(clock, handler)
    with pytest.raises(ToldToWaitError) as told:
        asked.get("/api")
    assert told.value.retry_after_seconds == 30
    with pytest.raises(ToldToWaitError):
        asked.get("/other")
    assert len(seen) == 1
    clock.sleep(31)
    assert asked.get("/api").text == "[]"


def test_get__reads_a_date_to_wait_for() -> None:
    headers = {"Retry-After": "Mon, 23 Nov 2026 10:06:05 GMT"}
    handler, _ = answers(httpx.Response(429, headers=headers))
    with pytest.raises(ToldToWaitError) as told:
        client(FakeClock(), handler).get("/api")
    assert told.value.retry_after_seconds == 60


@pytest.mark.parametrize("status", [401, 403, 451])
def test_get__tells_permanent_from_transient(status: int) -> None:
    handler, seen = answers(httpx.Response(status, text="restricted location"))
    with pytest.raises(PermanentMarketError, match="MARKET=simulated"):
        client(FakeClock(), handler).get("/api")
    assert len(seen) == 1


def test_get__carries_the_venues_code() -> None:
    handler, _ = answers(httpx.Response(400, json={"code": -1121, "msg": "Invalid symbol."}))
    with pytest.raises(RequestRefusedError) as refused:
        client(FakeClock(), handler).get("/api")
    assert refused.value.code == -1121


def test_get__keeps_a_page_that_is_not_json() -> None:
    handler, _ = answers(httpx.Response(200, html="<html>log in</html>"))
    with pytest.raises(UnexpectedBodyError, match="log-in page") as page:
        client(FakeClock(), handler).get("/api")
    assert page.value.body == "<html>log in</html>"


def test_get__does_not_follow_a_redirect() -> None:
    handler, _ = answers(httpx.Response(301, headers={"Location": "https://elsewhere.test"}))
    with pytest.raises(WrongContentError):
        client(FakeClock(), handler).get("/api")
