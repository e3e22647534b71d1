"""The first line of each version: what was done, with which parameters, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crypto_pipeline.lake.table import Table
from crypto_pipeline_tests.fabricated.life import DEAD_DAYS, DataFile, Entry, What
from crypto_pipeline_tests.fabricated.shapes import is_replaced
from crypto_pipeline_tests.fabricated.words import text

ENGINE = "Apache-Spark/4.2.0 Delta-Lake/4.4.0"
OPERATION: dict[What, str] = {
    "create": "CREATE TABLE",
    "write": "WRITE",
    "compact": "OPTIMIZE",
    "retain": "DELETE",
    "vacuum start": "VACUUM START",
    "vacuum end": "VACUUM END",
    "properties": "SET TBLPROPERTIES",
}
IN_SNAPSHOT: tuple[What, ...] = ("compact", "vacuum start", "vacuum end")
READS: tuple[What, ...] = ("compact", "retain")
COMPACT_SIZES = ("p25FileSize", "minFileSize", "p75FileSize", "p50FileSize", "maxFileSize")
RETAIN_ZEROS = (
    "numCopiedRows", "numDeletionVectorsAdded", "numDeletionVectorsUpdated", "numAddedFiles",
    "numDeletionVectorsRemoved", "numAddedChangeFiles", "numAddedBytes", "rewriteTimeMs",
)  # fmt: skip
# How long a removal of whole dates was seen to take.
RETAIN_TIMES = {"executionTimeMs": 509, "scanTimeMs": 506}


def commit_info(
    entry: Entry,
    table: Table,
    *,
    configuration: Mapping[str, str],
    user_metadata: str | None,
    txn_id: str,
) -> dict[str, Any]:
    replaces = entry.what == "write" and is_replaced(table)
    return {
        "timestamp": entry.at,
        "operation": OPERATION[entry.what],
        "operationParameters": _parameters(entry, table, configuration),
        **({"readVersion": entry.version - 1} if entry.version else {}),
        "isolationLevel": "SnapshotIsolation" if entry.what in IN_SNAPSHOT else "Serializable",
        "isBlindAppend": entry.what not in READS and not replaces,
        "operationMetrics": {name: str(n) for name, n in _metrics(entry, replaces).items()},
        **({} if user_metadata is None else {"userMetadata": user_metadata}),
        "engineInfo": ENGINE,
        "txnId": txn_id,
    }


def _parameters(entry: Entry, table: Table, configuration: Mapping[str, str]) -> dict[str, Any]:
    match entry.what:
        case "create":
            return {
                "partitionBy": text(list(table.partition_by)),
                "clusterBy": "[]",
                "description": table.description,
                "isManaged": "false",
                "properties": text(dict(configuration)),
            }
        case "write":
            mode = "Overwrite" if is_replaced(table) else "Append"
            return {"mode": mode, "partitionBy": "[]"}
        case "compact":
            predicate = text([_unresolved(entry.predicate)])
            return {"predicate": predicate, "zOrderBy": "[]", "clusterBy": "[]", "auto": False}
        case "retain":
            return {"predicate": text([f"({entry.predicate})"])}
        case "vacuum start":
            kept = round(DEAD_DAYS.total_seconds() * 1000)
            return {"retentionCheckEnabled": True, "defaultRetentionMillis": kept}
        case "vacuum end":
            return {"status": "COMPLETED"}
        case "properties":
            return {"properties": text(dict([list(entry.noted.items())[-1]]))}


def _unresolved(predicate: str) -> str:
    """The predicate of an OPTIMIZE as it is kept.

    >>> _unresolved("date = '2026-11-26' AND topic = 'market.polls'")
    "(('date = 2026-11-26) AND ('topic = market.polls))"
    """
    parts = [f"('{part.replace(chr(39), '')})" for part in predicate.split(" AND ")]
    return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"


def _metrics(entry: Entry, replaces: bool) -> dict[str, int]:
    match entry.what:
        case "write":
            return {
                "numFiles": len(entry.added),
                **(_removed(entry.removed) if replaces else {}),
                "numOutputRows": sum(file.rows for file in entry.added),
                "numOutputBytes": _bytes(entry.added),
            }
        case "compact":
            size = _bytes(entry.added)
            return {
                **_removed(entry.removed),
                "numDeletionVectorsRemoved": 0,
                "numAddedBytes": size,
                "numAddedFiles": len(entry.added),
                **dict.fromkeys(COMPACT_SIZES, size),
            }
        case "retain":
            rows = sum(file.rows for file in entry.removed)
            zeros = dict.fromkeys(RETAIN_ZEROS, 0)
            return {**_removed(entry.removed), **RETAIN_TIMES, "numDeletedRows": rows, **zeros}
        case "vacuum start":
            return {"numFilesToDelete": 0, "sizeOfDataToDelete": 0}
        case "vacuum end":
            return {"numDeletedFiles": 0, "numVacuumedDirectories": 1}
        case _:
            return {}


def _removed(files: Sequence[DataFile]) -> dict[str, int]:
    return {"numRemovedFiles": len(files), "numRemovedBytes": _bytes(files)}


def _bytes(files: Sequence[DataFile]) -> int:
    return sum(file.size for file in files)
