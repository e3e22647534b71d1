"""Rows of any table by minutes and partition, cut from chunks of a day that are kept a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from crypto_pipeline.gold.schema import CANDLES_1M, MARKET_SUMMARY, VOLATILITY
from crypto_pipeline.predictions.schema import FORECASTS
from crypto_pipeline.raw.schema import RECORDS
from crypto_pipeline_tests.fabricated import measured_rows
from crypto_pipeline_tests.fabricated.facts import Chunk
from crypto_pipeline_tests.fabricated.history import History

CHUNK = 1_440
# A file of a day reaches over two chunks.
KEPT = 2
MEASURED: dict[str, Callable[[Chunk], pa.Table]] = {
    CANDLES_1M.key: measured_rows.candles,
    VOLATILITY.key: measured_rows.volatility,
    FORECASTS.key: measured_rows.forecasts,
}


class Rows:
    """Asked in the order of time, each chunk is made once."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._chunks: OrderedDict[int, Chunk] = OrderedDict()
        self._made: dict[tuple[int, str, str], pa.Table] = {}

    def of(self, key: str, topic: str, first: int, last: int) -> pa.Table:
        """Rows of the batches [first, last]; of raw those of one topic."""
        if key == MARKET_SUMMARY.key:
            return measured_rows.summary(Chunk(self.history, last, last + 1))
        numbers = range(first // CHUNK, last // CHUNK + 1)
        return pa.concat_tables(
            [_cut(self._table(number, key, topic), first, last) for number in numbers]
        )

    def _table(self, number: int, key: str, topic: str) -> pa.Table:
        place = (number, key, topic)
        if place not in self._made:
            chunk = self._chunk(number)
            if key == RECORDS.key:
                self._made[place] = chunk.raw(topic)
            elif key in MEASURED:
                self._made[place] = MEASURED[key](chunk)
            else:
                self._made[place] = chunk.of(key)
        return self._made[place]

    def _chunk(self, number: int) -> Chunk:
        if number not in self._chunks:
            first = max(1, number * CHUNK)
            until = min(self.history.minutes + 1, (number + 1) * CHUNK)
            self._chunks[number] = Chunk(self.history, first, until)
            while len(self._chunks) > KEPT:
                old, _ = self._chunks.popitem(last=False)
                self._made = {p: made for p, made in self._made.items() if p[0] != old}
        return self._chunks[number]


def _cut(rows: pa.Table, first: int, last: int) -> pa.Table:
    """Rows are in the order of their batches."""
    batches = rows.column("batch").to_numpy()
    begin, end = np.searchsorted(batches, [first, last + 1])
    return rows.slice(begin, end - begin)
