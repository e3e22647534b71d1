"""The bytes of a spool file: a header that says how many records, then blocks of records.

Header: magic, whether the last record is the poll's own, count, CRC-32. Block: length and
CRC-32 of what follows, then records compressed together; each is three lengths, topic, key and
value. The poll's own record is a block of its own. The count in the header is what makes a
file that ends exactly between two blocks a torn one.

Compressed because the disk is waited for: a whole venue's poll of 4.8 MB becomes 1 MB, and an
outage of the broker five times as long fits.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import zstandard

from crypto_pipeline.stream.publish import Outgoing

MAGIC = b"SPOOL\x00\x002"
HEAD = struct.Struct(">8s?II")
FRAME = struct.Struct(">II")
LENGTHS = struct.Struct(">HII")
# What is lost with one damaged byte; fewer records a block compress less well.
BLOCK = 128
# Faster than the disk takes what a better level would leave out.
LEVEL = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """The whole records before the first fault; `fault` is None when there is none."""

    messages: tuple[Outgoing, ...]
    has_final: bool
    expected: int
    fault: str | None


def pack(messages: Sequence[Outgoing], *, has_final: bool, block: int = BLOCK) -> bytes:
    """Lay out one spool file, at most `block` records in a block.

    >>> message = Outgoing(topic="t", key=b"k", value=b"v")
    >>> unpack(pack([message], has_final=True)).messages == (message,)
    True
    >>> unpack(pack([message], has_final=True)[:-1]).fault
    'record 1 of 1 is cut off'
    """
    parts = [_head(len(messages), has_final=has_final)]
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    facts = len(messages) - has_final
    blocks = [messages[n : min(n + block, facts)] for n in range(0, facts, block)]
    for records in [*blocks, messages[facts:]] if has_final else blocks:
        body = compressor.compress(b"".join(map(_record, records)))
        parts += [FRAME.pack(len(body), zlib.crc32(body)), body]
    return b"".join(parts)


def unpack(content: bytes) -> Unpacked:
    """Read up to the first fault; never raises for bytes that are wrong."""
    if len(content) < HEAD.size:
        return Unpacked(messages=(), has_final=False, expected=0, fault="the header is cut off")
    _, has_final, count, _ = HEAD.unpack_from(content)
    if content[: HEAD.size] != _head(count, has_final=has_final):
        return Unpacked(messages=(), has_final=False, expected=0, fault="the header is damaged")
    messages: list[Outgoing] = []
    place, fault = HEAD.size, None
    while len(messages) < count and fault is None:
        body, place, fault = _block(content, place)
        messages += _messages(body)
    if fault is not None:
        fault = f"record {len(messages) + 1} of {count} {fault}"
    elif place != len(content):
        fault = f"{len(content) - place} bytes follow the last record"
    return Unpacked(
        messages=tuple(messages),
        has_final=has_final and 0 < count == len(messages),
        expected=count,
        fault=fault,
    )


def promised(start: bytes) -> int:
    """How many records a file's first bytes promise; 0 where they are no header."""
    if len(start) < HEAD.size:
        return 0
    _, has_final, count, _ = HEAD.unpack_from(start)
    return count if start[: HEAD.size] == _head(count, has_final=has_final) else 0


def _head(count: int, *, has_final: bool) -> bytes:
    """The checksum is over the header with a zero in the checksum's own place."""
    blank = HEAD.pack(MAGIC, has_final, count, 0)
    return HEAD.pack(MAGIC, has_final, count, zlib.crc32(blank))


def _block(content: bytes, place: int) -> tuple[bytes, int, str | None]:
    """The records' bytes of the block at `place`, none when it has a fault, and the next place."""
    if place + FRAME.size > len(content):
        return b"", place, "is cut off"
    length, checksum = FRAME.unpack_from(content, place)
    begin = place + FRAME.size
    body = content[begin : begin + length]
    if len(body) < length:
        return b"", place, "is cut off"
    # A tail of zeros looks like blocks of no bytes, whose checksum is zero too.
    if not body or zlib.crc32(body) != checksum:
        return b"", place, "has a wrong checksum"
    return zstandard.ZstdDecompressor().decompress(body), begin + length, None


def _record(message: Outgoing) -> bytes:
    topic = message.topic.encode()
    lengths = LENGTHS.pack(len(topic), len(message.key), len(message.value))
    return b"".join((lengths, topic, message.key, message.value))


def _messages(body: bytes) -> Iterator[Outgoing]:
    place = 0
    while place < len(body):
        topic_length, key_length, value_length = LENGTHS.unpack_from(body, place)
        key_at = place + LENGTHS.size + topic_length
        value_at = key_at + key_length
        end = value_at + value_length
        topic = body[place + LENGTHS.size : key_at].decode()
        yield Outgoing(topic=topic, key=body[key_at:value_at], value=body[value_at:end])
        place = end
