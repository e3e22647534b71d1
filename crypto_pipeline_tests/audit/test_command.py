"""What `crypto-pipeline audit` prints, and how it ends."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console

from crypto_pipeline.audit import command
from crypto_pipeline.audit.difference import Difference, Line
from crypto_pipeline.audit.run import Audit
from crypto_pipeline.settings import Settings

SOUND = Line(stage="silver", rows_in=3, outcomes=Counter(accepted=2, duplicate=1))
SHORT = Line(stage="silver", rows_in=3, outcomes=Counter(accepted=2))
LOST = Difference(table="silver/ticks", what="missing", rows=1, example="market.ticks 0/2@17")


@pytest.mark.parametrize(
    ("line", "differences", "code", "words"),
    [
        (SOUND, (), 0, ("yes", "no difference")),
        (SHORT, (), 1, ("NO", "in the books")),
        (SOUND, (LOST,), 1, ("missing", "market.ticks 0/2@17", "1 kinds of difference in silver")),
    ],
)
def test_it_ends_with_one_on_any_difference_and_names_it(
    monkeypatch: pytest.MonkeyPatch,
    make_settings: Callable[..., Settings],
    line: Line,
    differences: tuple[Difference, ...],
    code: int,
    words: tuple[str, ...],
) -> None:
    found = Audit(start=None, end=None, lines=(line,), differences=differences, seconds=0.1)

    @contextmanager
    def no_lake(*_: object, **__: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(command, "audit", lambda *_, **__: found)
    monkeypatch.setattr(command, "reading_lake", no_lake)
    out = io.StringIO()
    console = Console(file=out, width=120)
    assert command.audit_command(make_settings(), console, start=None, end=None) == code
    for part in words:
        assert part in out.getvalue()
