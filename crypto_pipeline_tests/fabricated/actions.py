"""Lines of a Delta log as Spark writes them: one action each, in its words and its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from crypto_pipeline import formats
from crypto_pipeline.lake.location import ENGINE_PROPERTY, MARKET_PROPERTY
from crypto_pipeline.lake.table import Table
from crypto_pipeline.migrate import migrations
from crypto_pipeline_tests.fabricated.commit_info import commit_info
from crypto_pipeline_tests.fabricated.commits import Commits
from crypto_pipeline_tests.fabricated.life import DataFile, Entry, Life
from crypto_pipeline_tests.fabricated.words import fields_of, instant, text

PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 2}
Action = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Actions:
    """The actions of one table's versions."""

    life: Life
    commits: Commits
    market: str

    @property
    def table(self) -> Table:
        return self.life.shape.table

    @cached_property
    def _configuration(self) -> dict[str, str]:
        # What becomes the protocol is not kept among the properties.
        own = {k: v for k, v in self.table.properties.items() if k not in migrations.PROTOCOL}
        marks = {MARKET_PROPERTY: self.market, ENGINE_PROPERTY: "spark"}
        return {**marks, **own, formats.PROPERTY: str(formats.FORMAT)}

    @cached_property
    def _schema(self) -> str:
        return text({"type": "struct", "fields": fields_of(self.table.schema)})

    def metadata(self, entry: Entry) -> Action:
        """As of one version: what upkeep notes is on the table itself."""
        history, stage = self.commits.history, self.life.shape.stage
        return {
            "id": history.write_id(self.table.key, 0),
            "description": self.table.description,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": self._schema,
            "partitionColumns": list(self.table.partition_by),
            "configuration": {**self._configuration, **entry.noted},
            "createdTime": history.committed_ms(stage, 1) - 2_000,
        }

    def transactions(self, entry: Entry) -> list[Action]:
        """The table's own at one version: its number is the newest batch's."""
        shape = self.life.shape
        if entry.number == 0 or not shape.parts:
            return []
        at = self.commits.history.committed_ms(shape.stage, entry.number)
        return [{"appId": self.table.key, "version": entry.number, "lastUpdated": at - 1}]

    def txn_id(self, entry: Entry) -> str:
        return self.commits.history.write_id(f"{self.table.key}/txn", entry.version)

    def lines(self, entry: Entry) -> str:
        """The whole content of one version's file."""
        actions = [{"commitInfo": self._commit_info(entry)}]
        if entry.what in ("create", "properties"):
            actions.append({"metaData": self.metadata(entry)})
        if entry.what == "create":
            actions.append({"protocol": PROTOCOL})
        if entry.what == "write":
            actions += [{"txn": one} for one in self.transactions(entry)]
        changes = entry.what != "compact"
        actions += [{"add": self.add(file, changes=changes)} for file in entry.added]
        actions += [{"remove": self._remove(file, entry)} for file in entry.removed]
        return "".join(f"{text(action)}\n" for action in actions)

    def add(self, file: DataFile, *, changes: bool = False) -> Action:
        return {
            "path": file.path,
            "partitionValues": dict(file.values),
            "size": file.size,
            "modificationTime": file.at - 30,
            "dataChange": changes,
            "stats": text(self.stats(file)),
        }

    def stats(self, file: DataFile, *, told: Callable[[datetime], Any] = instant) -> Action:
        """Of the columns that ranges ask for; `told` is how an instant is written."""
        shape, column = self.life.shape, self.table.fact_column
        first = shape.fact_at(file.first, file.topic)
        last = shape.fact_at(file.last, file.topic)
        return {
            "numRecords": file.rows,
            "minValues": {column: told(first), "batch": file.first},
            "maxValues": {column: told(last), "batch": file.last},
            "nullCount": {column: 0, "batch": 0},
        }

    def _remove(self, file: DataFile, entry: Entry) -> Action:
        # What replaces the whole table does not look at what was there.
        told = {} if entry.what == "write" else {"stats": text({"numRecords": file.rows})}
        return {
            "path": file.path,
            "deletionTimestamp": entry.at - 1,
            "dataChange": entry.what != "compact",
            "extendedFileMetadata": True,
            "partitionValues": dict(file.values),
            "size": file.size,
            **told,
        }

    def _commit_info(self, entry: Entry) -> Action:
        said = None
        if entry.what == "write":
            said = self.commits.record(self.life.shape, entry.number).user_metadata()
        return commit_info(
            entry,
            self.table,
            configuration=self._configuration,
            user_metadata=said,
            txn_id=self.txn_id(entry),
        )
