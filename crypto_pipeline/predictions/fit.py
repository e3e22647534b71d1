"""A fitted model as plain values: what is committed, kept in the registry and served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crypto_pipeline.contract.message import format_time, parse_time
from crypto_pipeline.predictions.recipe import TERMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One model at one horizon: a weight for each of TERMS; times are UTC.

    `band` is the 90 % quantile of |return| over the square root of the forecast variance.
    """

    model: str
    horizon_minutes: int
    weights: tuple[float, ...]
    band: float
    residual_variance: float
    rows: int
    trained_from: datetime
    trained_through: datetime

    @property
    def by_term(self) -> dict[str, float]:
        return dict(zip(TERMS, self.weights, strict=True))


def described(fit: Fit) -> dict[str, Any]:
    """A fit as plain JSON; a term without weight is left out."""
    return {
        "model": fit.model,
        "horizon_minutes": fit.horizon_minutes,
        "weights": {name: weight for name, weight in fit.by_term.items() if weight},
        "band": fit.band,
        "residual_variance": fit.residual_variance,
        "rows": fit.rows,
        "trained_from": format_time(fit.trained_from),
        "trained_through": format_time(fit.trained_through),
    }


def fit_of(value: Mapping[str, Any]) -> Fit:
    """The fit that was described."""
    return Fit(
        model=str(value["model"]),
        horizon_minutes=int(value["horizon_minutes"]),
        weights=tuple(float(value["weights"].get(name, 0.0)) for name in TERMS),
        band=float(value["band"]),
        residual_variance=float(value["residual_variance"]),
        rows=int(value["rows"]),
        trained_from=parse_time(value["trained_from"]),
        trained_through=parse_time(value["trained_through"]),
    )
