"""Dagster runs whose process died with an earlier stack.

Dagster's own launcher cannot tell that such a run is dead: it would hold the lake's pool until the
longest run time has passed. Asked over the web server, before the daemon starts.
"""

from __future__ import annotations

import http.client
import json
from typing import Any

from crypto_pipeline.errors import ServiceError
from crypto_pipeline.settings import Settings

FIND = """
query { runsOrError(filter: {statuses: [STARTING, STARTED, CANCELING, NOT_STARTED]}) {
  __typename ... on Runs { results { runId } } } }
"""
END = """
mutation End($ids: [String!]!) { terminateRuns(
  runIds: $ids, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) { __typename } }
"""


def end_all(settings: Settings) -> int:
    """Mark them as cancelled; only while nothing can be running. Returns how many there were."""
    found = _ask(settings, FIND, {})["runsOrError"]
    ids = [run["runId"] for run in found.get("results", [])]
    if ids:
        _ask(settings, END, {"ids": ids})
    return len(ids)


def _ask(settings: Settings, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps({"query": query, "variables": variables})
    headers = {"Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", settings.dagster_port, timeout=30)
    try:
        connection.request("POST", "/graphql", body=body, headers=headers)
        answer = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ServiceError(
            f"Dagster did not say which runs are left from before: {error}. Start again; "
            f"{settings.home / 'logs' / 'dagster.log'} tells more."
        ) from error
    if "errors" in answer:
        raise ServiceError(f"Dagster refused to end runs left from before: {answer['errors']}")
    data: dict[str, Any] = answer["data"]
    return data
