"""What a venue trades, kept between processes: its full list is megabytes and changes seldom."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from crypto_pipeline.settings import SYMBOL_FORM
from crypto_pipeline.source.budget import read_state
from crypto_pipeline.source.clock import Clock, SystemClock

# A new pair is seen within this time; until then its rows are rejected, verbatim.
KEPT = timedelta(hours=1)


class Listing:
    """`BASE-QUOTE` in order. Names of another form have no place in a key and are left out."""

    def __init__(self, file: Path | None = None, *, clock: Clock | None = None) -> None:
        self._file = file
        self._clock = clock or SystemClock()

    def symbols(self, ask: Callable[[], frozenset[str]]) -> tuple[str, ...]:
        """From the file while it is fresh, else asked for and kept; `ask` may raise MarketError."""
        kept = self._read()
        if kept is not None:
            return kept
        found = tuple(sorted(name for name in ask() if SYMBOL_FORM.fullmatch(name)))
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_suffix(".tmp")
            content = {"at": self._clock.now().isoformat(), "symbols": found}
            temporary.write_text(json.dumps(content))
            temporary.replace(self._file)
        return found

    def _read(self) -> tuple[str, ...] | None:
        content = {} if self._file is None else read_state(self._file)
        try:
            is_fresh = self._clock.now() - datetime.fromisoformat(content["at"]) < KEPT
            return tuple(content["symbols"]) if is_fresh else None
        except (KeyError, TypeError, ValueError):
            return None
