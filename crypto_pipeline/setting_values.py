"""Checks of single settings: each takes the text that was given and says what is accepted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from crypto_pipeline.errors import SettingsError
from crypto_pipeline.holding.limits import Limits

VenueName = Literal["binance", "kraken", "coinbase"]
DEFAULT_SYMBOLS = (
    "BTC-USDT,ETH-USDT,SOL-USDT,XRP-USDT,BNB-USDT,DOGE-USDT,ADA-USDT,TRX-USDT,LINK-USDT,"
    "AVAX-USDT,LTC-USDT,DOT-USDT,BCH-USDT,NEAR-USDT,UNI-USDT,ATOM-USDT,XLM-USDT,HBAR-USDT,"
    "SHIB-USDT,PEPE-USDT"
)
WHOLE_VENUE = "all"
HOST_FORM = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
SYMBOL_FORM = re.compile(r"[A-Z0-9]{1,20}-[A-Z0-9]{2,10}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that prints as stars; `reveal()` is the only way to it."""

    _value: str

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__


def choice(values: Mapping[str, str], name: str, default: str, accepted: tuple[str, ...]) -> str:
    text = values.get(name, default).lower()
    if text not in accepted:
        raise SettingsError(f"{name} is {text!r}. Accepted: {', '.join(accepted)}.")
    return text


def integer(values: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    text = values.get(name, str(default))
    if not re.fullmatch(r"-?\d+", text) or not low <= int(text) <= high:
        raise SettingsError(f"{name} is {text!r}. Give a whole number from {low} to {high}.")
    return int(text)


def number(
    values: Mapping[str, str], name: str, default: float, *, low: float, high: float
) -> float:
    text = values.get(name, str(default))
    try:
        number = float(text)
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}. Give a number from {low} to {high}.") from error
    if not low <= number <= high:
        raise SettingsError(f"{name} is {text!r}. Give a number from {low} to {high}.")
    return number


def path(values: Mapping[str, str], name: str) -> Path | None:
    """An absolute path; None when it is not given."""
    given = values.get(name)
    return None if given is None else Path(given).expanduser().absolute()


def port(values: Mapping[str, str], name: str, default: int) -> int:
    return integer(values, name, default, low=1, high=65535)


def heap(values: Mapping[str, str], name: str) -> str | None:
    text = values.get(name)
    if text is not None and not re.fullmatch(r"[1-9][0-9]{0,5}[mg]", text):
        raise SettingsError(f"{name} is {text!r}. Give a size such as 1500m or 4g.")
    return text


def host(values: Mapping[str, str], name: str, default: str) -> str:
    text = values.get(name, default)
    if not HOST_FORM.fullmatch(text):
        raise SettingsError(f"{name} is {text!r}. Give a name or an IPv4 address of this machine.")
    return text


def url(values: Mapping[str, str], name: str, default: str) -> str:
    text = values.get(name, default).rstrip("/")
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text):
        example = default or "https://example.com"
        raise SettingsError(f"{name} is {text!r}. Give an address such as {example}.")
    return text


def secret(values: Mapping[str, str], *names: str) -> Secret | None:
    """The first name that is set wins, so the standard name comes first."""
    for name in names:
        if name in values:
            return Secret(values[name])
    return None


def secret_url(values: Mapping[str, str], name: str) -> Secret | None:
    """An address that is a secret itself, as a webhook's is; it is not repeated in an error."""
    if name not in values:
        return None
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", values[name]):
        raise SettingsError(f"{name} is not an address. Give one that begins with https://.")
    return Secret(values[name])


def parse_symbols(text: str) -> tuple[str, ...]:
    """Split a comma-separated watch-list; order is kept, repeats are dropped.

    >>> parse_symbols("btc-usdt, ETH-USDT,BTC-USDT")
    ('BTC-USDT', 'ETH-USDT')
    """
    symbols = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    for symbol in symbols:
        if not SYMBOL_FORM.fullmatch(symbol):
            raise SettingsError(
                f"SYMBOLS has {symbol!r}. Write BASE-QUOTE in capitals with commas between, "
                "for example BTC-USDT,ETH-USDT."
            )
    if not symbols:
        raise SettingsError("SYMBOLS is empty. Name at least one, for example BTC-USDT.")
    return symbols


def watch_list(text: str) -> tuple[str, ...]:
    """Empty for a whole venue."""
    return () if text.strip().lower() == WHOLE_VENUE else parse_symbols(text)


def venues(text: str) -> tuple[VenueName, ...]:
    names = dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip())
    accepted = get_args(VenueName)
    if not names or not set(names) <= set(accepted):
        raise SettingsError(
            f"VENUES is {text!r}. Name one or more of {', '.join(accepted)}, commas between, in "
            "the order in which to try them."
        )
    return tuple(names)  # type: ignore[arg-type]


def coingecko_minutes(values: Mapping[str, str]) -> int:
    """Off without a key: the free credits are few, and keyless callers share an address."""
    default = 5 if "COINGECKO_API_KEY" in values else 0
    minutes = integer(values, "COINGECKO_MINUTES", default, low=0, high=1440)
    if 0 < minutes < 5:
        raise SettingsError(
            f"COINGECKO_MINUTES is {minutes}. Give 0 for no reference prices, or 5 to 1440: more "
            "often would empty a month's credits before the month is over."
        )
    return minutes


def rejection_limits(values: Mapping[str, str]) -> Limits:
    """When a source is held back from gold."""
    return Limits(
        rate=number(values, "REJECTION_RATE_LIMIT", 0.2, low=0.001, high=1.0),
        least_rows=integer(values, "REJECTION_LEAST_ROWS", 20, low=1, high=1_000_000),
    )
