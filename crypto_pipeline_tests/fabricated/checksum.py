"""The `.crc` of a version: the table's state in short, and its files where they are few."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from crypto_pipeline_tests.fabricated.actions import PROTOCOL, Actions
from crypto_pipeline_tests.fabricated.life import DataFile, Entry
from crypto_pipeline_tests.fabricated.words import text

# Of more files than these, before or after the commit, the list is left out.
FEW_FILES = 50
KB, MB, GB = 1024, 1024**2, 1024**3
BOUNDARIES = (
    0, *(8 * KB * 2**n for n in range(9)), 4 * MB, *range(8 * MB, 44 * MB, 4 * MB),
    *range(48 * MB, 121 * MB, 8 * MB), *range(124 * MB, 145 * MB, 4 * MB),
    *range(160 * MB, 577 * MB, 16 * MB), *range(640 * MB, 1409 * MB, 64 * MB),
    *range(1536 * MB, 2049 * MB, 128 * MB), *range(2304 * MB, 4097 * MB, 256 * MB),
    *(GB * 2**n for n in range(3, 9)),
)  # fmt: skip


def content(
    actions: Actions, entry: Entry, files: Sequence[DataFile], lines: Sequence[str], *, before: int
) -> str:
    """The file's text; `lines` are the files as JSON, `before` how many the last version had."""
    total = sum(file.size for file in files)
    state = {
        "txnId": actions.txn_id(entry),
        "tableSizeBytes": total,
        "numFiles": len(files),
        "numMetadata": 1,
        "numProtocol": 1,
        "setTransactions": actions.transactions(entry),
        "domainMetadata": [],
        "metadata": actions.metadata(entry),
        "protocol": PROTOCOL,
        "fileSizeHistogram": _histogram(files),
    }
    if max(len(files), before) > FEW_FILES:
        return text(state) + "\n"
    return f'{text(state)[:-1]},"allFiles":[{",".join(lines)}]}}\n'


def _histogram(files: Sequence[DataFile]) -> dict[str, list[int]]:
    counts, totals = [0] * len(BOUNDARIES), [0] * len(BOUNDARIES)
    for file in files:
        place = bisect_right(BOUNDARIES, file.size) - 1
        counts[place] += 1
        totals[place] += file.size
    return {"sortedBinBoundaries": list(BOUNDARIES), "fileCounts": counts, "totalBytes": totals}
