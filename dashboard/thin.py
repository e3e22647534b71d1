"""Fewer points of a line without losing an extreme: the lowest and highest of each stretch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dashboard.points import Floats

POINTS = 2_000


def kept_places(values: Floats, *, limit: int = POINTS) -> NDArray[np.intp]:
    """Places of at most `limit` points: both ends, and each stretch's least and greatest.

    >>> kept_places(np.array([0.0, 9.0, 1.0, -5.0, 2.0, 1.0, 1.0, 1.0]), limit=6).tolist()
    [0, 1, 3, 4, 5, 7]
    """
    count = values.size
    if count <= limit:
        return np.arange(count)
    stretches = limit // 2 - 1
    length = -(-count // stretches)
    padded = np.full(stretches * length, np.nan)
    padded[:count] = values
    rows = padded.reshape(stretches, length)
    starts = np.arange(stretches) * length
    least = starts + np.argmin(np.where(np.isnan(rows), np.inf, rows), axis=1)
    greatest = starts + np.argmax(np.where(np.isnan(rows), -np.inf, rows), axis=1)
    places = np.unique(np.concatenate([[0, count - 1], least, greatest]))
    return places[places < count]
