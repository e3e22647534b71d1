"""Databricks: is the workspace reached, is the token good, and may it do what our runs need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx

from crypto_pipeline.databricks.wheel import WHEEL, wheel_path
from crypto_pipeline.databricks_settings import DatabricksSettings
from crypto_pipeline.doctor.finding import Finding, fine, idle, wrong
from crypto_pipeline.errors import SettingsError

TIMEOUT = httpx.Timeout(10.0)
WHOAMI = "/api/2.0/preview/scim/v2/Me"
JOBS = "/api/2.2/jobs/list"
FILES = "/api/2.0/fs"
CLUSTER = "/api/2.1/clusters/get"


def look(
    databricks: DatabricksSettings, *, transport: httpx.BaseTransport | None = None
) -> Iterator[Finding]:
    """Where the token is refused, nothing else is tried."""
    runs = databricks.runner == "databricks"
    if databricks.host is None and databricks.token is None and not runs:
        yield idle("Databricks", "Neither DATABRICKS_HOST nor DATABRICKS_TOKEN is set.")
        return
    lacking = "DATABRICKS_HOST" if databricks.host is None else "DATABRICKS_TOKEN"
    if not runs and (databricks.host is None or databricks.token is None):
        yield wrong("Databricks", f"{lacking} is not set.", "Set both, or neither.")
        return
    try:
        host, headers = _way_in(databricks)
    except SettingsError as error:
        yield wrong("Databricks", str(error))
        return
    if not host.startswith("https://") and transport is None:
        yield wrong(
            "Databricks",
            f"DATABRICKS_HOST is {host}: the token would travel unencrypted.",
            "Set it to https://… as the browser shows it.",
        )
        return
    with httpx.Client(
        base_url=host, headers=dict(headers), timeout=TIMEOUT, transport=transport
    ) as client:
        yield from _asked(client, databricks)


def _way_in(databricks: DatabricksSettings) -> tuple[str, Mapping[str, str]]:
    """The host and the headers that our runs go with; raises SettingsError."""
    if databricks.host is not None and databricks.token is not None:
        return databricks.host, {"Authorization": f"Bearer {databricks.token.reveal()}"}
    # The workspace's client takes a second to import, and most have a token.
    from crypto_pipeline.databricks.access import signed

    return signed(databricks)


def _asked(client: httpx.Client, databricks: DatabricksSettings) -> Iterator[Finding]:
    first = _token(client)
    yield first
    if first.verdict == "wrong":
        return
    yield _right(client, "jobs", JOBS, {"limit": "1"}, "see and run jobs (workspace access)")
    if databricks.volume is not None:
        needed = f"READ VOLUME and WRITE VOLUME on {databricks.volume} (DATABRICKS_VOLUME)"
        yield _right(client, "volume", f"{FILES}/directories{databricks.volume}", {}, needed)
    if databricks.runner == "databricks":
        needed = f"{WHEEL} in that volume, and READ VOLUME (docs/databricks.md)"
        place = f"{FILES}/files{wheel_path(databricks)}"
        yield _right(client, "wheel", place, {}, needed, method="HEAD")
    if databricks.cluster_id is not None:
        needed = f"attach to the cluster {databricks.cluster_id} (DATABRICKS_CLUSTER_ID)"
        yield _right(client, "cluster", CLUSTER, {"cluster_id": databricks.cluster_id}, needed)


def _token(client: httpx.Client) -> Finding:
    subject, host = "Databricks", str(client.base_url).rstrip("/")
    try:
        status = client.get(WHOAMI).status_code
    except httpx.HTTPError as error:
        return wrong(
            subject,
            f"{host} does not answer ({type(error).__name__}).",
            "Correct DATABRICKS_HOST (https://….cloud.databricks.com), or check the network and "
            "HTTPS_PROXY.",
        )
    if status in (401, 403):
        return wrong(
            subject,
            f"{host} refuses the token ({status}).",
            "Make a new one in the workspace's settings, under Developer, and set "
            "DATABRICKS_TOKEN; check that it is of this workspace and has not expired.",
        )
    if status != httpx.codes.OK:
        return wrong(
            subject,
            f"{host} answered {status} where a workspace says who one is.",
            "Correct DATABRICKS_HOST: the workspace's own address, not the account console's.",
        )
    return fine(subject, f"{host} knows the token.")


def _right(
    client: httpx.Client,
    what: str,
    path: str,
    query: dict[str, str],
    needed: str,
    *,
    method: str = "GET",
) -> Finding:
    """May it look there? What it may start, a workspace tells only when it is started."""
    subject = f"Databricks {what}"
    try:
        status = client.request(method, path, params=query).status_code
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
