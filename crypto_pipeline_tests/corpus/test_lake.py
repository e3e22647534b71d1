"""From a venue's body to silver: every number is the venue's own, to the last digit."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, seed, settings

from crypto_pipeline.contract.candle import Candle
from crypto_pipeline.contract.tick import Tick
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import Settings
from crypto_pipeline.stages import BRONZE, RAW, SILVER
from crypto_pipeline_tests import proof
from crypto_pipeline_tests.corpus import asking, books, minutes, mutations, reading
from crypto_pipeline_tests.corpus.bodies import Body
from crypto_pipeline_tests.corpus.reading import Absent, at, load
from crypto_pipeline_tests.corpus.test_mutated import KINDS, corpus, names_of
from crypto_pipeline_tests.topics import send

pytestmark = [pytest.mark.spark, pytest.mark.integration]


def drawn(venue: str, kind: str, claim: proof.Proof) -> list[Body]:
    """The corpus undamaged, a row a body, then so many damaged bodies."""
    rows = corpus(venue, kind)
    found = [Body(venue, kind, [row]) for row in rows]

    @seed(claim.seed)
    @settings(
        max_examples=claim.count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutations.bodies(venue, kind, rows))
    def draw(body: Body) -> None:
        found.append(body)

    draw()
    return found


def facts_of(body: Body, source: str) -> list[Tick | Candle]:
    """What is published of a body, as if it came from a source of its own."""
    venue, origin = asking.silent(body.venue), asking.origin(body.venue)
    if body.kind == "snapshot":
        symbols = list(names_of(body.venue).values())
        facts: Iterable[Tick | Candle] = venue.parse_snapshot(
            body.text(), origin=origin, symbols=symbols
        )[0]
    else:
        facts = venue.parse_candles(
            body.text(),
            origin=origin,
            symbol="BTC-USDT",
            finished_by=books.far(),
            is_backfill=False,
        )[0]
    return [msgspec.structs.replace(one, market="simulated", source=source) for one in facts]


def numbers_of(row: dict[str, Any]) -> dict[str, Decimal]:
    """The numbers that the venue's own text in a row of silver holds, by field."""
    venue, is_candle = row["venue"], "open_at" in row
    text = row["record"]
    if venue == "kraken" and not is_candle:
        (own,) = load(f"{{{text}}}").values()
    else:
        own = load(text)
    if is_candle:
        given = minutes.fields(venue, own)
        given.pop("trades", None)
    else:
        given = {field: at(own, path) for field, path in reading.NUMBERS[venue].items()}
    held = {field: Decimal(v) for field, v in given.items() if v is not None and v is not Absent}
    return {k: v for k, v in held.items() if v or k not in books.OF_VENUE}


def decimals_of(row: dict[str, Any]) -> dict[str, Decimal]:
    return {name: value for name, value in row.items() if isinstance(value, Decimal)}


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_every_number_in_silver_is_the_venues_own(runner: StageRunner, servers: Settings) -> None:
    claim = proof.begin("corpus-in-silver", reduced=30, full=2000)
    facts: dict[str, Tick | Candle] = {}
    for venue, kind in KINDS:
        for n, body in enumerate(drawn(venue, kind, claim)):
            found = facts_of(body, f"simulator:{venue}:{kind}-{n}")
            facts |= {one.id: one for one in found}
    send(servers, *facts.values())
    runs = [runner.run(stage) for stage in (RAW, BRONZE, SILVER)]
    assert runs[0].rows_in == len(facts)
    assert runs[1].outcomes.get("rejected", 0) == 0
    silver = [
        row
        for key in ("silver/ticks", "silver/candles")
        for row in DeltaTable(f"{runner.lake.root}/{key}").to_pyarrow_table().to_pylist()
    ]
    assert sorted(row["id"] for row in silver) == sorted(facts)
    checked = 0
    for row in silver:
        assert row["record"] == facts[row["id"]].record
        expected = numbers_of(row)
        assert decimals_of(row) == expected, row["record"]
        checked += len(expected)
    assert {(row["venue"], "open_at" in row) for row in silver} == {
        (venue, kind == "candles") for venue, kind in KINDS
    }
    claim.record(facts=len(facts), numbers=checked)
