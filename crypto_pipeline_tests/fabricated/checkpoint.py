"""Checkpoints as Spark writes them: classic, in one Parquet file, with statistics twice.

Rows are made as columns: a checkpoint of a busy table names thousands of removed files.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_schema

from crypto_pipeline_tests.fabricated.actions import PROTOCOL, Actions
from crypto_pipeline_tests.fabricated.columns import schema_of
from crypto_pipeline_tests.fabricated.life import DEAD_DAYS, DataFile, Entry
from crypto_pipeline_tests.fabricated.spark_files import parquet
from crypto_pipeline_tests.fabricated.words import fields_of, text

TEXT, LONG, INT, BOOL = pa.string(), pa.int64(), pa.int32(), pa.bool_()
PAIRS = pa.map_(TEXT, TEXT)
TEXTS = pa.list_(pa.field("element", TEXT))
VECTOR = pa.struct(
    [("storageType", TEXT), ("pathOrInlineDv", TEXT), ("offset", INT), ("sizeInBytes", INT),
     ("cardinality", LONG), ("maxRowIndex", LONG)]
)  # fmt: skip
TXN = pa.struct([("appId", TEXT), ("version", LONG), ("lastUpdated", LONG)])
REMOVE = pa.struct(
    [("path", TEXT), ("deletionTimestamp", LONG), ("dataChange", BOOL),
     ("extendedFileMetadata", BOOL), ("partitionValues", PAIRS), ("size", LONG),
     ("deletionVector", VECTOR), ("baseRowId", LONG), ("defaultRowCommitVersion", LONG)]
)  # fmt: skip
METADATA = pa.struct(
    [("id", TEXT), ("name", TEXT), ("description", TEXT),
     ("format", pa.struct([("provider", TEXT), ("options", PAIRS)])), ("schemaString", TEXT),
     ("partitionColumns", TEXTS), ("configuration", PAIRS), ("createdTime", LONG)]
)  # fmt: skip
PROTOCOL_TYPE = pa.struct(
    [("minReaderVersion", INT), ("minWriterVersion", INT), ("readerFeatures", TEXTS),
     ("writerFeatures", TEXTS)]
)  # fmt: skip
DOMAIN = pa.struct([("domain", TEXT), ("configuration", TEXT), ("removed", BOOL)])


@dataclass(frozen=True)
class Checkpoints:
    """Checkpoints of one table; `dead` are its removed files in the order of time."""

    actions: Actions
    dead: Sequence[DataFile]

    @cached_property
    def _removes(self) -> pa.Array:
        rows = [
            {
                "path": file.path,
                "deletionTimestamp": (file.removed_at or 0) - 1,
                "dataChange": False,
                "extendedFileMetadata": True,
                "partitionValues": file.values,
                "size": file.size,
            }
            for file in self.dead
        ]
        return pa.array(rows, REMOVE)

    @cached_property
    def _removed_at(self) -> list[int]:
        return [file.removed_at or 0 for file in self.dead]

    @cached_property
    def schema(self) -> pa.Schema:
        columns = [("txn", TXN), ("add", self._add_type), ("remove", REMOVE),
                   ("metaData", METADATA), ("protocol", PROTOCOL_TYPE),
                   ("domainMetadata", DOMAIN)]  # fmt: skip
        return pa.schema(columns)

    @cached_property
    def _add_type(self) -> pa.DataType:
        table = self.actions.table
        rows = schema_of(table)
        asked = [rows.field(name) for name in (table.fact_column, "batch")]
        ends = pa.struct([(field.name, field.type) for field in asked])
        stats = [("numRecords", LONG), ("minValues", ends), ("maxValues", ends),
                 ("nullCount", pa.struct([(field.name, LONG) for field in asked]))]  # fmt: skip
        values = [(name, rows.field(name).type) for name in table.partition_by]
        parsed = [("partitionValues_parsed", pa.struct(values))] if values else []
        return pa.struct(
            [("path", TEXT), ("partitionValues", PAIRS), ("size", LONG),
             ("modificationTime", LONG), ("dataChange", BOOL), ("tags", PAIRS),
             ("deletionVector", VECTOR), ("baseRowId", LONG), ("defaultRowCommitVersion", LONG),
             ("clusteringProvider", TEXT), ("stats", TEXT), *parsed,
             ("stats_parsed", pa.struct(stats))]
        )  # fmt: skip

    @cached_property
    def _fields(self) -> list[dict[str, Any]]:
        return fields_of(from_arrow_schema(self.schema), comments=False)

    def rows(self, entry: Entry, files: Sequence[DataFile]) -> pa.Table:
        """The table's state at one version: what holds, its files, and those removed of late."""
        kept_from = entry.at - round(DEAD_DAYS.total_seconds() * 1000)
        first = bisect_right(self._removed_at, kept_from)
        until = bisect_right(self._removed_at, entry.at)
        parts = {
            "protocol": pa.array([PROTOCOL], PROTOCOL_TYPE),
            "metaData": pa.array([_as_pairs(self.actions.metadata(entry))], METADATA),
            "txn": pa.array(self.actions.transactions(entry), TXN),
            "remove": self._removes.slice(first, until - first),
            "add": pa.array([self._add(file) for file in files], self._add_type),
        }
        return _stacked(parts, self.schema)

    def _add(self, file: DataFile) -> dict[str, Any]:
        values: dict[str, Any] = dict(file.values)
        if values:
            values["date"] = self.actions.life.shape.date(file.first)
        return {
            **self.actions.add(file),
            "partitionValues": file.values,
            "partitionValues_parsed": values,
            "stats_parsed": self.actions.stats(file, told=lambda moment: moment),
        }

    def content(self, rows: pa.Table) -> bytes:
        return parquet(rows, fields=self._fields)

    def last(self, entry: Entry, rows: pa.Table, *, files: int, size: int) -> str:
        """What `_last_checkpoint` says of it."""
        told = {
            "version": entry.version,
            "size": rows.num_rows,
            "sizeInBytes": size,
            "numOfAddFiles": files,
            "checkpointSchema": {"type": "struct", "fields": self._fields},
        }
        return text(told | {"checksum": checksum(told)}) + "\n"


def checksum(told: dict[str, Any]) -> str:
    """MD5 of the canonical form of the Delta protocol.

    >>> checksum({"k0": "'v 0'", "k1": {"k2": 2, "k3": ["v3", [1, 2]]}})
    '6d26f602f4c68997afcc297dce9671c7'
    """
    return hashlib.md5(",".join(sorted(_canonical(told, ""))).encode()).hexdigest()


def _canonical(value: Any, prefix: str) -> list[str]:
    if isinstance(value, dict):
        pairs = [(f'"{quote(key, safe="-._~")}"', inner) for key, inner in value.items()]
    elif isinstance(value, list):
        pairs = [(str(number), inner) for number, inner in enumerate(value)]
    else:
        plain = f'"{quote(value, safe="-._~")}"' if isinstance(value, str) else json.dumps(value)
        return [f"{prefix}={plain}"]
    joint = f"{prefix}+" if prefix else ""
    return [line for key, inner in pairs for line in _canonical(inner, f"{joint}{key}")]


def _as_pairs(metadata: dict[str, Any]) -> dict[str, Any]:
    """Maps as Arrow takes them."""
    source = {**metadata["format"], "options": []}
    return {**metadata, "format": source, "configuration": list(metadata["configuration"].items())}


def _stacked(parts: dict[str, pa.Array], schema: pa.Schema) -> pa.Table:
    """One column a kind of action, one action a row, the kinds after one another."""
    total = sum(len(part) for part in parts.values())
    columns, before = {}, 0
    for name, part in parts.items():
        after = total - before - len(part)
        columns[name] = pa.concat_arrays(
            [pa.nulls(before, part.type), part, pa.nulls(after, part.type)]
        )
        before += len(part)
    empty = {field.name: pa.nulls(total, field.type) for field in schema}
    return pa.table(empty | columns, schema=schema)
