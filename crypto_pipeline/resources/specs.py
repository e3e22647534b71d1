"""Asset specs made from tables and topics: description, kinds, schema, lineage, freshness."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from crypto_pipeline.lake.table import Table
from crypto_pipeline.resources.lake import BOOKS_CHECK, LOST_CHECK, asset_key
from crypto_pipeline.stage import Stage

OWNERS = ["team:market-data"]
LAKE_POOL = "lake"
# Days that were asked for: one run at a time, so that a poll and a cycle find a place.
BACKGROUND_POOL = "background"

# One definition of fresh: the graph, the checks and the screen take it from here.
FRESHNESS = dg.FreshnessPolicy.time_window(
    warn_window=timedelta(minutes=3), fail_window=timedelta(minutes=5)
)


def table_spec(
    table: Table, *, deps: Sequence[dg.AssetKey], reads: Sequence[Table]
) -> dg.AssetSpec:
    """A Delta table with its columns and, where names carry over, their lineage."""
    metadata: dict[str, Any] = {"dagster/column_schema": column_schema(table)}
    lineage = column_lineage(table, reads)
    if lineage.deps_by_column:
        metadata["dagster/column_lineage"] = lineage
    return dg.AssetSpec(
        key=asset_key(table),
        deps=deps,
        description=table.description,
        group_name=table.layer,
        kinds={"delta", "spark"},
        owners=OWNERS,
        metadata=metadata,
    )


def stage_specs(stage: Stage, *, deps: Sequence[dg.AssetKey] = ()) -> list[dg.AssetSpec]:
    upstream = [*deps, *(asset_key(table) for table in stage.reads)]
    return [table_spec(table, deps=upstream, reads=stage.reads) for table in stage.outputs]


def books_check(stage: Stage) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=BOOKS_CHECK,
        asset=asset_key(stage.primary),
        blocking=True,
        description="Rows in equal the rows accepted, rejected and set aside, each counted",
    )


def lost_check(stage: Stage) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=LOST_CHECK,
        asset=asset_key(stage.primary),
        description="The broker's retention removed no record before it was read",
    )


def column_schema(table: Table) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=f.name,
                type=f.dataType.simpleString(),
                description=str(f.metadata.get("comment", "")),
            )
            for f in table.schema.fields
        ]
    )


def column_lineage(table: Table, reads: Sequence[Table]) -> dg.TableColumnLineage:
    """Columns that carry over under their own name; computed ones have no lineage here."""
    deps = {
        name: [
            dg.TableColumnDep(asset_key=asset_key(source), column_name=name)
            for source in reads
            if name in source.columns
        ]
        for name in table.columns
        if name not in ("batch", "date")
    }
    return dg.TableColumnLineage({name: found for name, found in deps.items() if found})


def publication_spec(
    name: str, *, topic: str, deps: Sequence[dg.AssetKey], words: str
) -> dg.AssetSpec:
    """A topic that is written from tables; beside the ingested ones the graph would be a circle."""
    return dg.AssetSpec(
        key=["stream", name],
        deps=deps,
        description=words,
        group_name="published",
        kinds={"kafka"},
        owners=OWNERS,
        metadata={"dagster/uri": f"kafka://{topic}"},
    )
