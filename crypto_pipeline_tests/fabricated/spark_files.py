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
import pyarrow.parquet as pq

SPARK_VERSION = "4.2.0"
# Of each so many bytes Hadoop's local file system keeps a CRC-32.
SUMMED = 512
# Spark closes a group at 128 MB: a day of a watch-list is far below.
ONE_GROUP = 10_000_000


def parquet(rows: pa.Table, *, fields: list[dict[str, Any]], long: str = "") -> bytes:
    """The bytes of a file with these rows; `fields` are its columns in Spark's own words.

    Of `long`, a column in the file, no least and greatest value is kept, as of any of 4 KB.
    """
    schema = json.dumps({"type": "struct", "fields": fields}, separators=(",", ":"))
    footer = {
        "org.apache.spark.version": SPARK_VERSION,
        "org.apache.spark.sql.parquet.row.metadata": schema,
    }
    buffer = io.BytesIO()
    # Spark writes no dictionary of values of fixed length, which its decimals are.
    coded = [f.name for f in rows.schema if not pa.types.is_decimal(f.type)]
    leaves = _leaves(rows.schema)
    with pq.ParquetWriter(
        buffer,
        rows.schema,
        version="1.0",
        compression="snappy",
        use_dictionary=[path for path in leaves if path.split(".")[0] in coded],
        write_statistics=[path for path in leaves if path != long],
        use_deprecated_int96_timestamps=True,
        write_page_index=True,
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
