"""Who may import whom, held in the sources and in fresh interpreters."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from crypto_pipeline_tests.conftest import ROOT

PACKAGE = ROOT / "crypto_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
DASHBOARD = sorted((ROOT / "dashboard").rglob("*.py"))

DAGSTER_FILES = {"asset.py", "checks.py", "automation.py", "definitions.py"}
DASHBOARD_MAY = (
    "crypto_pipeline.contract",
    "crypto_pipeline.stream.connection",
    "crypto_pipeline.stream.tail",
    "crypto_pipeline.settings",
    "crypto_pipeline.setting_values",
    "crypto_pipeline.screen_settings",
    "crypto_pipeline.errors",
    "crypto_pipeline.observed",
)
KAFKA_USERS = {"stream", "embedded"}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def uses(file: Path, package: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for name in imported(file))


def test_only_the_dagster_files_import_dagster() -> None:
    found = {
        relative(file)
        for file in MODULES
        if uses(file, "dagster") and file.name not in DAGSTER_FILES
        if "resources" not in file.parts
    }
    assert found == set()


def test_only_the_stream_and_the_broker_probe_use_the_kafka_client() -> None:
    found = {
        relative(file)
        for file in MODULES
        if uses(file, "kafka") and file.parent.name not in KAFKA_USERS
    }
    assert found == set()


def test_only_settings_reads_the_environment() -> None:
    found = {
        relative(file)
        for file in (*MODULES, *DASHBOARD)
        if file.name != "settings.py"
        and any(word in file.read_text() for word in ("os.environ", "os.getenv"))
    }
    assert found == set()


def test_the_dashboard_reads_topics_only() -> None:
    found = {
        (relative(file), name)
        for file in DASHBOARD
        for name in imported(file)
        if name.startswith("crypto_pipeline") and not name.startswith(DASHBOARD_MAY)
    }
    assert found == set()


@pytest.mark.parametrize("stage", ["raw", "bronze", "silver", "gold", "predictions"])
def test_a_schema_and_a_transform_know_no_session_and_no_settings(stage: str) -> None:
    files = [f for f in (PACKAGE / stage).glob("*.py") if f.name not in {"asset.py", "__init__.py"}]
    assert files
    forbidden = ("crypto_pipeline.settings", "crypto_pipeline.stream", "crypto_pipeline.resources")
    found = {(f.name, name) for f in files for name in imported(f) if name.startswith(forbidden)}
    assert found == set()


def test_init_files_are_empty() -> None:
    assert [relative(f) for f in MODULES if f.name == "__init__.py" and f.read_text().strip()] == []


def test_modules_stay_small() -> None:
    modules = (*MODULES, *DASHBOARD)
    long = {relative(f): n for f in modules if (n := len(f.read_text().splitlines())) > 300}
    assert long == {}


# Importing must open nothing: the contract is standard library only, stages know no Dagster.
FRESH = [
    ("crypto_pipeline.contract.tick", ("pyspark", "dagster", "kafka", "httpx", "streamlit")),
    ("crypto_pipeline.contract.report", ("pyspark", "dagster", "kafka", "httpx")),
    ("crypto_pipeline.stages", ("dagster", "kafka", "httpx", "streamlit")),
    ("crypto_pipeline.source.poll", ("pyspark", "dagster", "kafka")),
    ("crypto_pipeline.stream.tail", ("pyspark", "dagster", "httpx")),
    ("crypto_pipeline.definitions", ("streamlit", "supervisor", "prometheus_client", "databricks")),
    # What the wheel of a Databricks runtime does without.
    (
        "crypto_pipeline.databricks.notebook",
        ("dagster", "deltalake", "httpx", "rich", "databricks"),
    ),
    ("crypto_pipeline.observed.ingestion", ("pyspark", "dagster", "starlette", "streamlit")),
    ("crypto_pipeline.observed.serving", ("pyspark", "dagster", "kafka", "httpx")),
    ("crypto_pipeline.observed.declared", ("prometheus_client", "kafka", "httpx")),
]


@pytest.mark.parametrize(("module", "absent"), FRESH)
def test_importing_brings_in_only_what_it_needs(module: str, absent: tuple[str, ...]) -> None:
    program = (
        f"import sys, {module}\n"
        f"print([name for name in {absent!r} if name in sys.modules])\n"
        "import threading; print(threading.active_count())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert answer.stdout.splitlines() == ["[]", "1"]


def test_the_version_is_the_packages_own() -> None:
    import tomllib

    from crypto_pipeline.version import VERSION

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


LOCKS = ("requirements.lock", "requirements-dev.lock")


def pinned(lock: str) -> set[str]:
    return {line for line in (ROOT / lock).read_text().splitlines() if line[:1].isalnum()}


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_names_no_host_and_hashes_everything(lock: str) -> None:
    lines, pins = (ROOT / lock).read_text().splitlines(), pinned(lock)
    assert pins
    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    assert not any("://" in line for line in lines)
    assert not any("://" in line for line in (ROOT / "jars.lock").read_text().splitlines())


def test_what_checks_the_code_comes_on_top_of_what_it_runs_on() -> None:
    assert pinned("requirements.lock") < pinned("requirements-dev.lock")
