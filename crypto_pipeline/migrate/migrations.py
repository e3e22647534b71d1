"""From one format to the next, in order. Each may be cut short and run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crypto_pipeline.formats import PROPERTY
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.table import Table
from crypto_pipeline.settings import Settings

# What a table can be read and written by is raised by Delta itself, with what needs it.
PROTOCOL = ("delta.minReaderVersion", "delta.minWriterVersion")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """The step to format `to`; None where a table or a state folder needs no change."""

    to: int
    table: Callable[[Lake, Table], None] | None = None
    state: Callable[[Settings], None] | None = None


def todays_properties(lake: Lake, table: Table) -> None:
    """Tables from before the marks may keep their log for 7 days and statistics of 32 columns."""
    wanted = {name: value for name, value in table.properties.items() if name not in PROTOCOL}
    set_properties(lake, table, wanted)


MIGRATIONS = (Migration(to=1, table=todays_properties),)


def after(number: int) -> tuple[Migration, ...]:
    """What leads from a format to today's."""
    return tuple(one for one in MIGRATIONS if one.to > number)


def migrate_table(lake: Lake, table: Table, *, found: int) -> None:
    """Step by step; the mark comes after its step, so one that was killed is done again.

    Raises ForeignEngineError for a table that another engine writes.
    """
    lake.refuse_foreign(table)
    for step in after(found):
        lake.refuse_if_overtaken()
        if step.table is not None:
            step.table(lake, table)
        set_properties(lake, table, {PROPERTY: str(step.to)})


def set_properties(lake: Lake, table: Table, properties: Mapping[str, str]) -> None:
    pairs = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
    lake.spark.sql(f"ALTER TABLE delta.`{lake.path(table)}` SET TBLPROPERTIES ({pairs})").collect()
