"""What a task writes into the volume, without the task: messages of Dagster Pipes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagster_pipes import PIPES_PROTOCOL_VERSION, PIPES_PROTOCOL_VERSION_FIELD, decode_param

from crypto_pipeline.databricks import messages
from crypto_pipeline.stage_run import StageRun
from crypto_pipeline_tests.databricks.workspace import FakeRun

RUN = StageRun(
    stage="silver",
    batch=7,
    rows_in=41,
    outcomes={"tick": 20, "candle": 20, "poll": 1},
    rows_out={"silver/ticks": 20, "silver/candles": 20},
    ranges={"batches": {"table": "bronze/ticks", "after": 6, "to": 7}, "pinned": {}},
    versions={"silver/ticks": 8, "silver/candles": 9},
    seconds=12.5,
    newest_fact_at=datetime(2026, 11, 25, 22, 0, tzinfo=UTC),
    phases={"plan": 1.0},
)


def tell(folder: Path, run: FakeRun, *payloads: Mapping[str, Any]) -> None:
    """As the task's own writer does, in one piece."""
    place = run.parameters[run.parameters.index("--dagster-pipes-messages") + 1]
    said = [("opened", {"extras": {}})]
    said += [("report_custom_message", {"payload": dict(one)}) for one in payloads]
    said += [("closed", {})]
    version = {PIPES_PROTOCOL_VERSION_FIELD: PIPES_PROTOCOL_VERSION}
    lines = [json.dumps({**version, "method": name, "params": value}) for name, value in said]
    target = folder / str(decode_param(place)["path"]).lstrip("/") / "1.json"
    target.write_text("\n".join(lines))


def done() -> dict[str, Any]:
    """The message of the run above."""
    return messages.done("silver", RUN)
