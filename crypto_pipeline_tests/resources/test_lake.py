"""What a stage's run gives Dagster when the books do not balance, and when a source is held."""

from __future__ import annotations

from types import SimpleNamespace

import dagster as dg
import pytest

from crypto_pipeline.errors import BooksError
from crypto_pipeline.holding.checks import no_source_is_held
from crypto_pipeline.raw.asset import raw_stage
from crypto_pipeline.resources import lake as resource
from crypto_pipeline.resources.lake import BOOKS_CHECK, LakeResource
from crypto_pipeline.stage import Stage
from crypto_pipeline_tests.builders import SOURCE
from crypto_pipeline_tests.resources.minutes import minute_of

WORDS = "3 rows in, 2 accounted for. Nothing was written."


def ran(monkeypatch: pytest.MonkeyPatch, run: object) -> dg.ExecuteInProcessResult:
    closed: list[bool] = []
    pipeline = SimpleNamespace(run=run, close=lambda: closed.append(True))
    monkeypatch.setattr(resource, "open_pipeline", lambda _: pipeline)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [raw_stage],
            resources={"lake": LakeResource()},
            instance=instance,
            raise_on_error=False,
        )
    assert closed == [True], "the session stays open"
    return done


def test_books_that_do_not_balance_fail_a_blocking_check_and_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unbalanced(_: Stage) -> None:
        raise BooksError(WORDS)

    done = ran(monkeypatch, unbalanced)
    assert not done.success
    assert done.get_asset_materialization_events() == []
    (check,) = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.description) == (BOOKS_CHECK, False, WORDS)
    assert check.severity is dg.AssetCheckSeverity.ERROR
    (spec,) = (one for one in raw_stage.check_specs if one.name == BOOKS_CHECK)
    assert spec.blocking


def test_books_that_balance_pass_it_with_the_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    done = ran(monkeypatch, minute_of)
    assert done.success
    passed = {check.check_name: check.passed for check in done.get_asset_check_evaluations()}
    assert passed == {BOOKS_CHECK: True, "no_record_lost": True}


@pytest.mark.parametrize(("held", "passed"), [({}, True), ({SOURCE: 7}, False)])
def test_a_held_source_is_a_warning_that_names_it(
    monkeypatch: pytest.MonkeyPatch, held: dict[str, int], passed: bool
) -> None:
    monkeypatch.setattr(LakeResource, "held", lambda _: held)
    found = no_source_is_held(lake=LakeResource())
    assert isinstance(found, dg.AssetCheckResult)
    assert (found.passed, found.severity) == (passed, dg.AssetCheckSeverity.WARN)
    assert found.description is not None
    assert (SOURCE if held else "none") in found.description
    assert found.metadata["held_since_batch"].value == held
