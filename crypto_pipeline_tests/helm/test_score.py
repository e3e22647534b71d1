"""kube-score over the goldens: critical and warning are waived here with a reason, or fail."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from crypto_pipeline_tests.helm.rendering import PROFILES, RELEASE, golden, tools

pytestmark = [pytest.mark.helm, pytest.mark.usefixtures("chart_tools")]

GRADES = {1: "critical", 5: "warning"}
PASSED = 10
# Check, the objects that it names, and why it stays.
WAIVED = {
    "container-image-pull-policy": (
        {
            *(f"Deployment/{name}" for name in ("code-location", "daemon", "dashboard", "spark")),
            *("Deployment/webserver", "StatefulSet/postgres", "Job/migrate", "Pod/test"),
        },
        "a version or a digest never changes its content: pulling again is idle",
    ),
    "deployment-strategy": (
        {"Deployment/code-location", "Deployment/spark"},
        "a lake has one writer: the old one ends before the new one starts",
    ),
    "deployment-replicas": (
        {f"Deployment/{name}" for name in ("code-location", "spark", "dashboard", "webserver")},
        "one writer a lake; the page and Dagster's have two where a profile asks for it (aws)",
    ),
    "pod-probes-identical": (
        {"Deployment/spark", "Deployment/code-location"},
        "Spark, its TLS end and the simulator are alive when they answer, and ready then too; "
        "liveness asks more rarely and waits for minutes",
    ),
    "container-security-context-user-group-id": (
        {"StatefulSet/postgres"},
        "the image's own user, whom initdb must find in its passwd",
    ),
    "networkpolicy-targets-pod": (
        {"NetworkPolicy/executor"},
        "Spark starts its executors; none is rendered",
    ),
}


def judged(file: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [
            *(tools() / "kube-score", "score", "--output-format", "json"),
            *("--kubernetes-version", "v1.34", "--color", "never", file),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def name(judgement: dict[str, Any]) -> str:
    kind, own = judgement["type_meta"]["kind"], judgement["object_meta"]["name"]
    return f"{kind}/{own.removeprefix(f'{RELEASE}-')}"


def findings(judgements: list[dict[str, Any]]) -> dict[str, set[str]]:
    """The objects that each check grades critical or warning."""
    found: dict[str, set[str]] = {}
    for judgement in judgements:
        for check in judgement["checks"]:
            if check["grade"] in GRADES and not check["skipped"]:
                found.setdefault(check["check"]["id"], set()).add(name(judgement))
    return found


def test_kube_score_finds_nothing_that_is_not_waived() -> None:
    found: dict[str, set[str]] = {}
    for profile in PROFILES:
        judgements = judged(golden(profile))
        passed = [c for one in judgements for c in one["checks"] if c["grade"] == PASSED]
        assert len(passed) > 140
        for check, objects in findings(judgements).items():
            found.setdefault(check, set()).update(objects)
    assert found == {check: objects for check, (objects, _) in WAIVED.items()}, (
        "a finding is new, or a waiver has nothing left to waive"
    )


@pytest.mark.parametrize(
    ("kept", "spoilt", "check"),
    [
        ("readOnlyRootFilesystem: true", "", "container-security-context-readonlyrootfilesystem"),
        ("privileged: false", "privileged: true", "container-security-context-privileged"),
        ("kind: NetworkPolicy", "kind: Nothing", "pod-networkpolicy"),
    ],
)
def test_what_is_spoilt_is_found(tmp_path: Path, kept: str, spoilt: str, check: str) -> None:
    text = golden("laptop").read_text()
    assert kept in text
    file = tmp_path / "spoilt.yaml"
    file.write_text(text.replace(kept, spoilt))
    assert check in findings(judged(file))
    assert check not in findings(judged(golden("laptop")))
