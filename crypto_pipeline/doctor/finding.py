"""What one check found: a line that says whether it is well, else what is wrong and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from crypto_pipeline.errors import PipelineError

# idle: nothing to check here now, and nothing to be done about it.
Verdict = Literal["ok", "wrong", "idle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`said` is a sentence without a secret in it; `remedy` is what to do when it is wrong."""

    subject: str
    verdict: Verdict
    said: str
    remedy: str = ""

    def line(self) -> str:
        """
        >>> Finding(subject="Java", verdict="ok", said="Version 21.").line()
        'ok    Java: Version 21.'
        """
        mark = "-" if self.verdict == "idle" else self.verdict
        words = " ".join(part for part in (self.said, self.remedy) if part)
        return f"{mark:<5} {self.subject}: {' '.join(words.split())}"


def fine(subject: str, said: str) -> Finding:
    return Finding(subject=subject, verdict="ok", said=said)


def idle(subject: str, said: str) -> Finding:
    return Finding(subject=subject, verdict="idle", said=said)


def wrong(subject: str, said: str, remedy: str = "") -> Finding:
    return Finding(subject=subject, verdict="wrong", said=said, remedy=remedy)


def tried(subject: str, action: Callable[[], str]) -> Finding:
    """The sentence that the action returns, or the error's own, which names its remedy."""
    try:
        return fine(subject, action())
    except PipelineError as error:
        return wrong(subject, str(error))
