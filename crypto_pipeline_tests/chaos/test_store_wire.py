"""A stack whose lake is in a bucket comes to it over a wire; the checker looks past it."""

from __future__ import annotations

from pathlib import Path

import pytest

from crypto_pipeline.errors import StoreAwayError
from crypto_pipeline.lake.opening import exists
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.chaos.stack import STORE_WIRE, wired_stack
from crypto_pipeline_tests.short_lived import variables
from crypto_pipeline_tests.store.server import serving


def is_there(settings: Settings) -> bool:
    with variables(settings.store.environment()):
        return exists(settings.lake_root, "gold")


@pytest.mark.integration
def test_a_bucket_is_out_of_reach_over_a_wire_that_resets_and_within_past_it(
    tmp_path: Path,
) -> None:
    with serving() as store, wired_stack(tmp_path, tmp_path / "state", store=store) as stack:
        assert not is_there(stack.settings)
        stack.turn(STORE_WIRE, "reset")
        with pytest.raises(StoreAwayError):
            is_there(stack.settings)
        assert not is_there(stack.direct)
        stack.turn(STORE_WIRE, "pass")
        assert not is_there(stack.settings)
