"""Settings of what is kept and of who is told: a group of its own in `Settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crypto_pipeline import setting_values

# Days a layer; 0 keeps for ever. docs/cost.md has the arithmetic.
LAYER_DAYS = {"raw": 30, "bronze": 30, "silver": 90, "gold": 730, "predictions": 90}
DAGSTER_DAYS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Days that things are kept, by layer, and Dagster's own; seconds of a bite.

    Without `raw_vacuum` data files of raw stay for ever, as in a bucket where nobody may delete
    them (docs/aws.md).
    """

    layer_days: Mapping[str, int]
    raw_vacuum: bool
    dagster_days: int
    bite_seconds: float

    def environment(self) -> dict[str, str]:
        return {
            **{f"{layer.upper()}_RETENTION_DAYS": str(n) for layer, n in self.layer_days.items()},
            "RAW_VACUUM": "yes" if self.raw_vacuum else "no",
            "DAGSTER_RETENTION_DAYS": str(self.dagster_days),
            "MAINTENANCE_BITE_SECONDS": str(self.bite_seconds),
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
    )
