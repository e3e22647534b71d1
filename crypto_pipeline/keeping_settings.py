"""Settings of what is kept and of who is told: a group of its own in `Settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crypto_pipeline import setting_values

# Days a layer; 0 keeps for ever. docs/cost.md has the arithmetic.
LAYER_DAYS = {"raw": 30, "bronze": 30, "silver": 90, "gold": 730, "predictions": 90}
DAGSTER_DAYS = 1
MODEL_NAME = "crypto_pipeline_volatility"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Days that things are kept, by layer, and Dagster's own; seconds of a bite; where models are.

    Without `raw_vacuum` data files of raw stay for ever, as in a bucket where nobody may delete
    them (docs/aws.md). `model_registry` is an MLflow address; None is a database file beside the
    lake's state.
    """

    layer_days: Mapping[str, int]
    raw_vacuum: bool
    dagster_days: int
    bite_seconds: float
    model_registry: str | None
    model_name: str

    def environment(self) -> dict[str, str]:
        return {
            **{f"{layer.upper()}_RETENTION_DAYS": str(n) for layer, n in self.layer_days.items()},
            "RAW_VACUUM": "yes" if self.raw_vacuum else "no",
            "DAGSTER_RETENTION_DAYS": str(self.dagster_days),
            "MAINTENANCE_BITE_SECONDS": str(self.bite_seconds),
            **({"MODEL_REGISTRY": self.model_registry} if self.model_registry else {}),
            "MODEL_NAME": self.model_name,
        }


def keeping(values: Mapping[str, str]) -> Keeping:
    return Keeping(
        layer_days={
            layer: setting_values.integer(
                values, f"{layer.upper()}_RETENTION_DAYS", days, low=0, high=36_500
            )
            for layer, days in LAYER_DAYS.items()
        },
        raw_vacuum=setting_values.choice(values, "RAW_VACUUM", "yes", ("yes", "no")) == "yes",
        dagster_days=setting_values.integer(
            values, "DAGSTER_RETENTION_DAYS", DAGSTER_DAYS, low=1, high=3650
        ),
        bite_seconds=setting_values.number(
            values, "MAINTENANCE_BITE_SECONDS", 20.0, low=1.0, high=600.0
        ),
        model_registry=values.get("MODEL_REGISTRY"),
        model_name=values.get("MODEL_NAME", MODEL_NAME),
    )
