"""The bytes of a spool file: a header that says how many records, then one frame a record.

Header: magic, whether the last record is the poll's own, count, CRC-32. Frame: length and
CRC-32 of what follows, then topic, key and value. The count in the header is what makes a
file that ends exactly between two frames a torn one.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from crypto_pipeline.stream.publish import Outgoing

MAGIC = b"SPOOL\x00\x001"
HEAD = struct.Struct(">8s?II")
FRAME = struct.Struct(">II")
LENGTHS = struct.Struct(">HI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """The whole records before the first fault; `fault` is None when there is none."""

    messages: tuple[Outgoing, ...]
    has_final: bool
    expected: int
    fault: str | None


def pack(messages: Sequence[Outgoing], *, has_final: bool) -> bytes:
    """Lay out one spool file.

    >>> message = Outgoing(topic="t", key=b"k", value=b"v")
    >>> unpack(pack([message], has_final=True)).messages == (message,)
    True
    >>> unpack(pack([message], has_final=True)[:-1]).fault
    'record 1 of 1 is cut off'
    """
    parts = [_head(len(messages), has_final=has_final)]
    for message in messages:
        topic = message.topic.encode()
        body = LENGTHS.pack(len(topic), len(message.key)) + topic + message.key + message.value
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
        body, place, fault = _frame(content, place)
        if body is not None:
            messages.append(_message(body))
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


def _frame(content: bytes, place: int) -> tuple[bytes | None, int, str | None]:
    if place + FRAME.size > len(content):
        return None, place, "is cut off"
    length, checksum = FRAME.unpack_from(content, place)
    begin = place + FRAME.size
    body = content[begin : begin + length]
    if len(body) < length:
        return None, place, "is cut off"
    # A tail of zeros looks like frames of no bytes, whose checksum is zero too.
    if length < LENGTHS.size or zlib.crc32(body) != checksum:
        return None, place, "has a wrong checksum"
    return body, begin + length, None


def _message(body: bytes) -> Outgoing:
    topic_length, key_length = LENGTHS.unpack_from(body)
    key_at = LENGTHS.size + topic_length
    value_at = key_at + key_length
    return Outgoing(
        topic=body[LENGTHS.size : key_at].decode(),
        key=body[key_at:value_at],
        value=body[value_at:],
    )
