"""An object store that harms a part of all requests, and kills a victim at a table's log entry."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from dataclasses import dataclass

from crypto_pipeline_tests.crash.seams import Seam
from crypto_pipeline_tests.store.proxy import Fault, Proxy, Request

# Of a thousand requests so many: the answer is dropped, 503 is said, the answer is late.
HARMED: dict[Fault, int] = {"drop": 10, "unavailable": 20, "slow": 2}


@dataclass
class FaultyStore:
    """Decides for the proxy; `is_faulty` can be turned off to look at what is there."""

    proxy: Proxy
    dice: random.Random
    is_faulty: bool = True
    _cut: tuple[Seam, int] | None = None
    _has_cut: bool = False

    def __post_init__(self) -> None:
        self.proxy.decide = self._decide

    @property
    def behind(self) -> str:
        """The store itself. deltalake holds Python's lock while it reads a log, so the proxy of
        a process could not answer that process.
        """
        return f"http://127.0.0.1:{self.proxy.upstream}"

    def cut_at(self, seam: Seam | None, victim: int) -> None:
        """Kill the victim when the log entry of the seam's table comes, or once it is there."""
        assert seam is not None
        self._cut, self._has_cut = (seam, victim), False

    def end_cut(self) -> bool:
        """From here on nobody is killed; whether the victim was, at its seam."""
        self._cut = None
        return self._has_cut

    def _decide(self, request: Request) -> Fault:
        if self._cut is not None and request.is_log_entry:
            seam, victim = self._cut
            if f"/{seam.table}/_delta_log/" in request.path:
                self._cut = None
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    self._has_cut = True
                return "lose" if seam.moment == "written" else "drop"
        if not self.is_faulty:
            return "pass"
        weights = [1000 - sum(HARMED.values()), *HARMED.values()]
        return self.dice.choices(["pass", *HARMED], weights)[0]  # type: ignore[return-value]

    def harmed(self) -> dict[str, int]:
        """Requests that were harmed since the last call, by the harm."""
        return {name: self.proxy.seen.pop(name, 0) for name in (*HARMED, "lose")}
