"""The terms of `recipe` as columns of gold/volatility, and what a fit says of a row.

The same as `inputs.measures` and `recipe.design` in numpy, which a test holds them to.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.gold.volatility import MINUTES_A_DAY, MINUTES_A_YEAR
from crypto_pipeline.predictions.fit import Fit
from crypto_pipeline.predictions.inputs import MEAN_RANGE_SQUARED, MEASURES, SPREAD, SQUARED
from crypto_pipeline.predictions.recipe import (
    FLOOR_SHARE,
    GREATEST_LOG,
    LEAST,
    STAND_INS,
    TIME_TERMS,
)

if TYPE_CHECKING:
    from pyspark.sql import Column

MINUTES = {
    "variance_5m": 5,
    "variance_15m": 15,
    "variance_60m": 60,
    "variance_24h": MINUTES_A_DAY,
}
RETURNS = dict(zip(SQUARED, ("return_1m", "return_5m", "return_1h", "return_24h"), strict=True))
ANNUALISED = ("ewma", "parkinson_1h", "garman_klass_1h")


def measures() -> dict[str, Column]:
    """Each measure as a variance a minute; null where gold has null."""
    close = F.col("close").cast("double")
    columns = {name: F.col(name) / minutes for name, minutes in MINUTES.items()}
    columns |= {name: F.col(name) * F.col(name) / MINUTES_A_YEAR for name in ANNUALISED}
    columns |= {name: F.col(of) * F.col(of) / SQUARED[name] for name, of in RETURNS.items()}
    width, range_14 = F.col("bollinger_width") / 4, F.col("atr_14") / close
    columns["spread_20m"] = width * width / SPREAD
    columns["true_range_14m"] = range_14 * range_14 / MEAN_RANGE_SQUARED
    return {name: columns[name] for name in MEASURES}


def terms() -> dict[str, Column]:
    """The terms but the intercept as `term_NAME`, of a row with the measures under their names.

    A row without an average has null in all of them.
    """
    is_known = F.col("ewma").isNotNull()
    floor = F.greatest(F.lit(FLOOR_SHARE) * stood_in("variance_24h"), F.lit(LEAST))
    logs = {name: F.when(is_known, F.log(F.greatest(stood_in(name), floor))) for name in MEASURES}
    angle = 2 * math.pi / MINUTES_A_DAY * ((minute() + 1) % MINUTES_A_DAY)
    waves = (F.sin(angle), F.cos(angle), F.sin(2 * angle), F.cos(2 * angle))
    return {
        _place(name): term
        for name, term in (logs | dict(zip(TIME_TERMS, waves, strict=True))).items()
    }


def _place(term: str) -> str:
    return f"term_{term}"


def minute() -> Column:
    """Minutes since 1970 of `minute_at`."""
    return (F.col("minute_at").cast("long") / 60).cast("long")


def stood_in(name: str) -> Column:
    """A measure, or where it is missing the first stand-in that is not."""
    return F.coalesce(name, *STAND_INS[name])


def predicted_variance(fit: Fit) -> Column:
    """Variance over the fit's horizon, from a row that has the columns of `terms`."""
    level = F.lit(fit.by_term["intercept"])
    for name, weight in fit.by_term.items():
        if weight and name != "intercept":
            level = level + F.lit(weight) * F.col(_place(name))
    # `least` passes over a null, which must stay one.
    return F.exp(F.when(level > GREATEST_LOG, GREATEST_LOG).otherwise(level)) * fit.horizon_minutes
