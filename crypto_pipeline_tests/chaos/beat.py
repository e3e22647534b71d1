"""Polls oftener than once a minute: Dagster is asked for a run of ingestion, as a person may.

A cron of Dagster has no seconds. The stack's own schedule and sensors run as ever beside it. The
market's minutes are shorter than ours, and each is asked for as it begins.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crypto_pipeline.automation import CYCLE_JOB, INGESTION_JOB
from crypto_pipeline.settings import Settings
from crypto_pipeline.source.clock import minute_of

# Two cores take no more; a minute of a market that is faster is left out.
SECONDS = 10.0
LOOK_SECONDS = 1.0
# A poll beside a cycle takes cores from it; but a cycle that died is not waited for.
PATIENCE_SECONDS = 40.0
REPOSITORY = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"
LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!) { launchRun(executionParams: {
  selector: $selector, runConfigData: "{}", mode: "default"}) { __typename } }
"""
UNFINISHED = """
query Unfinished($job: String) { runsOrError(filter: {pipelineName: $job, statuses:
  [QUEUED, NOT_STARTED, STARTING, STARTED, CANCELING]}) {
  ... on Runs { results { runId jobName status startTime } } } }
"""
SENSOR_STATES = """
query States($selector: RepositorySelector!) { repositoryOrError(repositorySelector: $selector) {
  ... on Repository { schedules { name scheduleState { id selectorId } }
    sensors { name sensorState { id selectorId } } } } }
"""
STOP_SCHEDULE = """
mutation Stop($id: String!) { stopRunningSchedule(id: $id) { __typename
  ... on PythonError { message } } }
"""
STOP_SENSOR = "mutation Stop($id: String!) { stopSensor(id: $id) { __typename } }"
LOCATION = "crypto_pipeline"


@dataclass
class Beat:
    """Call it as often as you like; it asks for a poll when one is due and none goes on.

    `market_now` is the market's clock, which may step.
    """

    settings: Settings
    market_now: Callable[[], datetime]
    asked: int = 0
    _next: float = 0.0
    _latest: float = 0.0
    _minute: datetime | None = None

    def __call__(self) -> None:
        now, minute = time.monotonic(), minute_of(self.market_now())
        if now < self._next or minute == self._minute:
            return
        self._next = now + LOOK_SECONDS
        if self.unfinished(CYCLE_JOB) and now < self._latest:
            return
        if self.ask_now():
            self._next, self._latest = now + SECONDS, now + PATIENCE_SECONDS
            self._minute = minute

    def ask_now(self) -> bool:
        """Whether a poll was asked for; no web server, or a poll that goes on, is no error."""
        if self.unfinished(INGESTION_JOB) != []:
            return False
        name = self.repository()
        if name is None:
            return False
        selector = {
            "repositoryName": name,
            "repositoryLocationName": LOCATION,
            "jobName": INGESTION_JOB,
        }
        done = self.graphql(LAUNCH, selector=selector)
        self.asked += 1
        return bool(done)

    def unfinished(self, job: str | None = None) -> list[dict[str, Any]] | None:
        """Runs that wait or go on, None where nobody answers."""
        found = self.graphql(UNFINISHED, job=job)
        return None if not found else found["runsOrError"].get("results")

    def repository(self) -> str | None:
        found = self.graphql(REPOSITORY)
        nodes = found.get("repositoriesOrError", {}).get("nodes", [])
        return nodes[0]["name"] if nodes else None

    def stop_all_but(self, kept: str) -> None:
        """Stop every schedule and sensor but one, as a person would on Dagster's page."""
        selector = {"repositoryName": self.repository(), "repositoryLocationName": LOCATION}
        found = self.graphql(SENSOR_STATES, selector=selector)["repositoryOrError"]
        for one in found["schedules"]:
            self.graphql(STOP_SCHEDULE, id=one["scheduleState"]["id"])
        for one in found["sensors"]:
            if one["name"] != kept:
                self.graphql(STOP_SENSOR, id=one["sensorState"]["id"])

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer's data, empty where nobody answers."""
        body = json.dumps({"query": query, "variables": variables})
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.dagster_port, timeout=15)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/graphql", body=body, headers=headers)
            return json.loads(connection.getresponse().read()).get("data") or {}
        except (OSError, ValueError, http.client.HTTPException):
            return {}
        finally:
            connection.close()
