"""Recorded exchanges of venues with their clients, and the simulator's in their place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from crypto_pipeline_tests.conftest import SHARED_DATA
from crypto_pipeline_tests.corpus.bodies import PATHS, SNAPSHOTS
from crypto_pipeline_tests.source.builders import simulator

REST = SHARED_DATA / "rest"
# A recording without a venue of ours is put before all of them.
VENUE_OF = {"binance": "binance", "coinbase": "coinbase", "coingecko": "coingecko"}
KEPT_HEADERS = frozenset({"content-type", "retry-after", "date", "location"})
SYMBOLS = {
    "coinbase": ("BTC-USD",),
    "coingecko": ("BTC-USD", "ETH-USD", "USDT-USD", "USDC-USD", "BNB-USD"),
    "kraken": ("BTC-USD", "ETH-USD"),
}


@dataclass(frozen=True)
class Exchange:
    name: str
    venues: tuple[str, ...]
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The recorded answer, whatever is asked; only Binance's list of symbols comes along."""
        if request.url.path.endswith("/exchangeInfo"):
            return httpx.Response(200, text=exchange_info())
        headers = dict(self.headers) | {"content-length": str(len(self.body.encode()))}
        return httpx.Response(self.status, headers=headers, content=self.body.encode())


def recorded() -> list[Exchange]:
    """Everything beside this checkout; nothing where there is none."""
    found = [one for file in sorted(REST.glob("*.jsonl*")) for one in _lines(file)]
    quoted = REST / "errors_quoted.json"
    for n, one in enumerate(json.loads(quoted.read_text()) if quoted.is_file() else []):
        found.append(_exchange(f"{quoted.stem}-{n}", one["api"], one))
    body = REST / "coingecko_markets_5coins_2023-01-02.json"
    if body.is_file():
        response = {"status": 200, "body": body.read_text()}
        found.append(_exchange(body.stem, "coingecko", response))
    return found


def simulated() -> list[Exchange]:
    found = []
    for venue in SNAPSHOTS:
        path, query = PATHS[venue, "snapshot"]
        response = {"status": 200, "body": simulator().get(path, query).text}
        found.append(_exchange(f"simulated-{venue}", venue, response))
    return found


@cache
def exchange_info() -> str:
    """Binance's list of symbols of the day of the recorded tickers."""
    file = REST / "binance_2019_2020.jsonl.gz"
    if not file.is_file():
        return simulator().get("/api/v3/exchangeInfo").text
    spot = (one.body for one in _lines(file) if '"baseAsset":"ETH"' in one.body)
    return next(body for body in spot if "isSpotTradingAllowed" in body)


@cache
def binance_names() -> dict[str, str]:
    rows = json.loads(exchange_info())["symbols"]
    return {
        row["symbol"]: f"{row['baseAsset']}-{row['quoteAsset']}"
        for row in rows
        if row["status"] == "TRADING"
    }


def _lines(file: Path) -> Iterator[Exchange]:
    content = file.read_bytes()
    text = (gzip.decompress(content) if file.suffix == ".gz" else content).decode()
    for n, line in enumerate(text.splitlines()):
        yield _exchange(f"{file.name.partition('.')[0]}-{n}", file.name, json.loads(line))


def _exchange(name: str, whose: str, one: dict[str, Any]) -> Exchange:
    response = one.get("response", one)
    headers = response.get("headers") or {}
    venue = next((ours for word, ours in VENUE_OF.items() if whose.startswith(word)), None)
    return Exchange(
        name=name,
        venues=SNAPSHOTS if venue is None else (venue,),
        status=response["status"],
        headers=tuple((k, str(v)) for k, v in headers.items() if k.lower() in KEPT_HEADERS),
        body=response["body"],
    )
