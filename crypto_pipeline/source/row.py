"""Reading one row of a body: its exact text, and its numbers without passing through float."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

NUMBER = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{0,60})?([eE][+-]?[0-9]{1,3})?")
# What DECIMAL(38,18) surely holds as it is written: nearly every number of a venue.
PLAIN = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?")
WHOLE = re.compile(r"-?[0-9]{1,18}")
SPACE = re.compile(r"[ \t\n\r]*")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A millisecond count past this is in microseconds or wrong; it lies in the year 2286.
LAST_MS = 9_999_999_999_999
# What DECIMAL(38,18) holds: 20 digits before the point, 18 after.
WHOLE_DIGITS, FRACTION_DIGITS = 20, 18


class RowError(Exception):
    """A row breaks a rule; `reason` is its code, the message says which field and value."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a JSON array: its value (numbers as text) and the text it came from."""

    value: Any
    text: str


@dataclass(frozen=True, slots=True)
class BrokenBody:
    """Where a body stops being an array: `rest` runs from there to its end."""

    reason: str
    detail: str
    rest: str


def elements(body: str) -> Iterator[Element | BrokenBody]:
    r"""Walk a JSON array; rows before a break are kept, the break comes last.

    >>> [getattr(part, "text", part) for part in elements('[{"a": 1.50}, 2]')]
    ['{"a": 1.50}', '2']
    >>> [type(part).__name__ for part in elements('[1, {"a": ')]
    ['Element', 'BrokenBody']
    """
    decoder = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)
    place = _skip(body, 0)
    if body[place : place + 1] != "[":
        yield _not_an_array(decoder, body)
        return
    place = _skip(body, place + 1)
    is_first = True
    while body[place : place + 1] != "]" or not is_first:
        try:
            value, end = decoder.raw_decode(body, place)
        except (ValueError, RecursionError) as error:
            yield BrokenBody("not_json", _short(error), body[place:])
            return
        yield Element(value, body[place:end])
        is_first = False
        place = _skip(body, end)
        if body[place : place + 1] == "]":
            break
        if body[place : place + 1] != ",":
            yield BrokenBody("not_json", f"no comma at character {place}", body[place:])
            return
        place = _skip(body, place + 1)
    rest = body[_skip(body, place + 1) :]
    if rest:
        yield BrokenBody("not_json", "text after the array", rest)


def decimal_field(row: Mapping[Any, Any], name: Any, *, may_be_zero: bool = False) -> Decimal:
    """A finite number above zero (or zero, where a size may be); RowError else."""
    text = _present(row, name)
    if isinstance(text, str) and PLAIN.fullmatch(text):
        number = Decimal(text)
        if number or may_be_zero:
            return number
    return _unusual_decimal(text, name, may_be_zero=may_be_zero)


def _unusual_decimal(text: object, name: Any, *, may_be_zero: bool) -> Decimal:
    """With a sign, an exponent or very many digits, if it is a number at all."""
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise RowError("not_a_number", f"{name} is {_short(text)}")
    number = Decimal(text)
    if number < 0 or (number == 0 and not may_be_zero):
        raise RowError("not_positive", f"{name} is {_short(text)}")
    exponent = number.normalize().as_tuple().exponent if number else 0
    too_fine = isinstance(exponent, int) and exponent < -FRACTION_DIGITS
    if number and (too_fine or number.adjusted() >= WHOLE_DIGITS):
        raise RowError("out_of_range", f"{name} is {_short(text)}, DECIMAL(38,18) cannot hold it")
    return number


def optional_decimal(row: Mapping[Any, Any], name: Any) -> Decimal | None:
    """None where the row has no such field; a field that is there must be a size or price."""
    return None if name not in row else decimal_field(row, name, may_be_zero=True)


def whole_field(row: Mapping[Any, Any], name: Any) -> int:
    text = _present(row, name)
    if not isinstance(text, str) or not WHOLE.fullmatch(text):
        raise RowError("not_a_number", f"{name} is {_short(text)}")
    return int(text)


def time_field(row: Mapping[Any, Any], name: Any) -> datetime:
    """Epoch milliseconds to UTC."""
    number = whole_field(row, name)
    if not 0 <= number <= LAST_MS:
        raise RowError("out_of_range", f"{name} is {number}, not milliseconds since 1970")
    return EPOCH + timedelta(milliseconds=number)


def _present(row: Mapping[Any, Any], name: Any) -> Any:
    if name not in row:
        raise RowError("missing_field", f"{name} is missing")
    return row[name]


def _not_an_array(decoder: json.JSONDecoder, body: str) -> BrokenBody:
    try:
        decoder.decode(body)
    except (ValueError, RecursionError) as error:
        return BrokenBody("not_json", _short(error), body)
    return BrokenBody("not_an_array", "the body is JSON but no array", body)


def _skip(body: str, place: int) -> int:
    match = SPACE.match(body, place)
    return match.end() if match else place


def _short(value: object) -> str:
    return ascii(value)[:200]
