"""The format of tables and of a state folder: one number, and what is said of another one.

It counts what older code could not read, or would write wrongly. A column that came later is no
new format (`added` in a schema). `crypto_pipeline.migrate` leads from one number to the next.
"""

from __future__ import annotations

from collections.abc import Mapping

from crypto_pipeline.errors import FormatError
from crypto_pipeline.version import VERSION

FORMAT = 1
PROPERTY = "crypto_pipeline.format"


def of_table(properties: Mapping[str, str]) -> int:
    """What a table's properties say; one that has no mark is older than the marks: 0."""
    return int(properties.get(PROPERTY, 0))


def refuse_other(what: str, found: int) -> None:
    """Raises FormatError with both numbers and the remedy."""
    refuse_newer(what, found)
    if found < FORMAT:
        raise FormatError(
            f"{what} has format {found}, crypto-pipeline {VERSION} works with {FORMAT}. Make a "
            "backup, then run `crypto-pipeline migrate` (docs/upgrade.md)."
        )


def refuse_newer(what: str, found: int) -> None:
    """Raises FormatError with both numbers and the remedy."""
    if found > FORMAT:
        raise FormatError(
            f"{what} has format {found}, crypto-pipeline {VERSION} knows {FORMAT}: a newer version "
            "wrote it. Run that one, or restore a backup from before (docs/upgrade.md)."
        )
