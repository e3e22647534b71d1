"""The bundle: known to the SDK's types to its last field, and the same task that Pipes submits."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.sdk.service import jobs

from crypto_pipeline.databricks.steps import LAYER_STEPS, NAMES, SCORING, TRAINING
from crypto_pipeline.databricks.submit import (
    ENVIRONMENT,
    ENVIRONMENT_VERSION,
    submit_args,
    submit_token,
    task,
)
from crypto_pipeline.databricks.task import Asked, parse
from crypto_pipeline.databricks.wheel import ENTRY_POINT, PACKAGE, WHEEL, wheel_path
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.holding.limits import DEFAULT_LIMITS
from crypto_pipeline.predictions.schema import MODELS, SCORES
from crypto_pipeline.settings import Settings, load
from crypto_pipeline.stages import STAGES
from crypto_pipeline.version import VERSION
from crypto_pipeline_tests.conftest import ROOT

DEPLOY = ROOT / "deploy" / "databricks"
BUNDLE = yaml.safe_load((DEPLOY / "databricks.yml").read_text())
TASKS = {
    "raw_to_bronze": "bronze",
    "bronze_to_silver": "silver",
    "silver_to_gold": "gold",
    "ml_predictions": "predictions",
}
SET = {
    "RUNNER": "databricks",
    "DATABRICKS_VOLUME": "/Volumes/main/market/pipeline/",
    "LAKE_ROOT": "s3a://market-data/lake",
    "MARKET": "live",
}


def resolved(value: Any) -> Any:
    """With the variables of the bundle put in; one that is not declared is an error."""
    if isinstance(value, dict):
        return {name: resolved(one) for name, one in value.items()}
    if isinstance(value, list):
        return [resolved(one) for one in value]
    if isinstance(value, str):
        defaults = {name: one["default"] for name, one in BUNDLE["variables"].items()}
        return re.sub(r"\$\{var\.(\w+)\}", lambda m: str(defaults[m[1]]), value)
    return value


def bundle_jobs() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for pattern in BUNDLE["include"]:
        for file in sorted(DEPLOY.glob(pattern)):
            content = yaml.safe_load(file.read_text())
            assert list(content) == ["resources"]
            assert list(content["resources"]) == ["jobs"]
            found |= resolved(content["resources"]["jobs"])
    return found


JOBS = bundle_jobs()


def settings(**more: str) -> Settings:
    return load({**SET, **more}, env_file=Path("none"))


def asked(job: dict[str, Any], one: dict[str, Any]) -> Asked:
    """What a task of a job is told, with the job's parameters put in."""
    values = {p["name"]: p["default"] for p in job["parameters"]}
    given = [
        re.sub(r"\{\{job\.parameters\.(\w+)\}\}", lambda m: str(values[m[1]]), text)
        for text in one["python_wheel_task"]["parameters"]
    ]
    return parse(given)


@pytest.mark.parametrize("name", JOBS)
def test_nothing_in_a_job_is_unknown_to_its_type(name: str) -> None:
    job = JOBS[name]
    assert jobs.JobSettings.from_dict(job).as_dict() == job


@pytest.mark.parametrize("name", JOBS)
def test_the_layers_follow_each_other_and_each_runs_its_own_steps(name: str) -> None:
    job = JOBS[name]
    assert [one["task_key"] for one in job["tasks"]] == list(TASKS)
    before = [[d["task_key"] for d in one.get("depends_on", [])] for one in job["tasks"]]
    assert before == [[], *([key] for key in list(TASKS)[:-1])]
    for one in job["tasks"]:
        layer = TASKS[one["task_key"]]
        assert asked(job, one) == Asked(
            steps=LAYER_STEPS[layer],
            lake_root=BUNDLE["variables"]["lake_root"]["default"],
            market="live",
            catalog=None,
            limits=DEFAULT_LIMITS,
        )
        notebook = (DEPLOY / "notebooks" / f"{one['task_key']}.py").read_text()
        assert notebook.startswith("# Databricks notebook source\n")
        assert f'run_layer("{layer}", ' in notebook


def test_the_steps_are_all_that_is_written_after_raw_in_the_order_of_the_data() -> None:
    later = [stage.name for stage in STAGES if not stage.topics]
    assert [name for name in NAMES if name not in (TRAINING, SCORING)] == later
    layers = {stage.name: stage.primary.layer for stage in STAGES}
    layers |= {TRAINING: MODELS.layer, SCORING: SCORES.layer}
    for layer, names in LAYER_STEPS.items():
        assert {layers[name] for name in names} == {layer}


def test_both_jobs_run_the_wheel_that_dagster_submits() -> None:
    serverless = task(settings(), "silver")
    classic = task(settings(DATABRICKS_CLUSTER_ID="1125-224500-abcdefgh"), "silver")
    for submitted, name in ((serverless, "medallion"), (classic, "medallion_classic")):
        wheel = submitted.python_wheel_task
        assert wheel is not None
        told = parse(wheel.parameters or [])
        assert told.lake_root == "s3://market-data/lake"
        for one in JOBS[name]["tasks"]:
            theirs = one["python_wheel_task"]
            assert (theirs["package_name"], theirs["entry_point"]) == (PACKAGE, ENTRY_POINT)
            assert (wheel.package_name, wheel.entry_point) == (PACKAGE, ENTRY_POINT)
            names = [text.split("=")[0] for text in theirs["parameters"]]
            assert names == [text.split("=")[0] for text in wheel.parameters or []][: len(names)]
    (environment,) = JOBS["medallion"]["environments"]
    assert (environment["environment_key"], environment["spec"]["environment_version"]) == (
        ENVIRONMENT,
        ENVIRONMENT_VERSION,
    )
    (sent,) = submit_args(settings(), "silver", token="t")["environments"]
    assert sent.as_dict() == {
        **environment,
        "spec": {**environment["spec"], "dependencies": [wheel_path(settings().databricks)]},
    }
    assert {one["libraries"][0]["whl"] for one in JOBS["medallion_classic"]["tasks"]} == {
        environment["spec"]["dependencies"][0]
    }


def test_the_wheel_is_the_packages_own_version_and_its_entry_point_is_there() -> None:
    project = tomllib.loads((DEPLOY / "pyproject.toml").read_text())["project"]
    assert project["name"].replace("-", "_") == PACKAGE
    assert project["version"] == VERSION
    assert f"{PACKAGE}-{project['version']}-py3-none-any.whl" == WHEEL
    module, _, function = project["scripts"][ENTRY_POINT].partition(":")
    assert callable(getattr(import_module(module), function))
    # A second Spark in the place of the runtime's would be the end of it.
    assert not [one for one in project["dependencies"] if re.match("pyspark|pandas|dagster$", one)]
    (artifact,) = BUNDLE["artifacts"].values()
    assert artifact["type"] == "whl"


def test_one_attempt_is_one_token_and_the_next_another() -> None:
    first = submit_token(run_id="r", step="silver", attempt=0)
    assert first == submit_token(run_id="r", step="silver", attempt=0)
    others = {
        submit_token(run_id="r", step="silver", attempt=1),
        submit_token(run_id="r", step="gold", attempt=0),
        submit_token(run_id="q", step="silver", attempt=0),
    }
    assert len({first, *others}) == 4
    assert all(len(one) <= 64 for one in others)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DATABRICKS_VOLUME": ""}, "needs DATABRICKS_VOLUME"),
        ({"DATABRICKS_VOLUME": "/dbfs/tmp"}, "DATABRICKS_VOLUME is '/dbfs/tmp'"),
        ({"LAKE_ROOT": "/lake"}, "needs LAKE_ROOT=s3a://bucket/prefix"),
        ({"RUNNER": "emr"}, "Accepted: connect, databricks"),
        ({"DATABRICKS_LAYERS": "raw,gold"}, "Raw is written next to Kafka"),
        ({"DATABRICKS_HOST": "not a host"}, "DATABRICKS_HOST is"),
        ({"DATABRICKS_CATALOG": "a.b"}, "DATABRICKS_CATALOG is 'a.b'. Give one such as market"),
        ({"DATABRICKS_TIMEOUT_MINUTES": "0"}, "whole number from 1 to 1440"),
    ],
)
def test_a_setting_that_cannot_work_is_a_sentence(changes: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        settings(**changes)


def test_layers_run_where_they_are_set_to() -> None:
    some = settings(DATABRICKS_LAYERS="gold,predictions").databricks
    assert [some.runs(n) for n in ("raw", "bronze", "gold", "predictions")] == [
        False, False, True, True,
    ]  # fmt: skip
    assert not load({}, env_file=Path("none")).databricks.runs("gold")
