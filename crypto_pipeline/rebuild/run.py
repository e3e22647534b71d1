"""A layer and all below it made anew from raw, compared, and put in place.

Each table is first written to a side place, by one commit. It is put in place by one overwrite
commit on the old table, which carries that table's newest range once more: batches and what
comes next are as before. Killed anywhere, the same command goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from crypto_pipeline.audit.difference import AS_JSON, Difference, compare
from crypto_pipeline.audit.pins import Pins, pin
from crypto_pipeline.errors import LakeError
from crypto_pipeline.lake import log
from crypto_pipeline.lake.location import Lake
from crypto_pipeline.lake.log import REBUILD, CommitRecord
from crypto_pipeline.lake.table import Table
from crypto_pipeline.lake.tuning import tune
from crypto_pipeline.rebuild.layers import LAYERS, Rebuilt, first_day
from crypto_pipeline.stage import Stage
from crypto_pipeline.stages import RAW, STAGES
from crypto_pipeline.version import VERSION

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SIDE = "rebuild"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRebuilt:
    """One table: its rows, and in what the old ones differ.

    `since` is the first UTC date that was made anew, None for all: older rows stay as they were,
    because retention has removed what they were made of.
    """

    table: str
    rows: int
    differences: tuple[Difference, ...]
    version: int
    since: date | None = None


def rebuild(
    lake: Lake, layer: str, *, on_table: Callable[[TableRebuilt], None] | None = None
) -> tuple[TableRebuilt, ...]:
    """Rebuild bronze, silver or gold and what is below it; the caller holds the writer's lock.

    The ledger of gaps and the forecasts stay: they say what was known at their time.
    """
    wanted = tables_below(layer)
    for _, table in wanted:
        lake.refuse_foreign(table)
    # The session is as the last stage left it, tuned to a minute's rows.
    tune(lake.spark, rows=log.row_count(lake.path(RAW.primary)))
    pins = pin(lake, start=None, end=None)
    name = rebuild_id(pins, layer)
    root = f"{lake.root.rstrip('/')}/{SIDE}/{name}"
    side = Lake(spark=lake.spark, root=root, market=lake.market)
    made: list[str] = []
    for stage, table in wanted:
        if pins.batch(stage):
            _make(Rebuilt(pins, side, tuple(made)), stage, table, name=name)
            made.append(table.key)
    done = []
    for stage, table in wanted:
        if table.key in made:
            done.append(_put_in_place(pins, side, stage, table, name=name))
            if on_table is not None:
                on_table(done[-1])
    remove(side)
    return tuple(done)


def tables_below(layer: str) -> tuple[tuple[Stage, Table], ...]:
    """The layer's tables and those of the layers below it, in the order of the data."""
    names = list(LAYERS)
    return tuple(one for name in names[names.index(layer) :] for one in LAYERS[name])


def rebuild_id(pins: Pins, layer: str) -> str:
    """The same for the same lake and code: a rebuild that was killed is known again.

    Not if anything came, or went, meanwhile.
    """
    stood = {stage.name: pins.batch(stage) for stage in STAGES}
    whole = {name: f"{day}" for name, day in pins.whole.items()}
    text = json.dumps([VERSION, layer, stood, whole], sort_keys=True)
    return REBUILD + hashlib.sha256(text.encode()).hexdigest()[:16]


def _make(rebuilt: Rebuilt, stage: Stage, table: Table, *, name: str) -> None:
    """Write the table's rows to the side place, unless that was done before."""
    path = rebuilt.side.path(table)
    newest = log.last_commit(path)
    if newest is not None and newest.write_id == name:
        return
    rebuilt.side.ensure(table)
    record = _record(rebuilt.pins, stage, table, name=name)
    rebuilt.pins.lake.refuse_if_overtaken()
    _overwrite(rebuilt.rows(stage, table), path, record)


def _put_in_place(pins: Pins, side: Lake, stage: Stage, table: Table, *, name: str) -> TableRebuilt:
    path = pins.lake.path(table)
    newest = log.last_commit(path)
    rows = side.spark.read.format("delta").load(side.path(table))
    counts, differences = _compared(pins, rows, stage, table)
    # A rebuild by the same code that was put in place before may have been spoilt since.
    if newest is None or newest.write_id != name or differences:
        pins.lake.refuse_if_overtaken()
        _overwrite(rows, path, _record(pins, stage, table, name=name))
    state = log.open_table(path)
    return TableRebuilt(
        table=table.key,
        rows=counts,
        differences=tuple(differences),
        version=-1 if state is None else state.version,
        since=first_day(pins, table),
    )


def _compared(
    pins: Pins, rows: DataFrame, stage: Stage, table: Table
) -> tuple[int, list[Difference]]:
    """Rows of the new table, and how the old one differs; doubles are rounded to 9 digits."""
    old = pins.rows(table, upto=pins.batch(stage))
    counts, differences = compare(_prints(rows, table), _prints(old, table))
    del counts
    return rows.agg(F.count("*").alias("n")).collect()[0]["n"], differences


def _prints(rows: DataFrame, table: Table) -> DataFrame:
    columns = [
        F.format_string("%.9e", F.col(f.name)).alias(f.name)
        if f.dataType.typeName() == "double"
        else F.col(f.name)
        for f in table.schema.fields
    ]
    label = F.concat_ws(" ", *(F.col(name).cast("string") for name in table.keys))
    content = F.sha2(F.to_json(F.struct(*columns), AS_JSON), 256)
    return rows.select(label.alias("label"), F.lit(table.key).alias("slot"), content.alias("print"))


def _record(pins: Pins, stage: Stage, table: Table, *, name: str) -> CommitRecord:
    """The table's newest record, or for a side without rows so far its stage's, under our name."""
    newest = log.last_commit(pins.lake.path(table)) or pins.last[stage.name]
    if newest is None:
        raise LakeError(f"{table.key} has no range to carry on. Run `make once` first.")
    return replace(newest, write_id=name)


def _overwrite(rows: DataFrame, path: str, record: CommitRecord) -> None:
    """One commit without a transaction number: Delta would pass over one that it has seen."""
    rows.write.format("delta").mode("overwrite").option(
        "userMetadata", record.user_metadata()
    ).save(path)


def remove(side: Lake) -> None:
    """The side place of a folder is removed; in a store it stays until the next rebuild."""
    folder = Path(side.root)
    if "://" not in side.root and folder.is_dir():
        rmtree(folder)
