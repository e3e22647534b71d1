"""Dagster's own folder: its instance settings, its workspace, and whether its parts answer."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from crypto_pipeline.embedded.launch import PROJECT_ROOT
from crypto_pipeline.settings import Settings
from crypto_pipeline.store_settings import bucket_and_prefix, is_in_store

HEARTBEAT_SECONDS = 45
WORKSPACE = """\
load_from:
  - grpc_server:
      host: 127.0.0.1
      port: {port}
      location_name: crypto_pipeline
"""
# What deploy/dagster.yaml says, and what stands there for a lake in an object store. The clients
# of the store take keys or the role from their environment, never from this file.
NO_COMPUTE_LOGS = """\
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""
COMPUTE_LOGS = """\
  module: dagster_aws.s3.compute_log_manager
  class: S3ComputeLogManager
  config:
    bucket: {bucket}
    prefix: {prefix}
    local_dir: {folder}
    skip_empty_files: true
    region:
      env: AWS_REGION
"""
STORAGE = """
storage:
  custom:
    module: crypto_pipeline.resources.event_log
    class: History
    config:
      base_dir: {folder}
"""
ENDPOINT = """\
    endpoint_url:
      env: AWS_ENDPOINT_URL
"""


def folder(settings: Settings) -> Path:
    return settings.home / "dagster"


def prepare(settings: Settings) -> None:
    folder(settings).mkdir(parents=True, exist_ok=True)
    instance = (PROJECT_ROOT / "deploy" / "dagster.yaml").read_text()
    storage = STORAGE.format(folder=json.dumps(str(folder(settings))))
    text = with_compute_logs(instance, settings) + storage
    (folder(settings) / "dagster.yaml").write_text(text)
    workspace = WORKSPACE.format(port=settings.code_server_port)
    (folder(settings) / "workspace.yaml").write_text(workspace)


def with_compute_logs(instance: str, settings: Settings) -> str:
    """The instance's settings with the output of runs kept beside a lake in an object store."""
    if not is_in_store(settings.lake_root):
        return instance
    bucket, prefix = bucket_and_prefix(settings.lake_root)
    # A JSON text is a YAML text, whatever characters a path has.
    logs = COMPUTE_LOGS.format(
        bucket=json.dumps(bucket),
        prefix=json.dumps(f"{prefix}/_dagster".strip("/")),
        folder=json.dumps(str(folder(settings) / "output")),
    )
    if settings.store.endpoint is not None:
        logs += ENDPOINT
    return instance.replace(NO_COMPUTE_LOGS, logs)


def is_code_served(settings: Settings) -> bool:
    """Whether the code server has loaded the definitions and says so on gRPC's health service."""
    with grpc.insecure_channel(f"127.0.0.1:{settings.code_server_port}") as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service="DagsterApi"), timeout=2
            )
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def is_daemon_alive(settings: Settings) -> bool:
    """Whether the daemon wrote a heartbeat lately; it has no port of its own to ask."""
    database = folder(settings) / "history" / "runs.db"
    if not database.exists():
        return False
    oldest = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=HEARTBEAT_SECONDS)
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            query = "SELECT count(*) FROM daemon_heartbeats WHERE timestamp > ?"
            (count,) = connection.execute(query, (oldest.isoformat(sep=" "),)).fetchone()
    except sqlite3.OperationalError:
        # The first process to start makes the tables; until then there is nothing to ask.
        return False
    return bool(count)
