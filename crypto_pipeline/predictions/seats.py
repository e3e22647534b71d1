"""Who may speak at each horizon and serve, from the commits of the gate and of the training.

The commits carry what the tables' rows say, and reading them takes no Spark job: two tables in
each minute's plan cost twice the forecasts themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crypto_pipeline.predictions.fit import Fit, fit_of
from crypto_pipeline.predictions.gate import FIRST_BASELINE, GREATEST_AGE
from crypto_pipeline.predictions.recipe import LIVE_FORMULAS
from crypto_pipeline.predictions.schema import HORIZONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One horizon: who serves by the decision that holds, and the fits in place, by model."""

    horizon_minutes: int
    chosen: str
    baseline: str
    version: str | None
    fits: Mapping[str, Fit]

    @property
    def order(self) -> tuple[str, ...]:
        """The first of these that speaks is served: the chosen one, the best baseline, formulas."""
        return tuple(dict.fromkeys((self.chosen, self.baseline, *LIVE_FORMULAS)))

    @property
    def is_fitted(self) -> bool:
        return self.chosen not in LIVE_FORMULAS

    def speaks_of(self, model: str) -> tuple[datetime, datetime] | None:
        """The first and last origin that a model's fit speaks of; None without a fit.

        An origin before the end of its training is one that it has seen the outcome of.
        """
        fit = self.fits.get(model)
        return None if fit is None else (fit.trained_through, fit.trained_through + GREATEST_AGE)


Ranges = Mapping[str, Any] | None


def seats(gates: Ranges, models: Ranges) -> tuple[Seat, ...]:
    """A seat for each horizon; `gates` and `models` are the ranges of those tables' last commits.

    What was put in place by hand goes before the newest fit.
    """
    verdicts = {one["horizon_minutes"]: one for one in (gates or {}).get("verdicts", ())}
    training = (gates or {}).get("pinned") or models or {}
    fits = [fit_of(value) for value in training.get("fits", ())]
    return tuple(
        _seat(
            horizon,
            verdicts.get(horizon, {}),
            version=training.get("model_version"),
            fits={fit.model: fit for fit in fits if fit.horizon_minutes == horizon},
        )
        for horizon in HORIZONS
    )


def _seat(
    horizon: int, verdict: Mapping[str, Any], *, version: str | None, fits: Mapping[str, Fit]
) -> Seat:
    baseline = verdict.get("baseline") or FIRST_BASELINE
    return Seat(
        horizon_minutes=horizon,
        chosen=verdict.get("champion") or baseline,
        baseline=baseline,
        version=version,
        fits=fits,
    )
