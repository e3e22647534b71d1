"""The simulated clock: simulated now = start_sim + speed x (real now - start_real).

The mapping is written to a file and read back, so a restarted simulator goes on where real
time has taken it. Another seed, folder or start begins anew; another speed goes on from the
simulated instant reached, because time must not run backwards for those who recorded it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from crypto_pipeline.errors import SettingsError
from crypto_pipeline.simulator.market import MINUTE_MS


def real_now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMapping:
    """Epoch milliseconds UTC, real and simulated, of the same instant, and the speed since."""

    start_real: int
    start_sim: int
    speed: float

    def simulated(self, real_ms: int) -> int:
        return self.start_sim + int(self.speed * (real_ms - self.start_real))


@dataclass(frozen=True, slots=True)
class SimulatedClock:
    mapping: ClockMapping
    real_now: Callable[[], int] = real_now_ms

    def now_ms(self) -> int:
        return self.mapping.simulated(self.real_now())


def resume_clock(
    file: Path,
    identity: dict[str, str],
    *,
    speed: float,
    start_sim: int | None,
    real_now: Callable[[], int] = real_now_ms,
) -> SimulatedClock:
    """Read the saved mapping when `identity` is the same, else start one; save what holds.

    `start_sim` None means real time. A given start keeps the real second of the minute, so
    that minutes change together at speed 1.
    """
    now = real_now()
    saved = _read(file)
    if saved is not None and saved[0] == identity:
        mapping = saved[1]
        if mapping.speed != speed:
            mapping = ClockMapping(start_real=now, start_sim=mapping.simulated(now), speed=speed)
    else:
        begin = now if start_sim is None else start_sim - start_sim % MINUTE_MS + now % MINUTE_MS
        mapping = ClockMapping(start_real=now, start_sim=begin, speed=speed)
    _write(file, {"identity": identity, "mapping": asdict(mapping)})
    return SimulatedClock(mapping, real_now)


def _read(file: Path) -> tuple[dict[str, str], ClockMapping] | None:
    if not file.exists():
        return None
    try:
        saved = json.loads(file.read_text())
        return saved["identity"], ClockMapping(**saved["mapping"])
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"The simulator's saved clock {file} cannot be read ({error}). Delete the file to "
            "start the simulated market anew."
        ) from error


def _write(file: Path, content: dict[str, object]) -> None:
    """Replace the file at once: a kill leaves the old one or the new one, never half of one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    with draft.open("w") as stream:
        json.dump(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
