"""A snapshot of several requests: one that fails costs itself, one that hangs ends the rest."""

from __future__ import annotations

import json

import httpx
import pytest

from crypto_pipeline.errors import TransientMarketError
from crypto_pipeline.source import coinbase as coinbase_module
from crypto_pipeline.source import venue as venue_module
from crypto_pipeline.source.binance import SNAPSHOT_PAGE, Binance
from crypto_pipeline.source.client import MarketClient
from crypto_pipeline.source.coinbase import THREADS, Coinbase
from crypto_pipeline.source.venue import Fetched, gather
from crypto_pipeline_tests.source.builders import FakeClock, row

SYMBOLS = tuple(f"C{number:03}-USDT" for number in range(SNAPSHOT_PAGE + 50))
GONE = SYMBOLS[3]


class Server:
    """Binance with 149 of 150 symbols; a page that names the other is refused."""

    def __init__(self, *, lists: bool = True) -> None:
        self.lists, self.asked = lists, list[int]()

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("exchangeInfo"):
            names = [s.partition("-") for s in SYMBOLS if s != GONE]
            listed = [{"baseAsset": base, "quoteAsset": quote} for base, _, quote in names]
            return httpx.Response(200 if self.lists else 451, json={"symbols": listed})
        asked = json.loads(request.url.params["symbols"])
        self.asked.append(len(asked))
        if GONE.replace("-", "") in asked:
            return httpx.Response(400, json={"code": -1121, "msg": "Invalid symbol."})
        return httpx.Response(200, json=[row(symbol=name) for name in asked])

    @property
    def venue(self) -> Binance:
        transport = httpx.MockTransport(self.answer)
        return Binance(MarketClient("http://venue.test", clock=FakeClock(), transport=transport))


def test_a_symbol_that_is_gone_costs_only_itself_on_whichever_page_it_is() -> None:
    found = Server().venue.fetch_snapshot(SYMBOLS)
    assert found.unknown == (GONE,)
    assert sum(len(part.symbols) for part in found.parts) == len(SYMBOLS) - 1
    assert found.failures == ()


def test_without_a_listing_the_other_pages_are_kept() -> None:
    server = Server(lists=False)
    found = server.venue.fetch_snapshot(SYMBOLS)
    assert [len(part.symbols) for part in found.parts] == [50]
    assert len(found.failures) == 1
    assert server.asked == [SNAPSHOT_PAGE, 50]


def test_pages_after_one_that_failed_late_are_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def page(name: str, *, fails: bool) -> Fetched:
        asked.append(name)
        if fails:
            raise TransientMarketError("no answer in time")
        return Fetched(body="[]", endpoint="/t", budget_used=None, symbols=(name,))

    pages = [lambda n=n: page(n, fails=n == "b") for n in "abcd"]
    parts, failures = gather(pages)
    assert (asked, len(parts), len(failures)) == (list("abcd"), 3, 1)
    asked.clear()
    monkeypatch.setattr(venue_module, "PAGES_SECONDS", -1.0)
    parts, failures = gather(pages)
    assert (asked, len(parts)) == (list("ab"), 1)
    assert str(failures[-1]) == "2 pages were not asked for: the minute is too far gone."


def test_products_after_one_that_failed_late_are_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def hangs(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        raise httpx.ReadTimeout("late")

    transport = httpx.MockTransport(hangs)
    client = MarketClient("http://venue.test", clock=FakeClock(), transport=transport, attempts=1)
    monkeypatch.setattr(coinbase_module, "PAGES_SECONDS", -1.0)
    with pytest.raises(TransientMarketError):
        Coinbase(client).fetch_snapshot(SYMBOLS)
    assert len(asked) <= THREADS
