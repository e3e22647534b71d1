"""The short profile: the real stack, a fault of several classes each, a fresh seed every time.

Faults come while the first cycle still goes; what they did is judged once, at the end. The full
profile is `make chaos`; what it found is in docs/reliability.
"""

from __future__ import annotations

import random
from contextlib import ExitStack

import pytest

from crypto_pipeline.contract.topic import TOPICS
from crypto_pipeline.embedded import jars
from crypto_pipeline_tests.chaos.campaign import Campaign, close, open_campaign
from crypto_pipeline_tests.chaos.checker import check
from crypto_pipeline_tests.chaos.kinds import BY_NAME, Kind
from crypto_pipeline_tests.chaos.schedule import faults_at
from crypto_pipeline_tests.conftest import ROOT, missing
from crypto_pipeline_tests.proof import fresh_seed
from crypto_pipeline_tests.short_lived import short_lived
from crypto_pipeline_tests.waiting import wait_until

# One of each of some lines, none of which makes Spark start cold a second time.
CHOICES = (
    ("venue 429", "venue 503", "venue cut_body", "venue nulls", "venue drift", "venue not_json"),
    ("wire http cut", "wire http reset", "wire http hold"),
    ("wire kafka reset", "wire kafka cut", "pause broker", "kill broker"),
    tuple(f"poison {topic.name}" for topic in TOPICS),
    ("records repeated", "records drifted", "records late"),
    ("kill simulator", "clock forward", "pause simulator"),
    ("kill dagster-daemon", "stop dagster-daemon", "kill dashboard", "kill metrics"),
)
LINES = 5

# The minute's schedule brings it, however cold all is.
FIRST_POLL_SECONDS = 150


def chosen(seed: int) -> list[Kind]:
    dice = random.Random(seed)
    return [BY_NAME[dice.choice(names)] for names in dice.sample(CHOICES, LINES)]


def has_polled(campaign: Campaign) -> bool:
    campaign.beat()
    return bool(campaign.recorder.recent("tick"))


@pytest.mark.spark
@pytest.mark.integration
@pytest.mark.timeout(1800)
def test_what_is_harmed_heals_and_nothing_is_lost_or_doubled_or_shown() -> None:
    if jars.missing(jars.read_lock(), ROOT / "build"):
        missing("the jars of the broker and of Spark are not here: `make test` with a network")
    seed = fresh_seed()
    print(f"chaos: seed {seed}")  # noqa: T201 - a failure must be reproducible
    kinds = chosen(seed)
    with ExitStack() as held:
        held.enter_context(short_lived())
        campaign = open_campaign(held)
        campaign.start()
        wait_until(lambda: has_polled(campaign), seconds=FIRST_POLL_SECONDS)
        for index, kind in enumerate(kinds):
            (fault, *_) = faults_at(seed, index, [kind])
            healed = campaign.go_through(index, [fault], to_forecast=False)
            assert healed.is_in_time, healed
            assert healed.hit == {fault.name: True}, healed
        verdict = check(campaign.stack, campaign.recorder, campaign.beat)
        verdict.shown = close(campaign)
    print(verdict)  # noqa: T201
    assert verdict.holds, verdict
    assert verdict.facts["ticks in silver"] > 0
    assert verdict.facts["rows received"] > 0
    assert verdict.facts["acknowledged"] == verdict.records
