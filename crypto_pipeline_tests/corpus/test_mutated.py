"""Damaged bodies, recorded and simulated: rows in = facts + rejected, and never an exception."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from crypto_pipeline_tests import proof
from crypto_pipeline_tests.corpus import asking, bodies, books, exchanges, mutations, reading
from crypto_pipeline_tests.corpus.bodies import Body
from crypto_pipeline_tests.corpus.reading import load

KINDS = [
    *((venue, "snapshot") for venue in bodies.SNAPSHOTS),
    *((venue, "candles") for venue in bodies.CANDLES),
]


def corpus(venue: str, kind: str) -> list[tuple[str, Any]]:
    """Rows of the simulator, and the recorded ones where they are beside this checkout."""
    rows = [*bodies.simulated(venue, kind)]
    for one in exchanges.recorded() if kind == "snapshot" else []:
        if one.venues != (venue,) or one.status != 200:
            continue
        content = load(one.body)
        found = content if isinstance(content, list) else [content]
        rows += [("BTC-USDT", row) for row in found if _is_ticker(venue, row)]
    return rows


def names_of(venue: str) -> dict[str, str]:
    """All that is asked for: the symbols of the simulator and of the recordings."""
    names = bodies.names_of(venue)
    if venue == "binance":
        return {**exchanges.binance_names(), **names}
    if venue == "coingecko":
        names |= {name[: name.index("-")].lower(): name for name in exchanges.SYMBOLS[venue]}
    return names


def _is_ticker(venue: str, row: Any) -> bool:
    return reading.at(row, reading.NUMBERS[venue]["price"]) is not reading.Absent


def parse_and_check(body: Body, cut: int | None) -> tuple[int, int]:
    """Facts and rejected rows of a body, all of them checked; `cut` is where it breaks off."""
    text = body.text()[:cut].encode().decode()
    venue, source = asking.silent(body.venue), asking.origin(body.venue)
    names, rows = names_of(body.venue), body.read(cut)
    if body.kind == "snapshot":
        symbols = list(names.values())
        ticks, rejected = venue.parse_snapshot(text, origin=source, symbols=symbols)
        facts: int = len(ticks)
    else:
        candles, rejected = venue.parse_candles(
            text, origin=source, symbol="BTC-USDT", finished_by=books.far(), is_backfill=False
        )
        facts = len(candles)
    assert facts + len(rejected) == len(rows) + (cut is not None)
    if cut is not None:
        assert rejected[-1].reason == "not_json"
        assert text.endswith(rejected[-1].body)
    whole = rejected[: len(rejected) - (cut is not None)]
    if body.kind == "snapshot":
        books.check_ticks(body.venue, rows, ticks, whole, names)
    else:
        books.check_candles(body.venue, rows, candles, whole)
    for row in rejected:
        books.message_of(row)
    return facts, len(rejected)


@pytest.mark.prove
@pytest.mark.parametrize(("venue", "kind"), KINDS)
def test_damaged_body(venue: str, kind: str) -> None:
    claim = proof.begin(f"corpus-{venue}-{kind}", reduced=30, full=2000)
    rows = corpus(venue, kind)
    totals = {"bodies": 0, "facts": 0, "rejected": 0, "cut": 0}

    @seed(claim.seed)
    @settings(
        max_examples=claim.count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutations.bodies(venue, kind, rows), st.none() | st.floats(0, 1, exclude_max=True))
    def check(body: Body, share: float | None) -> None:
        cut = None if share is None else int(len(body.text()) * share)
        facts, rejected = parse_and_check(body, cut)
        totals["bodies"] += 1
        totals["facts"] += facts
        totals["rejected"] += rejected
        totals["cut"] += cut is not None

    check()
    assert totals["bodies"] >= claim.count
    assert min(totals.values()) > 0
    claim.record(**totals, corpus_rows=len(rows))


@pytest.mark.parametrize(("venue", "kind"), KINDS)
def test_undamaged_body(venue: str, kind: str) -> None:
    """The corpus itself is whole, so a reading that refuses everything would be seen."""
    rows = bodies.simulated(venue, kind)
    facts, rejected = parse_and_check(Body(venue, kind, [*rows]), None)
    assert (facts, rejected) == (len(rows), 0)
