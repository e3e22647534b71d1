"""The driver of the fake cluster: runs in the runtime's own Python, one task after another.

Standard library and the runtime only. Orders come as JSON lines on stdin, answers go to the file
descriptor that is named in the arguments; what a task prints goes to stderr. As on Databricks the
session is there before the task, and `/Volumes` is a file system.
"""

from __future__ import annotations

import builtins
import json
import os
import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from importlib.metadata import distribution
from typing import Any
from unittest import mock

import dagster_pipes


def mount(root: str) -> None:
    """Let Dagster Pipes find `/Volumes` under a folder of the test."""

    def opened(path: Any, *arguments: Any, **options: Any) -> Any:
        if str(path).startswith("/Volumes/"):
            path = f"{root}{path}"
        return builtins.open(path, *arguments, **options)  # noqa: PTH123  (it is what is replaced)

    dagster_pipes.open = opened


def session(conf: dict[str, str]) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder
    for name, value in conf.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


# Settings of Spark that serverless compute lets a task change, as far as they concern us.
CHANGEABLE = (
    "spark.sql.session.timeZone",
    "spark.sql.ansi.enabled",
    "spark.sql.shuffle.partitions",
)


@contextmanager
def serverless() -> Iterator[None]:
    """Refuse what serverless compute has not: a cache, RDDs, settings; and Python on workers."""
    from pyspark.errors import AnalysisException
    from pyspark.sql import DataFrame, GroupedData
    from pyspark.sql.conf import RuntimeConfig

    def refused(*_: Any, **__: Any) -> Any:
        raise AnalysisException("[NOT_SUPPORTED_WITH_SERVERLESS] not on serverless compute")

    def changed(conf: Any, name: str, value: Any) -> None:
        if name not in CHANGEABLE:
            raise AnalysisException(f"[CONFIG_NOT_AVAILABLE] {name} is not available")
        change(conf, name, value)

    change = RuntimeConfig.set
    with ExitStack() as stack:
        for name in ("cache", "persist", "checkpoint", "localCheckpoint"):
            stack.enter_context(mock.patch.object(DataFrame, name, refused))
        stack.enter_context(mock.patch.object(DataFrame, "rdd", property(refused)))
        stack.enter_context(mock.patch.object(GroupedData, "applyInPandas", refused))
        stack.enter_context(mock.patch.object(RuntimeConfig, "set", changed))
        yield


def run_wheel(order: dict[str, Any]) -> None:
    """As Databricks does: the entry point of the package's metadata, parameters in `sys.argv`."""
    package = distribution(order["package_name"])
    (entry,) = (e for e in package.entry_points if e.name == order["entry_point"])
    sys.argv = [entry.name, *order["parameters"]]
    # A task has a Python process of its own there; here only the session is meant to last.
    dagster_pipes.PipesContext._instance = None
    with serverless() if order["serverless"] else nullcontext():
        entry.load()()


class Widgets:
    """`dbutils.widgets` of a notebook whose parameters are given."""

    def __init__(self, given: dict[str, str]) -> None:
        self._given, self._values = given, dict[str, str]()

    def text(self, name: str, default: str, label: str = "") -> None:
        self._values.setdefault(name, self._given.get(name, default))

    def get(self, name: str) -> str:
        return self._values[name]


class Utilities:
    def __init__(self, given: dict[str, str]) -> None:
        self.widgets = Widgets(given)


def run_notebook(order: dict[str, Any], spark: Any) -> None:
    """A notebook in source form is a file; its globals are what a workspace gives it."""
    given = {"spark": spark, "dbutils": Utilities(order["parameters"]), "display": print}
    runpy.run_path(order["path"], init_globals=given)


def main() -> None:
    start = json.loads(sys.argv[1])
    answers = os.fdopen(start["answers"], "w")
    os.dup2(2, 1)
    mount(start["mount"])
    spark = session(start["conf"]) if start["conf"] else None
    answers.write("{}\n")
    answers.flush()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            run_notebook(order, spark) if "path" in order else run_wheel(order)
            answer = {"error": None}
        except BaseException as error:  # noqa: BLE001  (a driver outlives its tasks)
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
