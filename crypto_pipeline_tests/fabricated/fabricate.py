"""A lake with a past, laid down in minutes: its files as writer and upkeep would have left them.

    laid = fabricate(root, minutes=43_200, symbols=20, ends=read_ends(settings, NAMES), now=now)
    feed = feed_of(settings, laid.market, minutes=laid.minutes)    # the minutes that come after
    feed.send_minute()

Cycles go on from it: the last batch ends where the topics end now. Files that were compacted since,
and that no vacuum has taken yet, are on the disk as holes of their size: no version but an old one
would read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from crypto_pipeline.contract.message import MarketKind
from crypto_pipeline.keeping_settings import LAYER_DAYS
from crypto_pipeline.lake.table import Table
from crypto_pipeline.maintenance.work import Limits
from crypto_pipeline.stream.ranges import TopicEnds
from crypto_pipeline_tests.fabricated import laid_log
from crypto_pipeline_tests.fabricated.actions import Actions
from crypto_pipeline_tests.fabricated.commits import Commits
from crypto_pipeline_tests.fabricated.history import History, history
from crypto_pipeline_tests.fabricated.life import ON_DISK, Life, milliseconds
from crypto_pipeline_tests.fabricated.rows import CHUNK, Rows
from crypto_pipeline_tests.fabricated.shapes import shapes
from crypto_pipeline_tests.fabricated.sizes import measured
from crypto_pipeline_tests.fabricated.spark_files import parquet, write, write_hole
from crypto_pipeline_tests.fabricated.upkeep import Upkeep
from crypto_pipeline_tests.fabricated.words import fields_of


def fabricate(
    root: Path,
    *,
    minutes: int,
    ends: TopicEnds,
    now: datetime,
    symbols: int = 20,
    market: MarketKind = "simulated",
    look_every: int = 1,
    lease_epoch: int = 0,
    layer_days: Mapping[str, int] = LAYER_DAYS,
) -> History:
    """Lay down the tables of all stages under an empty root; the last minute is that of `now`.

    `look_every` is how many minutes the upkeep waits between two looks.
    """
    laid = history(
        minutes=minutes,
        symbols=symbols,
        ends=ends,
        now=now,
        look_every=look_every,
        lease_epoch=lease_epoch,
    )
    maker = Maker(laid)
    lives = list(lived(laid, maker, layer_days))
    maker.lay_files(root, lives)
    commits = Commits(laid)
    for life in lives:
        actions = Actions(life=life, commits=commits, market=market)
        laid_log.lay(root / life.shape.table.key, actions)
    return laid


def lived(laid: History, maker: Maker, layer_days: Mapping[str, int]) -> Iterator[Life]:
    """Each table's life up to the last minute; the sizes of its files are guessed."""
    limits = Limits(days=layer_days)
    for shape in shapes(laid):
        key = shape.table.key
        parts = [(key, part.topic) for part in shape.parts]
        sizes = measured(parts, minutes=laid.minutes, make=maker.content)
        life = Life(shape=shape, sizes=sizes, limits=limits)
        life.create(at=laid.committed_ms(shape.stage, 1) - 2_000)
        upkeep = Upkeep(life=life, made_on=laid.market.poll_at(1).date())
        for number in range(1, laid.minutes + 1):
            if shape.parts:
                life.write(number)
            if number % laid.look_every == 0:
                upkeep.look(number)
        yield life


class Maker:
    """Makes data files of a history."""

    def __init__(self, laid: History) -> None:
        self.laid = laid
        self._rows = Rows(laid)
        self._tables = {shape.table.key: shape.table for shape in shapes(laid)}

    def content(self, key: str, topic: str, first: int, last: int) -> bytes:
        """The bytes of a file with the batches [first, last] of a table."""
        table = self._tables[key]
        rows = self._rows.of(key, topic, first, last)
        return parquet(rows.select(in_file(table)), fields=_fields(table))

    def lay_files(self, root: Path, lives: list[Life]) -> None:
        """Write what is live, and note its size; in the order of time, so that rows are made once.

        What was removed too lately for a vacuum is there too, as a hole.
        """
        live = [(life.shape.table.key, file) for life in lives for file in life.all_files()]
        for key, file in sorted(live, key=lambda one: (one[1].last // CHUNK, one[1].first)):
            content = self.content(key, file.topic, file.first, file.last)
            file.size = len(content)
            write(root / key / file.path, content, at=file.at)
        gone = milliseconds(self.laid.looked_at(self.laid.minutes) - ON_DISK)
        for life in lives:
            for file in life.dead:
                if (file.removed_at or 0) > gone:
                    path = root / life.shape.table.key / file.path
                    write_hole(path, file.size, at=file.at)


def in_file(table: Table) -> list[str]:
    """Columns as Delta puts them into a file: those of the partition come last."""
    own = [name for name in table.columns if name not in table.partition_by]
    return [*own, *table.partition_by]


def _fields(table: Table) -> list[dict[str, object]]:
    fields = {field["name"]: field for field in fields_of(table.schema, comments=False)}
    return [fields[name] for name in in_file(table)]
