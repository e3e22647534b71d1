"""Databricks: is the workspace reached, is the token good, and may it do what our runs need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx

from crypto_pipeline.doctor.finding import Finding, fine, idle, wrong
from crypto_pipeline.setting_values import Secret

TIMEOUT = httpx.Timeout(10.0)
WHOAMI = "/api/2.0/preview/scim/v2/Me"
JOBS = "/api/2.1/jobs/list"
WAREHOUSES = "/api/2.0/sql/warehouses"
FILES = "/api/2.0/fs/directories"
CLUSTER = "/api/2.1/clusters/get"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Where it is and as whom; `volume` and `cluster_id` are asked for where they are set."""

    host: str | None
    token: Secret | None
    volume: str | None = None
    cluster_id: str | None = None


def look(
    workspace: Workspace, *, transport: httpx.BaseTransport | None = None
) -> Iterator[Finding]:
    """Where the token is refused, nothing else is tried."""
    if workspace.host is None and workspace.token is None:
        yield idle("Databricks", "Neither DATABRICKS_HOST nor DATABRICKS_TOKEN is set.")
        return
    if workspace.host is None or workspace.token is None:
        lacking = "DATABRICKS_HOST" if workspace.host is None else "DATABRICKS_TOKEN"
        yield wrong("Databricks", f"{lacking} is not set.", "Set both, or neither.")
        return
    if not workspace.host.startswith("https://") and transport is None:
        yield wrong(
            "Databricks",
            f"DATABRICKS_HOST is {workspace.host}: the token would travel unencrypted.",
            "Set it to https://… as the browser shows it.",
        )
        return
    client = httpx.Client(
        base_url=workspace.host,
        headers={"Authorization": f"Bearer {workspace.token.reveal()}"},
        timeout=TIMEOUT,
        transport=transport,
    )
    with client:
        yield from _asked(client, workspace)


def _asked(client: httpx.Client, workspace: Workspace) -> Iterator[Finding]:
    first = _token(client, workspace)
    yield first
    if first.verdict == "wrong":
        return
    yield _right(client, "jobs", JOBS, {"limit": "1"}, "see and run jobs (workspace access)")
    yield _right(client, "warehouses", WAREHOUSES, {}, "use SQL warehouses (Databricks SQL access)")
    if workspace.volume is not None:
        needed = f"READ VOLUME and WRITE VOLUME on {workspace.volume} (DATABRICKS_VOLUME)"
        yield _right(client, "volume", f"{FILES}{workspace.volume}", {}, needed)
    if workspace.cluster_id is not None:
        needed = f"attach to the cluster {workspace.cluster_id} (DATABRICKS_CLUSTER_ID)"
        yield _right(client, "cluster", CLUSTER, {"cluster_id": workspace.cluster_id}, needed)


def _token(client: httpx.Client, workspace: Workspace) -> Finding:
    subject = "Databricks"
    try:
        status = client.get(WHOAMI).status_code
    except httpx.HTTPError as error:
        return wrong(
            subject,
            f"{workspace.host} does not answer ({type(error).__name__}).",
            "Correct DATABRICKS_HOST (https://….cloud.databricks.com), or check the network and "
            "HTTPS_PROXY.",
        )
    if status in (401, 403):
        return wrong(
            subject,
            f"{workspace.host} refuses the token ({status}).",
            "Make a new one in the workspace's settings, under Developer, and set "
            "DATABRICKS_TOKEN; check that it is of this workspace and has not expired.",
        )
    if status != httpx.codes.OK:
        return wrong(
            subject,
            f"{workspace.host} answered {status} where a workspace says who one is.",
            "Correct DATABRICKS_HOST: the workspace's own address, not the account console's.",
        )
    return fine(subject, f"{workspace.host} knows the token.")


def _right(
    client: httpx.Client, what: str, path: str, query: dict[str, str], needed: str
) -> Finding:
    """May it look there? What it may start, a workspace tells only when it is started."""
    subject = f"Databricks {what}"
    try:
        status = client.get(path, params=query).status_code
    except httpx.HTTPError as error:
        return wrong(
            subject, f"No answer ({type(error).__name__}).", "Try again, and check the network."
        )
    if status == httpx.codes.OK:
        return fine(subject, "The token may look there.")
    if status == httpx.codes.NOT_FOUND:
        return wrong(
            subject, "It is not there.", f"Make it, or correct its name; needed: {needed}."
        )
    return wrong(
        subject,
        f"The token may not look there ({status}).",
        f"Have an administrator grant its user: {needed}.",
    )
