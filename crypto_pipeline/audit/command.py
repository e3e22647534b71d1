"""`crypto-pipeline audit`: the books as a table, and each difference with where it is."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table as Grid

from crypto_pipeline.audit.run import Audit, audit
from crypto_pipeline.pipeline import reading_lake
from crypto_pipeline.settings import Settings

DIFFERENT = 1
ASIDE = {
    "rejected": "rejected",
    "duplicate": "duplicates",
    "conflict": "conflicts",
    "too_late": "too late",
}


def audit_command(
    settings: Settings, console: Console, *, start: datetime | None, end: datetime | None
) -> int:
    """Exit code 0 when everything is as it must be, 1 on any difference."""
    with reading_lake(settings, role="auditor") as lake:
        found = audit(lake, start=start, end=end)
    console.print(books_grid(found))
    if found.differences:
        console.print(difference_grid(found))
    console.print(summary(found), highlight=False)
    return 0 if found.is_clean else DIFFERENT


def books_grid(found: Audit) -> Grid:
    """Rows in = out + set aside, a stage a line; `also` is what is read and goes nowhere."""
    grid = Grid(title=f"Books {_period(found)}")
    for name in ("stage", "rows in", "out", *ASIDE.values(), "also", "balance"):
        grid.add_column(name, justify="left" if name in ("stage", "also") else "right")
    for line in found.lines:
        out = {"accepted", "ticks", "candles", "minutes", "measured"}
        out |= {"polls"} if line.stage == "bronze" else set()
        also = {n: v for n, v in line.outcomes.items() if n not in out and n not in ASIDE and v}
        grid.add_row(
            line.stage,
            f"{line.rows_in:,}",
            f"{sum(v for n, v in line.outcomes.items() if n in out):,}",
            *(f"{line.outcomes[n]:,}" if n in line.outcomes else "" for n in ASIDE),
            ", ".join(f"{value:,} {name}" for name, value in also.items()),
            "yes" if line.balances else "NO",
        )
    return grid


def difference_grid(found: Audit) -> Grid:
    grid = Grid(title="Differences")
    for name in ("table", "what", "rows", "first"):
        grid.add_column(name, justify="right" if name == "rows" else "left", overflow="fold")
    for one in found.differences:
        grid.add_row(one.table, one.what, f"{one.rows:,}", one.example)
    return grid


def summary(found: Audit) -> str:
    if found.is_clean:
        return f"Audited in {found.seconds} s: no difference."
    return (
        f"Audited in {found.seconds} s: {len(found.differences)} kinds of difference in "
        f"{', '.join(sorted({one.table for one in found.differences})) or 'the books'}."
    )


def _period(found: Audit) -> str:
    if found.start is None and found.end is None:
        return "of everything"
    first = "the beginning" if found.start is None else f"{found.start:%Y-%m-%d %H:%M}"
    last = "now" if found.end is None else f"{found.end:%Y-%m-%d %H:%M}"
    return f"from {first} to {last} UTC"
