"""The chart as helm renders it. Run as a module, this writes the goldens anew."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from crypto_pipeline_tests.conftest import ROOT

CHART = ROOT / "helm" / "crypto-pipeline"
PROFILES = tuple(sorted(file.stem for file in (CHART / "profiles").glob("*.yaml")))
RELEASE, NAMESPACE = "crypto-pipeline", "market"
OPERATORS = ("kafka.strimzi.io/v1/Kafka", "monitoring.coreos.com/v1/ServiceMonitor")

# A helm that was built from its module believes in an ancient Kubernetes.
KUBERNETES = ("--kube-version", "1.34.2")

Manifest = dict[str, Any]


def tools() -> Path:
    """The folder of helm and the others; it need not be there."""
    script = ROOT / "deploy" / "kube-tools" / "build.sh"
    done = subprocess.run(["sh", script, "--where"], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def checkov(*what: str | Path, framework: str, seconds: float) -> dict[str, Any]:
    """Its report on what is named; `passed` and the failed checks are in it."""
    done = subprocess.run(
        [
            *(tools() / "checkov" / "bin" / "checkov", *what),
            *("--framework", framework, "--compact", "--quiet", "--skip-download"),
            *("--output", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        # It asks a registry for a newer version else, which the guard of the tests refuses.
        env={**os.environ, "CKV_SKIP_PACKAGE_UPDATE_CHECK": "true"},
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def helm(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tools() / "helm", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **(environment or {})},
    )


def template(profile: str, *sets: str) -> subprocess.CompletedProcess[str]:
    """Render a profile; `sets` are what `--set` takes."""
    versions = (part for version in OPERATORS for part in ("--api-versions", version))
    return helm(
        *("template", RELEASE, str(CHART), "--namespace", NAMESPACE, *versions, *KUBERNETES),
        *("--values", str(CHART / "profiles" / f"{profile}.yaml")),
        *(part for pair in sets for part in ("--set", pair)),
    )


@cache
def rendered(profile: str, *sets: str) -> str:
    done = template(profile, *sets)
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifests(profile: str, *sets: str) -> list[Manifest]:
    return [found for found in yaml.safe_load_all(rendered(profile, *sets)) if found]


def golden(profile: str) -> Path:
    return CHART / "rendered" / f"{profile}.yaml"


def pods(found: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod of ours with its owner's name: metadata and spec, hooks and executors included."""
    for manifest in found:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            yield name, manifest
        elif manifest["kind"] in ("Deployment", "Job"):
            yield name, manifest["spec"]["template"]
        elif manifest["kind"] == "StatefulSet":
            yield name, with_claims(manifest["spec"])
        elif manifest["kind"] == "ConfigMap" and "executor.yaml" in manifest["data"]:
            yield f"{name}/executor", yaml.safe_load(manifest["data"]["executor.yaml"])


def with_claims(stateful: Manifest) -> Manifest:
    """A StatefulSet's pod with the volumes that its controller adds."""
    template = stateful["template"]
    claims = [claim["metadata"]["name"] for claim in stateful["volumeClaimTemplates"]]
    volumes = [
        *template["spec"]["volumes"],
        *({"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims),
    ]
    return {**template, "spec": {**template["spec"], "volumes": volumes}}


def strimzi_pods(found: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Strimzi's pods as far as our templates say: the operator adds images, commands, volumes."""
    for manifest in found:
        if manifest["kind"] == "KafkaNodePool":
            template = manifest["spec"]["template"]
            first, main = ["initContainer"], ["kafkaContainer"]
        elif manifest["kind"] == "Kafka":
            template = manifest["spec"]["entityOperator"]["template"]
            first, main = [], ["topicOperatorContainer", "userOperatorContainer"]
        else:
            continue
        made = {
            part: {"name": part.lower(), "image": "strimzi", **template[part]}
            for part in (*first, *main)
        }
        spec = {
            **template["pod"],
            "initContainers": [made[part] for part in first],
            "containers": [made[part] for part in main],
        }
        yield f"{manifest['kind']}/{manifest['metadata']['name']}", {"metadata": {}, "spec": spec}


SPOILT = ("root", "privileges", "capabilities", "seccomp", "host")


def spoil(pod: Manifest, change: str) -> None:
    """Break one rule of the restricted level in a pod of ours."""
    security = containers(pod)[0]["securityContext"]
    if change == "root":
        security["runAsUser"] = 0
    elif change == "privileges":
        del security["allowPrivilegeEscalation"]
    elif change == "capabilities":
        security["capabilities"]["add"] = ["NET_ADMIN"]
    elif change == "seccomp":
        security["seccompProfile"]["type"] = "Unconfined"
    else:
        assert change == "host"
        pod["spec"]["hostNetwork"] = True


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def component(labels: Mapping[str, str]) -> str:
    return labels["app.kubernetes.io/component"]


def write_goldens() -> None:
    for profile in PROFILES:
        golden(profile).write_text(rendered(profile))


if __name__ == "__main__":
    write_goldens()
