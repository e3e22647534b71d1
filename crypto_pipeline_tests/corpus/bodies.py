"""Bodies as venues write them, put together from rows, so that each row's place is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from crypto_pipeline_tests.corpus.books import Row
from crypto_pipeline_tests.corpus.reading import Absent, Lexeme, load
from crypto_pipeline_tests.source.builders import simulator

SNAPSHOTS = ("binance", "kraken", "coinbase", "coingecko")
CANDLES = ("binance", "kraken", "coinbase")
SYMBOLS = ("BTC-USDT", "ETH-USDT", "PEPE-USDT")
KRAKEN_NAMES = {"XBTUSDT": "BTC-USDT", "ETHUSDT": "ETH-USDT", "PEPEUSDT": "PEPE-USDT"}
PATHS = {
    ("binance", "snapshot"): ("/api/v3/ticker/24hr", {}),
    ("kraken", "snapshot"): ("/kraken/0/public/Ticker", {}),
    ("coinbase", "snapshot"): ("/coinbase/products/BTC-USDT/ticker", {}),
    ("coingecko", "snapshot"): (
        "/coingecko/api/v3/coins/markets",
        {"vs_currency": "usd", "symbols": "btc,eth,pepe"},
    ),
    ("binance", "candles"): (
        "/api/v3/klines",
        {"symbol": "BTCUSDT", "interval": "1m", "limit": "5"},
    ),
    ("kraken", "candles"): ("/kraken/0/public/OHLC", {"pair": "XBTUSDT", "interval": "1"}),
    ("coinbase", "candles"): ("/coinbase/products/BTC-USDT/candles", {"granularity": "60"}),
}


@dataclass
class Body:
    """`rows` in order, each with its name in the object that holds it, where there is one."""

    venue: str
    kind: str
    rows: list[tuple[str, Any]]
    texts: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.texts = [write(value) for _, value in self.rows]

    def text(self) -> str:
        return "".join(self._parts())

    def read(self, cut: int | None = None) -> list[Row]:
        """The rows that are whole in the first `cut` characters.

        Kraken's candles are an array within an object: cut, it is rejected in one piece.
        """
        if (self.venue, self.kind) == ("kraken", "candles") and cut is not None:
            cut = cut if cut > self.text().rindex("]") else 0
        whole, place = [], 0
        for part in self._parts():
            place += len(part)
            whole.append(cut is None or place <= cut)
        found = [
            Row(load(text), self._record(name, text), self._name(name, value))
            for (name, value), text in zip(self.rows, self.texts, strict=True)
        ]
        return [row for row, is_whole in zip(found, whole[1::2], strict=False) if is_whole]

    def _parts(self) -> list[str]:
        """Frame, row, frame, row, ..., frame."""
        if self.venue == "coinbase" and self.kind == "snapshot":
            return ["", *self.texts, ""]
        first, last = "[", "]"
        texts = self.texts
        if self.venue == "kraken":
            first, last = '{"error":[],"result":', "}"
            if self.kind == "snapshot":
                first, last = first + "{", "}" + last
                texts = [
                    f"{json.dumps(name)}:{text}"
                    for (name, _), text in zip(self.rows, texts, strict=True)
                ]
            else:
                first, last = first + '{"XXBTZUSD":[', '],"last":1795428240}' + last
        parts = [first]
        for n, text in enumerate(texts):
            parts += [text, "," if n + 1 < len(texts) else ""]
        return [*parts[:-1], last] if texts else [first + last]

    def _record(self, name: str, text: str) -> str:
        is_named = self.venue == "kraken" and self.kind == "snapshot"
        return f"{json.dumps(name)}:{text}" if is_named else text

    def _name(self, name: str, value: Any) -> Any:
        if self.kind == "candles" or self.venue in ("kraken", "coinbase"):
            return name
        return value.get("symbol", Absent) if isinstance(value, dict) else Absent


def names_of(venue: str) -> dict[str, str]:
    """The venue's names of the symbols asked for, to ours."""
    match venue:
        case "binance":
            return {symbol.replace("-", ""): symbol for symbol in SYMBOLS}
        case "coinbase":
            return {"BTC-USDT": "BTC-USDT"}
        case "coingecko":
            return {symbol[: symbol.index("-")].lower(): symbol[:-1] for symbol in SYMBOLS}
        case _:
            return KRAKEN_NAMES


@cache
def simulated(venue: str, kind: str) -> tuple[tuple[str, Any], ...]:
    """Rows of the simulator's own answer, at most five."""
    path, query = PATHS[venue, kind]
    content = load(simulator().get(path, query).text)
    if venue == "kraken":
        content = content["result"]
        if kind == "candles":
            return tuple(("", row) for row in next(iter(content.values()))[-5:])
        return tuple(content.items())[:5]
    if venue == "coinbase" and kind == "snapshot":
        return (("BTC-USDT", content),)
    return tuple(("", row) for row in content[:5])


def write(value: Any) -> str:
    """JSON with the numbers' own text."""
    if isinstance(value, Lexeme):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k)}:{write(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write(one) for one in value) + "]"
    return json.dumps(value)
