"""What formats there are in a lake, without a JVM; each table's log is opened once."""

from __future__ import annotations

import sys

from crypto_pipeline import formats
from crypto_pipeline import settings as settings_module
from crypto_pipeline.errors import PipelineError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.table import Table
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import TABLES
from crypto_pipeline.state_format import refuse_other_state


def table_formats(root: str) -> dict[Table, int]:
    """The format of every table that is there."""
    states = {table: log.open_table(f"{root.rstrip('/')}/{table.key}") for table in TABLES}
    return {
        table: formats.of_table(state.properties)
        for table, state in states.items()
        if state is not None
    }


def refuse_other_formats(settings: Settings) -> None:
    """State folder and every table, before anything is started; raises FormatError."""
    refuse_other_state(settings)
    for table, number in table_formats(settings.lake_root).items():
        formats.refuse_other(f"Table {table.key} in {settings.lake_root}", number)


def main() -> int:
    """Exit code 2 and a sentence when something is not of today's format."""
    try:
        refuse_other_formats(settings_module.load())
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
