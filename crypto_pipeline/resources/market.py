"""The market as Dagster sees it: one call polls and publishes a minute."""

from __future__ import annotations

from contextlib import ExitStack

import dagster as dg

from crypto_pipeline import settings as settings_module
from crypto_pipeline.observed.ledger import Tally
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.market import market_clock
from crypto_pipeline.source.venues import reference_for, venues_for
from crypto_pipeline.stream.ingest import IngestReport
from crypto_pipeline.stream.ingest import ingest as ingest_with
from crypto_pipeline.stream.publish import Publisher
from crypto_pipeline.stream.spool import Spool
from crypto_pipeline.stream.spool_report import report_spool
from crypto_pipeline.stream.topics import open_ready_producer


class MarketIngest(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Settings come at run time, so a code location that stays loaded follows `.env`."""

    def ingest(self) -> IngestReport:
        return ingest(settings_module.load())


def ingest(settings: Settings) -> IngestReport:
    """History if the source has none yet, and the current minute, with real gateways."""
    tally = Tally.open(settings)
    (venue, *others), clock = venues_for(settings, tally=tally), market_clock(settings)
    with (
        ExitStack() as ending,
        Spool.open(settings) as spool,
        Publisher(settings, connect=open_ready_producer) as publisher,
    ):
        ending.callback(tally.save)
        report = ingest_with(
            settings,
            venue=venue,
            others=others,
            reference=reference_for(settings, tally=tally),
            clock=clock,
            publisher=publisher,
            spool=spool,
            tally=tally,
        )
        report_spool(settings, spool, publisher)
        return report
