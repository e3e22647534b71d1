"""A mark in every secret setting that must be seen nowhere, and where it is looked for."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

MARK = "canary-4711"
CANARIES = {
    name: f"{MARK}-{name.lower()}-{'x' * 32}"
    for name in (
        "COINGECKO_API_KEY",
        "SPARK_CONNECT_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "DATABRICKS_TOKEN",
        "SMTP_PASSWORD",
        "KAFKA_PASSWORD",
        "KAFKA_POLLER_PASSWORD",
        "KAFKA_LAKE_PASSWORD",
        "KAFKA_DASHBOARD_PASSWORD",
        "KAFKA_SENSOR_PASSWORD",
        "OIDC_CLIENT_SECRET",
        "OIDC_COOKIE_SECRET",
    )
}
# What the secrets need beside them to be taken.
BESIDE = {
    "KAFKA_USERNAME": "anyone",
    **{
        f"KAFKA_{role}_USERNAME": role.lower() for role in ("POLLER", "LAKE", "DASHBOARD", "SENSOR")
    },
    "OIDC_METADATA_URL": "http://127.0.0.1:9/.well-known/openid-configuration",
    "OIDC_CLIENT_ID": "client",
    "SMTP_USER": "sender",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": "9",
    "SMTP_TLS": "no",
    "ALERT_EMAIL_TO": "someone@example.org",
    "ALERT_STALE_SECONDS": "10",
    "ALERT_MOVE_PERCENT": "0.01",
}

# All that Dagster tells of runs, their events and logs, ticks and resources.
QUERY = """
query Everything($repository: RepositorySelector!) {
  runsOrError { __typename ... on Runs { results {
    runId status runConfigYaml tags { key value }
    eventConnection(limit: 1000) { __typename ... on EventConnection { events {
      __typename
      ... on MessageEvent { message }
      ... on RunFailureEvent { error { message stack className } }
      ... on ExecutionStepFailureEvent { error { message stack } }
      ... on EngineEvent { error { message stack } metadataEntries { label ...Entry } }
      ... on MaterializationEvent { metadataEntries { label ...Entry } }
    } } }
  } } ... on PythonError { message } }
  allTopLevelResourceDetailsOrError(repositorySelector: $repository) {
    __typename
    ... on ResourceDetailsList { results { name configuredValues { key value type } } }
    ... on PythonError { message }
  }
  repositoryOrError(repositorySelector: $repository) { __typename ... on Repository {
    sensors { name sensorState { ...Ticks } }
    schedules { name scheduleState { ...Ticks } }
  } }
  instance { info }
}
fragment Ticks on InstigationState {
  ticks(limit: 50) { status error { message stack } skipReason }
}
fragment Entry on MetadataEntry {
  ... on TextMetadataEntry { text }
  ... on JsonMetadataEntry { jsonString }
  ... on MarkdownMetadataEntry { mdStr }
  ... on PathMetadataEntry { path }
  ... on UrlMetadataEntry { url }
}
"""
REPOSITORY_QUERY = (
    "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
)


def without_login(*, webhook_port: int) -> dict[str, str]:
    """A value in every secret setting but the identity provider's.

    With one the dashboard would show a login and no market.
    """
    hook = f"http://127.0.0.1:{webhook_port}/{MARK}-webhook"
    given = {**CANARIES, **BESIDE, "ALERT_WEBHOOK_URL": hook}
    return {name: value for name, value in given.items() if not name.startswith("OIDC_")}


def graphql(port: int, query: str, **variables: Any) -> Any:
    """Dagster's answer; one that holds errors is no answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


def everything(port: int) -> Any:
    """What Dagster's page could show of this instance."""
    (node,) = graphql(port, REPOSITORY_QUERY)["repositoriesOrError"]["nodes"]
    selector = {"repositoryName": node["name"], "repositoryLocationName": node["location"]["name"]}
    return graphql(port, QUERY, repository=selector)


def ended_runs(told: Any) -> list[Any]:
    runs = told["runsOrError"]["results"]
    return [run for run in runs if run["status"] in ("SUCCESS", "FAILURE")]


def files_with(mark: str, folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Files that hold it, with what stands around it. Compressed content is not opened."""
    wanted = mark.encode()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            content = file.read_bytes()
            if (at := content.find(wanted)) >= 0:
                yield file, content[max(0, at - 200) : at + 100]


def command_lines(processes: Iterable[int]) -> str:
    return "\n".join(
        file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        for pid in processes
        if (file := Path(f"/proc/{pid}/cmdline")).exists()
    )
