"""The fault matrix as data: venue x fault, and what must come of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SNAPSHOT = {
    "binance": "/api/v3/ticker/24hr",
    "kraken": "/kraken/0/public/Ticker",
    "coinbase": "/coinbase/products/BTC-USDT/ticker",
    "coingecko": "/coingecko/api/v3/coins/markets",
}
CANDLES = {
    "binance": "/api/v3/klines",
    "kraken": "/kraken/0/public/OHLC",
    "coinbase": "/coinbase/products/BTC-USDT/candles",
}
# On Coinbase a request is one product, so a fault costs one of three.
ONE_BY_ONE = "coinbase"


@dataclass(frozen=True, kw_only=True)
class Case:
    """`asked` is how often the faulty endpoint was asked in the poll, retries included.

    `then` is how a poll 20 s later goes: `silent` sends nothing, `asks` asks again.
    """

    venue: str
    fault: str
    options: dict[str, Any] = field(default_factory=dict)
    outcome: str
    ticks: int
    candles: int | None = None
    reasons: tuple[str, ...] = ()
    asked: int = 1
    then: str = "asks"

    @property
    def of_candles(self) -> bool:
        return "endpoint" in self.options

    @property
    def name(self) -> str:
        more = "-".join(str(value) for key, value in self.options.items() if key != "endpoint")
        place = "candles" if self.of_candles else ""
        return "-".join(part for part in (self.venue, self.fault, more, place) if part)


# What one bad row of three costs, by the code it is rejected with.
ROW_REASONS = {
    "nulls": "not_a_number",
    "nan": "not_a_number",
    "text": "not_a_number",
    "negative": "not_positive",
    "zero": "not_positive",
    "huge": "out_of_range",
    "tiny": "out_of_range",
    "crossed": "crossed",
    "drift": "missing_field",
    "scalar_row": "not_an_object",
    "empty_row": "missing_field",
}


def _failed(venue: str, outcome: str) -> dict[str, Any]:
    """The poll's outcome and ticks when its first request fails for good."""
    return (
        {"outcome": "partial", "ticks": 2}
        if venue == ONE_BY_ONE
        else {"outcome": outcome, "ticks": 0}
    )


def _retried() -> list[Case]:
    kinds = ("500", "502", "503", "cut_body", "bad_gzip", "slow")
    cases = [
        Case(venue=venue, fault=kind, outcome="ok", ticks=3, asked=2)
        for venue in SNAPSHOT
        for kind in kinds
    ]
    cases += [
        Case(venue="kraken", fault=kind, outcome="ok", ticks=3, asked=2)
        for kind in ("unavailable", "busy")
    ]
    return cases + [
        Case(venue=venue, fault=kind, options={"count": 3}, asked=3, **_failed(venue, "transient"))
        for venue in SNAPSHOT
        for kind in ("500", "cut_body")
    ]


def _told_to_wait() -> list[Case]:
    """A told venue is silent; Coinbase's first answer silences its other two as well."""
    forms = ("seconds", "date", "none")
    told = {"outcome": "told_to_wait", "ticks": 0, "then": "silent"}
    cases = [
        Case(venue=venue, fault="429", options={"retry_form": form}, **told)
        for venue in ("binance", "coinbase", "coingecko")
        for form in forms
    ]
    cases += [
        Case(venue=venue, fault="503", options={"retry_form": form}, **told)
        for venue in SNAPSHOT
        for form in ("seconds", "date")
    ]
    cases.append(Case(venue="binance", fault="418", **told))
    cases += [Case(venue="kraken", fault="lockout", **told)]
    cases.append(Case(venue="coingecko", fault="error_under_200", **told))
    # Ours to choose: Kraken names no time, ten seconds are over at the next poll.
    short = {**told, "then": "asks"}
    return cases + [Case(venue="kraken", fault=kind, **short) for kind in ("429", "throttled")]


def _permanent() -> list[Case]:
    cases = [
        Case(
            venue=venue,
            fault=kind,
            then="asks" if venue == ONE_BY_ONE else "silent",
            **_failed(venue, "permanent"),
        )
        for venue in SNAPSHOT
        for kind in ("451", "403", "401", "400", "404")
    ]
    given_up: dict[str, Any] = {"outcome": "permanent", "ticks": 0, "then": "silent"}
    cases.append(Case(venue="kraken", fault="denied", **given_up))
    cases.append(Case(venue="coingecko", fault="wrong_host", **given_up))
    return cases


def _wrong_bodies() -> list[Case]:
    """Reasons of the whole body, by venue: a judge refuses before a parser rejects."""
    reasons = {
        "html": dict.fromkeys(SNAPSHOT, "wrong_content"),
        "empty": dict.fromkeys(SNAPSHOT, "not_json"),
        "not_json": dict.fromkeys(SNAPSHOT, "not_json"),
        "wrong_shape": {
            "binance": "not_an_array",
            "kraken": "wrong_content",
            "coinbase": "not_an_object",
            "coingecko": "wrong_content",
        },
    }
    cases = [
        Case(venue=venue, fault=kind, reasons=(of[venue],), **_failed(venue, "wrong_content"))
        for kind, of in reasons.items()
        for venue in SNAPSHOT
    ]
    cases += [
        Case(venue=venue, fault="redirect", **_failed(venue, "wrong_content")) for venue in SNAPSHOT
    ]
    cases += [
        # The body breaks off in the middle; the reference rows differ in length.
        Case(
            venue=venue,
            fault="short_body",
            outcome="partial",
            ticks=1 if venue == "coingecko" else 2,
            reasons=("not_json",),
        )
        for venue in SNAPSHOT
    ]
    wrong = {"outcome": "wrong_content", "ticks": 0}
    return [
        *cases,
        Case(venue="binance", fault="error_under_200", reasons=("not_an_array",), **wrong),
        Case(venue="kraken", fault="unknown_error", reasons=("wrong_content",), **wrong),
        Case(
            venue="kraken",
            fault="mixed_error",
            outcome="partial",
            ticks=3,
            reasons=("venue_error",),
        ),
    ]


def _bad_rows() -> list[Case]:
    return [
        Case(venue=venue, fault=kind, outcome="partial", ticks=2, reasons=(reason,))
        for venue in SNAPSHOT
        for kind, reason in ROW_REASONS.items()
        if not (venue == "coingecko" and kind == "crossed")
    ]


def _candle_requests(venue: str) -> int:
    """How often a path of candles is asked without a fault: on Coinbase each symbol has its own."""
    return 1 if venue == ONE_BY_ONE else 3


def _candles() -> list[Case]:
    """Every tick is had; the candle of one symbol of three is not, or all when told to wait."""
    lost: dict[str, tuple[tuple[str, ...], int]] = {
        "451": ((), 2),
        "html": (("wrong_content",), 2),
        "nulls": (("not_a_number",), 2),
        "negative": (("not_positive",), 2),
        "drift": (("missing_field",), 2),
        "scalar_row": (("not_a_row",), 2),
        "redirect": ((), 2),
    }
    cases = [
        Case(
            venue=venue,
            fault=kind,
            options={"endpoint": path},
            outcome="partial",
            ticks=3,
            candles=candles,
            reasons=reasons,
            asked=_candle_requests(venue),
        )
        for venue, path in CANDLES.items()
        for kind, (reasons, candles) in lost.items()
    ]
    cases += [
        Case(
            venue=venue,
            fault="500",
            options={"endpoint": path},
            outcome="ok",
            ticks=3,
            candles=3,
            asked=_candle_requests(venue) + 1,
        )
        for venue, path in CANDLES.items()
    ]
    return cases + [
        Case(
            venue=venue,
            fault="429",
            options={"endpoint": CANDLES[venue]},
            outcome="partial",
            ticks=3,
            candles=0,
            then="silent",
        )
        for venue in ("binance", "coinbase")
    ]


CASES = (
    *_retried(),
    *_told_to_wait(),
    *_permanent(),
    *_wrong_bodies(),
    *_bad_rows(),
    *_candles(),
)
