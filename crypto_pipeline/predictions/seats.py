"""Who may speak at each horizon and serve, from the commits of the gate and of the training.

The commits carry what the tables' rows say, and reading them takes no Spark job: two tables in
each minute's plan cost twice the forecasts themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crypto_pipeline.predictions import har
from crypto_pipeline.predictions.gate import FIRST_FORMULA, FORMULAS, GREATEST_AGE
from crypto_pipeline.predictions.schema import HORIZONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One horizon: the decision that holds and the fit in place, None when there is none."""

    horizon_minutes: int
    champion: str | None
    baseline: str
    version: str | None
    fit: har.Fit | None

    @property
    def order(self) -> tuple[str, ...]:
        """The first of these that speaks is served: champion, better formula, the other."""
        champion = () if self.champion is None else (self.champion,)
        return tuple(dict.fromkeys((*champion, self.baseline, *FORMULAS)))

    @property
    def fresh_until(self) -> datetime | None:
        """The last origin that the fit speaks of; None without a fit."""
        return None if self.fit is None else self.fit.trained_through + GREATEST_AGE


Ranges = Mapping[str, Any] | None


def seats(gates: Ranges, models: Ranges) -> tuple[Seat, ...]:
    """A seat for each horizon; `gates` and `models` are the ranges of those tables' last commits.

    What was put in place by hand goes before the newest fit.
    """
    verdicts = {one["horizon_minutes"]: one for one in (gates or {}).get("verdicts", ())}
    training = (gates or {}).get("pinned") or models or {}
    fits = {fit.horizon_minutes: fit for fit in map(har.fit_of, training.get("fits", ()))}
    return tuple(
        Seat(
            horizon_minutes=horizon,
            champion=verdicts.get(horizon, {}).get("champion"),
            baseline=verdicts.get(horizon, {}).get("baseline") or FIRST_FORMULA,
            version=training.get("model_version"),
            fit=fits.get(horizon),
        )
        for horizon in HORIZONS
    )
