"""Files as Spark leaves them: Parquet with its types and footer, and Hadoop's sums beside them."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SPARK_VERSION = "4.2.0"
# Of each so many bytes Hadoop's local file system keeps a CRC-32.
SUMMED = 512
# Spark keeps no least and greatest value of 4 KB, and cuts those of the page index short, which
# is left out here where a record's bytes would be in it whole.
LONG = ("metaData.schemaString",)
UNCUT = "value"
# Spark closes a group at 128 MB: a day of a watch-list is far below.
ONE_GROUP = 10_000_000


def parquet(rows: pa.Table, *, fields: list[dict[str, Any]]) -> bytes:
    """The bytes of a file with these rows; `fields` are its columns in Spark's own words."""
    schema = json.dumps({"type": "struct", "fields": fields}, separators=(",", ":"))
    footer = {
        "org.apache.spark.version": SPARK_VERSION,
        "org.apache.spark.sql.parquet.row.metadata": schema,
    }
    buffer = io.BytesIO()
    coded = [field.name for field in rows.schema if _repeats(rows.column(field.name))]
    leaves = _leaves(rows.schema)
    with pq.ParquetWriter(
        buffer,
        rows.schema,
        version="1.0",
        compression="zstd",
        use_dictionary=[path for path in leaves if path.split(".")[0] in coded],
        write_statistics=[path for path in leaves if path not in LONG],
        use_deprecated_int96_timestamps=True,
        write_page_index=UNCUT not in rows.schema.names,
        store_schema=False,
    ) as writer:
        writer.write_table(rows, row_group_size=ONE_GROUP)
        writer.add_key_value_metadata(footer)
    return buffer.getvalue()


def write(path: Path, content: bytes, *, at: int) -> None:
    """A file and its sums, both as old as `at` says, in milliseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    sums = path.with_name(f".{path.name}.crc")
    sums.write_bytes(hadoop_sums(content))
    for file in (path, sums):
        os.utime(file, (at / 1000, at / 1000))


def write_hole(path: Path, size: int, *, at: int) -> None:
    """A file that nobody reads any more: of its size, and without content on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    os.utime(path, (at / 1000, at / 1000))


def hadoop_sums(content: bytes) -> bytes:
    """The hidden file that Hadoop's local file system keeps beside each file.

    >>> hadoop_sums(b"abc").hex()
    '6372630000000200352441c2'
    """
    sums = [zlib.crc32(content[start : start + SUMMED]) for start in range(0, len(content), SUMMED)]
    return b"crc\0" + struct.pack(f">i{len(sums)}I", SUMMED, *sums)


def _repeats(column: pa.ChunkedArray) -> bool:
    """Whether Spark keeps a dictionary of a column: not where that is as long as the values.

    Of values of fixed length, which its decimals are, it has none at all.
    """
    if pa.types.is_nested(column.type):
        return True
    return not pa.types.is_decimal(column.type) and (
        2 * pc.count_distinct(column).as_py() < len(column) + 2
    )


@lru_cache
def _leaves(schema: pa.Schema) -> list[str]:
    """Paths of the columns in the file, of lists those of their elements."""
    found = pq.ParquetFile(_empty(schema)).schema
    return [found.column(number).path for number in range(len(found.names))]


def _empty(schema: pa.Schema) -> io.BytesIO:
    buffer = io.BytesIO()
    pq.write_table(schema.empty_table(), buffer, store_schema=False)
    buffer.seek(0)
    return buffer
