"""The way into a workspace: the settings' token, else the chain of the workspace's own client."""

from __future__ import annotations

from collections.abc import Mapping

from databricks.sdk.core import Config
from databricks.sdk.errors.base import DatabricksError
from requests import RequestException

from crypto_pipeline.databricks_settings import DatabricksSettings
from crypto_pipeline.errors import SettingsError


def config(databricks: DatabricksSettings, *, patience_seconds: int) -> Config:
    """A workspace that does not answer is asked again for `patience_seconds`.

    Raises SettingsError when neither the settings nor the chain lead in.
    """
    token = None if databricks.token is None else databricks.token.reveal()
    try:
        return Config(
            host=databricks.host,
            token=token,
            product="crypto-pipeline",
            retry_timeout_seconds=patience_seconds,
        )
    except ValueError as error:
        raise SettingsError(
            f"No way into Databricks: {error}. Set DATABRICKS_HOST and DATABRICKS_TOKEN, or "
            "a service principal's variables."
        ) from error


def signed(databricks: DatabricksSettings) -> tuple[str, Mapping[str, str]]:
    """Where requests go and the headers that say who asks; raises SettingsError."""
    found = config(databricks, patience_seconds=10)
    try:
        return str(found.host), found.authenticate()
    except (ValueError, DatabricksError, RequestException) as error:
        raise SettingsError(
            f"No way into Databricks: {type(error).__name__} for the credentials of its own "
            "client. Check the service principal's variables, or set DATABRICKS_TOKEN."
        ) from error
