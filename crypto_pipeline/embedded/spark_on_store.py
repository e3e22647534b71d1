"""What the Spark server gets when the lake is in an object store: settings, jars, credentials."""

from __future__ import annotations

from crypto_pipeline.settings import Settings
from crypto_pipeline.store_settings import StoreSettings, is_in_store

# Keys come by the server's own environment; without them the provider's chain finds the role.
KEYS = "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider"
ROLE = "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider"


def configuration(settings: Settings) -> dict[str, str]:
    """Spark's settings for s3a; empty for a lake in a folder. No secret is among them."""
    if not is_in_store(settings.lake_root):
        return {}
    store = settings.store
    values = {
        "aws.credentials.provider": ROLE if store.access_key_id is None else KEYS,
        "endpoint.region": store.region,
        # The default stream reads ahead for large scans; our files are a minute's rows.
        "input.stream.type": "classic",
        # A new folder is made without a look at those above it, which no role may read.
        "performance.flags": "mkdir",
        # Uploads are staged on disk; beside Spark's own scratch they go when it is cleared.
        "buffer.dir": str(settings.state_dir / "spark-local" / "s3a"),
        **_endpoint(store),
    }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in values.items()}


def environment(settings: Settings) -> dict[str, str]:
    """The store's variables for the server's process, keys among them."""
    return settings.store.environment() if is_in_store(settings.lake_root) else {}


def _endpoint(store: StoreSettings) -> dict[str, str]:
    if store.endpoint is None:
        return {}
    return {
        "endpoint": store.endpoint,
        "path.style.access": "true",
        "connection.ssl.enabled": str(store.endpoint.startswith("https://")).lower(),
    }
