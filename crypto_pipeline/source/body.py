"""Walking the text of a body: each row with the exact text that it came from.

Nothing here raises: where a body stops being JSON, what was whole before is kept and the rest is
a `BrokenBody`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Why a body, not a row of it, is refused; "missing_field" may be of either.
BROKEN_BODY = frozenset({"not_json", "not_an_array", "not_an_object"})
SPACE = re.compile(r"[ \t\n\r]*")
# Numbers stay text: a float would lose digits of the venue.
DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str)


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
    place = _skip(body, 0)
    if body[place : place + 1] != "[":
        yield _not_an_array(body)
        return
    place = _skip(body, place + 1)
    is_first = True
    while body[place : place + 1] != "]" or not is_first:
        try:
            value, end = DECODER.raw_decode(body, place)
        except (ValueError, RecursionError) as error:
            yield BrokenBody("not_json", short(error), body[place:])
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


def whole(body: str) -> Element | BrokenBody:
    """A body that is one value, whatever its kind."""
    place = _skip(body, 0)
    try:
        value, end = DECODER.raw_decode(body, place)
    except (ValueError, RecursionError) as error:
        return BrokenBody("not_json", short(error), body)
    rest = body[_skip(body, end) :]
    return (
        BrokenBody("not_json", "text after the value", body)
        if rest
        else Element(value, body[place:end])
    )


def entries(body: str, name: str) -> Iterator[tuple[str, Element] | BrokenBody]:
    r"""Walk the object under `name` of an object, entry by entry, each with its own text.

    >>> [(key, part.text) for key, part in entries('{"e": [], "result": {"a": [1.50]}}', "result")]
    [('a', '[1.50]')]
    """
    outer = _members(body, _skip(body, 0))
    for part in outer:
        if isinstance(part, BrokenBody):
            yield part
            return
        key, begin, _ = part
        if key == name:
            yield from _inner(body, begin)
            # What follows the object must be sound too, or the body was cut.
            yield from (rest for rest in outer if isinstance(rest, BrokenBody))
            return
    yield BrokenBody("missing_field", f"{name} is missing", body)


def _inner(body: str, begin: int) -> Iterator[tuple[str, Element] | BrokenBody]:
    for part in _members(body, begin):
        if isinstance(part, BrokenBody):
            yield part
            return
        key, start, end = part
        try:
            value, _ = DECODER.raw_decode(body, start)
        except (ValueError, RecursionError) as error:
            yield BrokenBody("not_json", short(error), body[start:])
            return
        yield key, Element(value, body[start:end])


def _members(body: str, place: int) -> Iterator[tuple[str, int, int] | BrokenBody]:
    """Keys of an object with where their values begin and end; a break comes last.

    A value that does not parse whole is walked into by the caller only if it is an object.
    """
    if body[place : place + 1] != "{":
        yield _not_an_object(body)
        return
    place = _skip(body, place + 1)
    is_first = True
    while body[place : place + 1] != "}" or not is_first:
        try:
            key, after = DECODER.raw_decode(body, place)
            colon = _skip(body, after)
            if not isinstance(key, str) or body[colon : colon + 1] != ":":
                yield BrokenBody("not_json", f"no name at character {place}", body[place:])
                return
            start = _skip(body, colon + 1)
        except (ValueError, RecursionError) as error:
            yield BrokenBody("not_json", short(error), body[place:])
            return
        end = _value_end(body, start)
        if end is None:
            # A cut object still has whole entries before the cut.
            if body[start : start + 1] == "{":
                yield key, start, len(body)
                return
            yield BrokenBody("not_json", f"{in_ascii(key)} is cut or broken", body[place:])
            return
        yield key, start, end
        is_first = False
        place = _skip(body, end)
        if body[place : place + 1] == "}":
            return
        if body[place : place + 1] != ",":
            yield BrokenBody("not_json", f"no comma at character {place}", body[place:])
            return
        place = _skip(body, place + 1)


def _value_end(body: str, start: int) -> int | None:
    try:
        return DECODER.raw_decode(body, start)[1]
    except (ValueError, RecursionError):
        return None


def _not_an_object(body: str) -> BrokenBody:
    try:
        DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        return BrokenBody("not_json", short(error), body)
    return BrokenBody("not_an_object", "the body is JSON but no object", body)


def _not_an_array(body: str) -> BrokenBody:
    try:
        DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        return BrokenBody("not_json", short(error), body)
    return BrokenBody("not_an_array", "the body is JSON but no array", body)


def _skip(body: str, place: int) -> int:
    match = SPACE.match(body, place)
    return match.end() if match else place


def short(value: object) -> str:
    return ascii(value)[:200]


def in_ascii(value: object) -> str:
    r"""A venue's words for a sentence of ours: half a surrogate pair could not be published.

    >>> in_ascii("EQuery:Unknown asset pair"), in_ascii("\ud800")
    ('EQuery:Unknown asset pair', '\\ud800')
    """
    return str(value).encode("ascii", "backslashreplace").decode()[:200]
