"""Which market is asked for, or which one the running stack has settled on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from crypto_pipeline.errors import SettingsError

MarketSetting = Literal["auto", "live", "simulated", "recorded"]


def current_file(state_dir: Path) -> Path:
    """Where the running stack writes the market that it settled on."""
    return state_dir / "current.json"


def decided(values: Mapping[str, str], state_dir: Path) -> MarketSetting:
    text = values.get("MARKET", "auto").lower()
    if text == "auto" and current_file(state_dir).exists():
        text = str(json.loads(current_file(state_dir).read_text()).get("market", "auto"))
    for accepted in get_args(MarketSetting):
        if text == accepted:
            return accepted  # type: ignore[no-any-return]
    raise SettingsError(f"MARKET is {text!r}. Accepted: {', '.join(get_args(MarketSetting))}.")
