"""Every recorded exchange becomes facts with the body's own fields, or is refused as it must be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from crypto_pipeline.contract.poll import Outcome
from crypto_pipeline_tests.corpus import asking, bodies, books, exchanges
from crypto_pipeline_tests.corpus.books import Row
from crypto_pipeline_tests.corpus.exchanges import Exchange
from crypto_pipeline_tests.corpus.reading import Absent, load

EXCHANGES = [*exchanges.recorded(), *exchanges.simulated()]
CASES = [
    pytest.param(one, venue, id=f"{one.name}-at-{venue}")
    for one in EXCHANGES
    for venue in one.venues
]
SPACE = re.compile(r"[\s,]*")


def refusal(venue: str, one: Exchange) -> tuple[Outcome, bool] | None:
    """The outcome of an answer that holds no rows, and whether its body is kept."""
    page = one.body.lstrip().startswith("<")
    match one.status:
        case 200 if page or is_error(venue, one.body):
            return "wrong_content", True
        case 200:
            return None
        case 429:
            return "told_to_wait", False
        case 500 | 502:
            return "transient", False
        case 400 | 404 | 422 | 451:
            return "permanent", False
        case _:
            return "wrong_content", False


def is_error(venue: str, body: str) -> bool:
    """Two venues say under status 200 that something is wrong."""
    content = load(body)
    if venue == "coingecko":
        return isinstance(content, dict)
    if venue != "kraken":
        return False
    return not isinstance(content, dict) or not content.get("result")


def rows_of(venue: str, body: str, symbol: str) -> tuple[list[Row], str | None]:
    """The rows of a good answer, or the reason for which it has none."""
    content = load(body)
    if venue == "coinbase":
        return [Row(content, body.strip(), symbol)], None
    if venue == "kraken":
        held = content["result"]
        if not isinstance(held, dict):
            return [], "not_an_object"
        texts = members(body[body.index("{", body.index('"result"')) :])
        found = zip(held.items(), texts, strict=True)
        return [Row(row, f"{json.dumps(name)}:{text}", name) for (name, row), text in found], None
    if not isinstance(content, list):
        return [], "not_an_array"
    named = [row.get("symbol", Absent) if isinstance(row, dict) else Absent for row in content]
    return list(map(Row, content, elements(body), named)), None


def elements(body: str) -> Iterator[str]:
    """The exact text of each element of an array."""
    place = body.index("[") + 1
    while body[(place := skip(body, place))] != "]":
        _, end = json.JSONDecoder().raw_decode(body, place)
        yield body[place:end]
        place = end


def members(body: str) -> Iterator[str]:
    """The exact text of each value of an object."""
    place = 1
    while body[(place := skip(body, place))] != "}":
        _, end = json.JSONDecoder().raw_decode(body, place)
        start = skip(body, body.index(":", end) + 1)
        _, place = json.JSONDecoder().raw_decode(body, start)
        yield body[start:place]


def skip(body: str, place: int) -> int:
    match = SPACE.match(body, place)
    return match.end() if match else place


@pytest.mark.parametrize(("one", "venue"), CASES)
def test_exchange(one: Exchange, venue: str) -> None:
    names = names_for(venue, one)
    symbols = None if venue == "binance" else tuple(names.values())
    result = asking.poll(venue, one.answer, symbols)
    poll = result.poll
    assert json.loads(poll.encode())["served"] == len(result.ticks) + len(result.rejected)
    expected = refusal(venue, one)
    if expected is not None:
        outcome, is_kept = expected
        assert (poll.outcome, result.ticks) == (outcome, ())
        assert poll.reason
        assert [row.reason for row in result.rejected] == ["wrong_content"] * is_kept
        assert [row.body for row in result.rejected] == [one.body] * is_kept
        return
    rows, reason = rows_of(venue, one.body, next(iter(names)))
    refused = [row for row in result.rejected if row.endpoint == poll.endpoint]
    if reason is None:
        books.check_ticks(venue, rows, result.ticks, refused, names)
    else:
        assert [(row.reason, row.body) for row in refused] == [(reason, one.body)]
    assert result.ticks or poll.outcome in ("wrong_content", "partial")
    assert result.candles == ()


def names_for(venue: str, one: Exchange) -> dict[str, str]:
    if venue == "binance":
        return exchanges.binance_names()
    if one.name.startswith("simulated"):
        return bodies.names_of(venue)
    symbols = exchanges.SYMBOLS[venue]
    match venue:
        case "kraken":
            return {"XXBTZUSD": "BTC-USD", "XETHZUSD": "ETH-USD"}
        case "coingecko":
            return {symbol[: symbol.index("-")].lower(): symbol for symbol in symbols}
        case _:
            return {symbol: symbol for symbol in symbols}


@pytest.mark.parametrize("venue", ["binance", "coinbase"])
def test_no_recorded_body_is_taken_for_candles(venue: str) -> None:
    parser, origin = asking.silent(venue), asking.origin(venue)
    for one in EXCHANGES:
        candles, rejected = parser.parse_candles(
            one.body, origin=origin, symbol="BTC-USD", finished_by=books.far(), is_backfill=False
        )
        if one.body.lstrip().startswith("["):
            rows = [Row(row, t) for row, t in zip(load(one.body), elements(one.body), strict=True)]
            books.check_candles(venue, rows, candles, rejected)
        else:
            reason = "not_an_array" if one.body.lstrip().startswith("{") else "not_json"
            assert (candles, [row.reason for row in rejected]) == ([], [reason])


def test_the_corpus_yields_what_it_is_known_to_hold() -> None:
    """So that a corpus that was not found, or was refused as a whole, is seen."""
    ticks = dict.fromkeys(bodies.SNAPSHOTS, 0)
    for one in EXCHANGES:
        for venue in one.venues:
            symbols = None if venue == "binance" else tuple(names_for(venue, one).values())
            ticks[venue] += len(asking.poll(venue, one.answer, symbols).ticks)
    assert min(ticks.values()) >= 1
    if any(not one.name.startswith("simulated") for one in EXCHANGES):
        assert ticks["binance"] > 500
        assert ticks["coingecko"] >= 9
        assert ticks["coinbase"] == 2
