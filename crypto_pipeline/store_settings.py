"""How an object store is reached: keys or a role, region, endpoint, and which root means one.

The names are the usual ones of AWS; without keys every client takes the provider's own chain
(the role of an instance, of a pod or of a task).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crypto_pipeline import setting_values
from crypto_pipeline.errors import SettingsError
from crypto_pipeline.setting_values import Secret

SCHEME = "s3a://"
ROOT_FORM = re.compile(r"s3a?://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[\w.=!*'()-]+)*)/?")
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """`endpoint` is None for AWS itself; a custom one is asked with the bucket in the path."""

    access_key_id: Secret | None
    secret_access_key: Secret | None
    session_token: Secret | None
    region: str
    endpoint: str | None

    def place(self) -> dict[str, str]:
        """The variables that say where the store is; no secrets in it."""
        values = {
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
        }
        return {name: value for name, value in values.items() if value is not None}

    def environment(self) -> dict[str, str]:
        """What a client of the store in a process of its own finds under the standard names.

        With the keys: never to be printed, and written only where we alone can read. Raises
        SettingsError for half a pair of keys.
        """
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise SettingsError(
                "Only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set. Set both, or "
                "none to use the role of this machine."
            )
        keys = {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }
        return {
            **self.place(),
            **{name: key.reveal() for name, key in keys.items() if key is not None},
        }


def load(values: Mapping[str, str]) -> StoreSettings:
    access = setting_values.secret(values, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")
    secret = setting_values.secret(values, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")
    endpoint = None
    if "AWS_ENDPOINT_URL" in values:
        endpoint = setting_values.url(values, "AWS_ENDPOINT_URL", "http://minio.local:9000")
    return StoreSettings(
        access_key_id=access,
        secret_access_key=secret,
        session_token=setting_values.secret(values, "AWS_SESSION_TOKEN"),
        region=values.get("AWS_REGION") or values.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,
        endpoint=endpoint,
    )


def lake_root(values: Mapping[str, str]) -> str | None:
    """LAKE_ROOT as `s3a://bucket/prefix` or an absolute folder; None when it is not set.

    >>> lake_root({"LAKE_ROOT": "s3://market-data/lake/"})
    's3a://market-data/lake'
    """
    text = values.get("LAKE_ROOT")
    if text is None:
        return None
    if "://" not in text:
        return str(Path(text).expanduser().absolute())
    found = ROOT_FORM.fullmatch(text)
    if found is None:
        raise SettingsError(
            f"LAKE_ROOT is {text!r}. Accepted: a folder, or s3a://bucket/prefix with a bucket's "
            "name in lower case."
        )
    return f"{SCHEME}{found[1]}{found[2]}"


def is_in_store(root: str) -> bool:
    """Whether tables under this root are objects, not files."""
    return root.startswith(SCHEME)


def is_in_catalog(path: str) -> bool:
    """Whether a table is one that only the engine's own catalog may open.

    >>> [is_in_catalog(path) for path in ("market.gold.candles_1m", "s3://b/gold/candles_1m")]
    [True, True]
    >>> [is_in_catalog(path) for path in ("s3a://b/gold/candles_1m", "/lake/gold/candles_1m")]
    [False, False]
    """
    return "/" not in path or ("://" in path and not is_in_store(path))


def bucket_and_prefix(root: str) -> tuple[str, str]:
    """
    >>> bucket_and_prefix("s3a://market-data/lake/live")
    ('market-data', 'lake/live')
    """
    bucket, _, prefix = root.removeprefix(SCHEME).partition("/")
    return bucket, prefix.strip("/")
