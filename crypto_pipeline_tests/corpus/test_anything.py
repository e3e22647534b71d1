"""A server that answers anything at all: a poll always ends in a record that can be published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from crypto_pipeline.contract import json_schema
from crypto_pipeline.source.poll import PollResult
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.corpus import asking, bodies, books, mutations
from crypto_pipeline_tests.corpus.bodies import Body

POLL = jsonschema.Draft202012Validator(json_schema.poll_schema())
DEEP = ["[" * 100_000, '{"a":' * 100_000, '{"error":' + "[" * 100_000, "9" * 5000]
HUGE = "9" * 40
TIMES = [
    f'{{"serverTime":{HUGE},"epoch":{HUGE},"error":[],"result":{{"unixtime":{HUGE}}}}}',
    '{"serverTime":-1,"epoch":-1e300,"error":[],"result":{"unixtime":-99999999999999}}',
    '{"serverTime":true,"epoch":NaN,"error":[],"result":{"unixtime":true}}',
    '{"serverTime":null,"epoch":Infinity,"error":[],"result":{"unixtime":"1"}}',
    '{"serverTime":1795428305000,"epoch":1795428305.5,"error":[],"result":{"unixtime":1795428305}}',
]
ERRORS = [
    '{"code":-1121,"msg":"Invalid symbol."}',
    '{"message":"NotFound"}',
    '{"error":["EQuery:Unknown asset pair"]}',
    '{"error":["\\ud800"],"result":{}}',
    '{"error":["\\ud800"],"result":{"XBTUSDT":{"c":["1","1"]}}}',
    '{"error":["E' + "x" * 2_000_000 + '"]}',
    '{"error":[1,null,{}]}',
    '{"status":{"error_code":10002,"error_message":"\\ud800"}}',
    '{"\\ud800":[1',
    "",
    "<html>",
]
WAITS = ["0", "90", "1e9", "-5", "999999999999", "soon", "Fri, 31 Dec 9999 23:59:59 -1200"]
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "retry-after": st.sampled_from([*WAITS, "Mon, 23 Nov 2026 10:06:00 GMT"]),
        "x-mbx-used-weight-1m": st.sampled_from(["7", "-1", "9" * 5000, "\u0661", ""]),
        "content-type": st.sampled_from(["application/json", "text/html", "x; charset=none"]),
    },
)
STATUSES = st.sampled_from([200, 200, 200, 204, 301, 400, 401, 403, 404, 418, 429, 451, 500, 503])


@st.composite
def answers(draw: st.DrawFn, venue: str) -> httpx.Response:
    kinds: Sequence[str] = ["snapshot"] if venue == "coingecko" else ["snapshot", "candles"]
    kind = draw(st.sampled_from(kinds))
    rows = bodies.simulated(venue, kind)
    made = mutations.bodies(venue, kind, rows).map(Body.text)
    text = draw(st.one_of(made, st.sampled_from([*DEEP, *TIMES, *ERRORS])))
    if draw(st.booleans()):
        text = text[: draw(st.integers(0, 400))]
    headers = {k: v.encode() for k, v in draw(HEADERS).items()}
    return httpx.Response(draw(STATUSES), headers=headers, content=text.encode())


def check(venue: str, script: Sequence[httpx.Response]) -> PollResult:
    """Answers in turn, the last one for good; each path of a venue gets its turn."""
    left = list(script)

    def answer(request: httpx.Request) -> httpx.Response:
        one = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(one.status_code, headers=one.headers, content=one.content)

    symbols = ["BTC-USDT"] if venue != "coingecko" else ["BTC-USD"]
    result = asking.poll(venue, answer, symbols)
    record: dict[str, Any] = json.loads(result.poll.encode())
    POLL.validate(record)
    assert record["served"] == record["published"] + record["unchanged"] + record["rejected"]
    for fact in (*result.ticks, *result.candles, *result.rejected):
        books.message_of(fact)
    return result


@pytest.mark.prove
@pytest.mark.parametrize("venue", bodies.SNAPSHOTS)
def test_whatever_is_answered(venue: str) -> None:
    claim = proof.begin(f"corpus-{venue}-anything", reduced=40, full=2000)
    outcomes: dict[str, int] = {}

    @seed(claim.seed)
    @settings(
        max_examples=claim.count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(answers(venue), min_size=1, max_size=4))
    def asked(script: list[httpx.Response]) -> None:
        outcome = check(venue, script).poll.outcome
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    asked()
    assert sum(outcomes.values()) >= claim.count
    assert len(outcomes) > 1
    claim.record(**outcomes)
