"""All that a cycle does, as plain calls: stages, training, publications. Knows no Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from crypto_pipeline.errors import RegistryError, SettingsError
from crypto_pipeline.gold.publication import summary_records
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.session import connect, disconnect, lease_epoch
from crypto_pipeline.lake.table import Table
from crypto_pipeline.lake.writer_lock import NAME, WriterLock, take
from crypto_pipeline.migrate.found import refuse_other_formats
from crypto_pipeline.model_registry import Registry, described, metrics, open_registry
from crypto_pipeline.plan import batch_ranges
from crypto_pipeline.predictions.live import Scoring, newest_reports, score, verdicts_of
from crypto_pipeline.predictions.publication import forecast_records
from crypto_pipeline.predictions.schema import FORECASTS, GATES
from crypto_pipeline.predictions.training import Training, train
from crypto_pipeline.publication import Position, Publication, Screen, open_screen
from crypto_pipeline.range_bytes import topic_rows
from crypto_pipeline.run_stage import StageRunner
from crypto_pipeline.settings import UNDECIDED, Settings
from crypto_pipeline.stage import Stage
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline.stages import STAGES, SUMMARY, TABLES, VOLATILITY
from crypto_pipeline.state_format import refuse_other_state
from crypto_pipeline.stream.ranges import read_ends
from crypto_pipeline.topic_range import topic_ranges

# As many as the laptop's Spark has cores.
SETTLING = 2
BY_NAME = {stage.name: stage for stage in STAGES}


@dataclass
class Pipeline:
    """One session's view of the lake and the topics; `runs` keeps what each stage did last.

    `written` has the keys of the tables that this session has committed to.
    """

    runner: StageRunner
    screen: Screen
    registry: Registry | None = None
    runs: dict[str, StageRun] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    lock: WriterLock | None = None

    @property
    def lake(self) -> Lake:
        return self.runner.lake

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the producer and the channel to Spark; the server's session stays."""
        self.screen.close()
        disconnect(self.lake.spark)
        if self.lock is not None:
            self.lock.release()

    def run(self, stage: Stage) -> StageRun:
        """Run the next range, and further ones while something is left, up to BITES."""
        run = self.runner.drain(stage)
        self.written |= set(run.versions)
        return self.note(run)

    def note(self, run: StageRun) -> StageRun:
        """Keep a run, made here or elsewhere, as the last of its stage."""
        if not run.is_empty or run.stage not in self.runs:
            self.runs[run.stage] = run
        return run

    def market_now(self) -> datetime | None:
        """The newest minute that volatility has, by the last commit's own word."""
        run = self.runs.get(VOLATILITY.name)
        return None if run is None else run.newest_fact_at

    def train(self) -> Training:
        now = self.market_now()
        if now is None:
            return Training(reason="no new minute in this cycle")
        return self.registered(train(self.lake, market_now=now))

    def registered(self, done: Training) -> Training:
        """Register what was fitted, here or elsewhere; a registry that is away ends no cycle."""
        try:
            self._register(done)
        except RegistryError as error:
            # The lake has the fit, and serves from there.
            return Training(reason=f"fitted, not registered: {error}")
        return done

    def fit(self, *, market_now: datetime, force: bool = False) -> Training:
        """Train when it is due, and register what was fitted; raises RegistryError."""
        done = train(self.lake, market_now=market_now, force=force)
        self._register(done)
        return done

    def _register(self, done: Training) -> None:
        """A new version is champion while its kind serves."""
        if done.fits and self.registry is not None:
            number = self.registry.register(described(done), metrics=metrics(done))
            decision = log.last_commit(self.lake.path(GATES))
            has_won = any(v.champion for v in verdicts_of(decision))
            if decision is not None and has_won and decision.ranges["pinned"] is None:
                self.registry.promote(number)

    def score(self) -> Scoring:
        """Join past forecasts with what came since the last time; ask the gate when it is due."""
        now = self.market_now()
        if now is None:
            return Scoring(0, [], "no new minute in this cycle")
        return score(self.lake, market_now=now)

    def publish_summary(self) -> Publication:
        return self.screen.publish_summary(
            at=self._position(SUMMARY.primary), records=lambda: summary_records(self.lake)
        )

    def publish_forecasts(self) -> Publication:
        now = (self.market_now() or datetime.now(UTC)) + timedelta(minutes=1)
        at = self._position(FORECASTS)
        return self.screen.publish_forecasts(
            at=at,
            records=lambda after: forecast_records(
                self.lake, after_batch=after, to_batch=at.batch, market_now=now
            ),
        )

    def _position(self, table: Table) -> Position:
        state, last = (
            log.open_table(self.lake.path(table)),
            log.last_commit(self.lake.path(table)),
        )
        return Position(
            table_id="" if state is None else state.id, batch=0 if last is None else last.batch
        )

    def publish_status(self, *, run_id: str | None = None) -> Publication:
        behind = {name: self._behind(stage) for name, stage in BY_NAME.items() if name in self.runs}
        return self.screen.publish_status(
            self.runs,
            market=self.lake.market,
            behind=behind,
            run_id=run_id,
            horizons=newest_reports(self.lake),
        )

    def settle(self) -> None:
        """Have Spark read the logs of what this cycle wrote, so that the next one need not wait.

        Delta computes a table's state to find the last transaction of a writer, which more than
        doubles a small commit, and keeps it while nobody else commits.
        """
        tables = [table for table in TABLES if table.key in self.written]
        with ThreadPoolExecutor(max_workers=SETTLING) as pool:
            list(pool.map(self.lake.load_state, tables))

    def _behind(self, stage: Stage) -> int:
        """What waits for the stage now: records on its topics, else batches of the one before."""
        paths = {table.key: self.lake.path(table) for table in (stage.primary, *stage.reads)}
        last = log.last_commit(paths[stage.primary.key])
        if stage.topics:
            waiting = topic_ranges(last, self.runner.read_ends())
            return 0 if waiting is None else topic_rows(waiting) + waiting["kafka"]["left"]
        ranges, left = batch_ranges(stage, last, paths)
        return 0 if ranges is None else ranges["batches"]["to"] - ranges["batches"]["after"] + left


@contextmanager
def reading_lake(settings: Settings, *, role: str) -> Iterator[Lake]:
    """The lake through a session of a reader's own, beside the writer's; raises SparkAwayError."""
    if settings.market == "auto":
        raise SettingsError(UNDECIDED)
    refuse_other_formats(settings)
    spark = connect(settings, role=role)
    try:
        yield Lake(spark=spark, root=settings.lake_root, market=settings.market)
    finally:
        disconnect(spark)


def open_by_hand(settings: Settings) -> Pipeline:
    """For a command: also what it only reads is of today's format, or FormatError is raised."""
    refuse_other_formats(settings)
    return open_pipeline(settings)


def open_pipeline(settings: Settings) -> Pipeline:
    """Connect to Spark and name the topics; raises SparkAwayError with the remedy.

    Waits for another process of this machine that writes the lake. A table's format is looked at
    before a stage writes it: to look at all of them each minute costs a bucket's requests.
    """
    refuse_other_state(settings)
    lock = take(settings.home / NAME)
    try:
        return _opened(settings, lock)
    except BaseException:
        lock.release()
        raise


def _opened(settings: Settings, lock: WriterLock) -> Pipeline:
    lake = open_lake(settings)
    topics = [topic.name for stage in STAGES for topic in stage.topics]
    settings = settings.as_kafka_user("lake")
    runner = StageRunner(
        lake=lake,
        read_ends=lambda: read_ends(settings, topics),
        kafka_options={
            "kafka.bootstrap.servers": settings.kafka_address,
            **settings.kafka.reader_options(),
        },
        limits=settings.rejection_limits,
    )
    return Pipeline(
        runner=runner,
        screen=open_screen(settings),
        registry=open_registry(settings),
        lock=lock,
    )


def open_lake(settings: Settings) -> Lake:
    """The lake through the writer's own session; raises SparkAwayError with the remedy."""
    if settings.market == "auto":
        raise SettingsError(UNDECIDED)
    spark = connect(settings)
    return Lake(
        spark=spark,
        root=settings.lake_root,
        market=settings.market,
        lease_epoch=lease_epoch(spark),
    )
