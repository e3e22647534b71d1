"""IAM's rules, as far as our policies go: an explicit denial wins, else somebody has to allow.

Actions and resources with `*` and `?`, and conditions on texts. Whatever else a statement says is
refused, so that nothing is taken for granted that was not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

KNOWN = {"Sid", "Effect", "Action", "Resource", "Condition", "Principal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The smallest thing that a policy gives: one action on one pattern of resources."""

    policy: str
    sid: str
    effect: str
    action: str
    resource: str
    condition: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    def covers(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        return (
            matches(self.action, action)
            and matches(self.resource, resource)
            and all(_holds(*one, context) for one in self.condition)
        )


def grants(policy: str, document: Mapping[str, Any]) -> Iterator[Grant]:
    """Take a policy's document apart."""
    for statement in document["Statement"]:
        assert set(statement) <= KNOWN, f"{policy} says {set(statement) - KNOWN}"
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                yield Grant(
                    policy=policy,
                    sid=statement["Sid"],
                    effect=statement["Effect"],
                    action=action,
                    resource=resource,
                    condition=tuple(_conditions(statement.get("Condition", {}))),
                )


def decide(
    given: Sequence[Grant], action: str, resource: str, context: Mapping[str, str]
) -> Grant | None:
    """The grant that allows it; None when none does or one denies."""
    covering = [grant for grant in given if grant.covers(action, resource, context)]
    if any(grant.effect == "Deny" for grant in covering):
        return None
    return next(iter(covering), None)


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def matches(pattern: str, text: str) -> bool:
    """
    >>> matches("arn:aws:s3:::b/raw/*/_delta_log/*", "arn:aws:s3:::b/raw/records/_delta_log/0.json")
    True
    """
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    wild = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(wild, re.DOTALL)


def _conditions(
    condition: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    for operator, keys in condition.items():
        for key, values in keys.items():
            yield operator, key, tuple(str(value) for value in listed(values))


def _holds(operator: str, key: str, values: Sequence[str], context: Mapping[str, str]) -> bool:
    """A key that the request does not have fulfils nothing."""
    found = context.get(key)
    if operator in ("StringLike", "StringEquals", "Bool"):
        return found is not None and any(matches(value, found) for value in values)
    if operator == "NumericLessThan":
        return found is not None and any(float(found) < float(value) for value in values)
    raise AssertionError(f"{operator} is not known here")
