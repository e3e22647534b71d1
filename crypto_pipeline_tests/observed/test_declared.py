"""The declared metrics: their names, the bounds of their labels, and the table in the docs."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from crypto_pipeline.contract.poll import Outcome
from crypto_pipeline.observed.declared import DASHBOARD, DECLARED, INGESTION, SIMULATOR
from crypto_pipeline.observed.labels import REASONS, VENUES
from crypto_pipeline.observed.metric import OTHER, Metric
from crypto_pipeline.observed.poll_metrics import POLLS
from crypto_pipeline.simulator.server import DIALECTS
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.observed.documented import label_rows, row, rows

EVERY = (*INGESTION, *SIMULATOR, *DASHBOARD)
REASON = re.compile(r"""(?:RowError|\breject)\(\s*["']([a-z_]+)["']""")


@pytest.mark.parametrize("process", DECLARED)
def test_the_documented_table_is_what_is_declared(process: str) -> None:
    assert rows()[process] == [row(metric) for metric in DECLARED[process]]


def test_the_document_lists_no_other_process_and_every_value_of_a_label() -> None:
    assert set(rows()) == set(DECLARED)
    values: dict[str, list[str]] = {}
    for metric in EVERY:
        for name, accepted in metric.labels.items():
            known = values.setdefault(name, [])
            known += [value for value in accepted if value not in known]
    assert label_rows() == {name: ", ".join(known) for name, known in values.items()}


def test_names_are_unique_and_end_in_what_they_count() -> None:
    names = [metric.name for metric in EVERY]
    assert len(names) == len(set(names))
    for metric in EVERY:
        assert re.fullmatch(r"crypto_pipeline(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert metric.help.endswith(".")


def test_no_label_can_grow_with_the_market() -> None:
    assert not {"symbol", "url", "path", "message"} & {n for m in EVERY for n in m.labels}
    # A histogram has a line a bucket, and +Inf, the count and the sum.
    lines = {m.name: m.most_series * (len(m.buckets) + 3 if m.buckets else 1) for m in EVERY}
    assert sum(lines.values()) < 1_500


def test_a_value_that_is_not_declared_is_other() -> None:
    assert POLLS.bounded(("binance", "minute", "ok")) == ("binance", "minute", "ok")
    assert POLLS.bounded(("mtgox", "minute", "BTC-USDT")) == (OTHER, "minute", OTHER)
    with pytest.raises(ValueError, match="has the labels"):
        POLLS.bounded(("binance",))


def test_what_the_code_says_is_declared() -> None:
    """A reason that a parser gives and nobody declared would be counted as `other`."""
    sources = (ROOT / "crypto_pipeline" / "source").glob("*.py")
    said = {reason for file in sources for reason in REASON.findall(file.read_text())}
    assert said == set(REASONS)
    assert {dialect.name for dialect in DIALECTS} == set(VENUES)
    assert POLLS.labels["outcome"] == get_args(Outcome)


def test_a_metric_without_labels_has_one_series() -> None:
    assert Metric(name="a_total", kind="counter", help="A.").most_series == 1
