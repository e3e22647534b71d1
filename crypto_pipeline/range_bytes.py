"""What the records of a range weigh: their rows, their bytes, and a cut when they are too heavy.

Raw writes the mean length of each topic's records into its range; later stages add up those.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

# A range may hold so many times a bite's bytes, or a mean that is a little off would cut it anew.
LOOSE = 1.25
# Before a topic has been read once, its records are taken to be this long.
FIRST_GUESS_BYTES = 1_000


def cut_to_bytes(ranges: Mapping[str, Any], *, most: int) -> dict[str, Any] | None:
    """A range of weighed records cut to so many bytes, the same share of every partition.

    None when it is light enough, or has nothing more to cut: each partition gives one record.
    """
    weight = bytes_of(ranges)
    if weight <= LOOSE * most:
        return None
    share, kafka = most / weight, ranges["kafka"]
    topics = {
        name: {
            **topic,
            "partitions": {
                number: [start, shared(start, end, share)]
                for number, (start, end) in topic["partitions"].items()
            },
        }
        for name, topic in kafka["topics"].items()
    }
    shorter = {**ranges, "kafka": {**kafka, "topics": topics}}
    spared = topic_rows(ranges) - topic_rows(shorter)
    if spared == 0:
        return None
    shorter["kafka"]["left"] = kafka["left"] + spared
    return shorter


def shared(start: int, end: int, share: float) -> int:
    """Where a part of a partition's range ends; rounded up, so that each gives a record."""
    return start + ceil((end - start) * share)


def topic_rows(ranges: Mapping[str, Any]) -> int:
    """Rows of a range of offsets; true for topics that are never compacted."""
    return sum(_rows(topic) for topic in ranges["kafka"]["topics"].values())


def _rows(topic: Mapping[str, Any]) -> int:
    return sum(int(end) - int(start) for start, end in topic["partitions"].values())


def bytes_of(ranges: Mapping[str, Any]) -> int:
    """Bytes of the records that a range is of, as raw has weighed or guessed them; 0 if unknown."""
    if "kafka" not in ranges:
        return int(ranges.get("batches", {}).get("bytes", 0))
    return round(sum(mean_bytes(t) * _rows(t) for t in ranges["kafka"]["topics"].values()))


def note_sizes(ranges: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Write the bytes a record of each topic had into its range, for the cut of the next one."""
    for name, topic in ranges["kafka"]["topics"].items():
        rows = _rows(topic)
        if rows:
            topic["mean_bytes"] = round(sizes.get(name, 0) / rows, 1)


def mean_bytes(topic: Mapping[str, Any] | None) -> float:
    """Bytes a record of the topic's last range that had any, as its commit says."""
    return FIRST_GUESS_BYTES if topic is None else float(topic.get("mean_bytes", FIRST_GUESS_BYTES))
