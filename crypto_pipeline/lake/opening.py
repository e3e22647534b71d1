"""Look into a lake without a JVM, wherever it is: a folder, or a bucket by its settings.

The paths carry no credentials, so a bucket's are taken from the settings at each opening. What
only an engine's own catalog may open is asked of its Spark.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_pipeline import settings as settings_module
from crypto_pipeline.errors import StoreAwayError
from crypto_pipeline.lake.spark_log import SparkTable, open_in_spark
from crypto_pipeline.store_settings import StoreSettings, is_in_catalog, is_in_store

if TYPE_CHECKING:
    from deltalake import DeltaTable

# The client's own patience is three minutes; a sensor has to say within its minute what is wrong.
PATIENCE = {
    "connect_timeout": "5s",
    "timeout": "30s",
    "max_retries": "5",
    "retry_timeout": "20s",
}

_look: ContextVar[dict[str, DeltaTable] | None] = ContextVar("look", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Within it a table is opened once, and seen as it was then: for planning, before a commit.

    Threads that are started meanwhile look for themselves.
    """
    token = _look.set({})
    try:
        yield
    finally:
        _look.reset(token)


def look_again(path: str) -> None:
    """To be called after a change of a table within one look."""
    (_look.get() or {}).pop(path, None)


def open_delta(path: str) -> DeltaTable | None:
    """The table's newest version, or the one of this look; None where there is no table.

    Raises StoreAwayError when the object store does not answer or refuses.
    """
    seen = _look.get()
    if seen is None:
        return _open_newest(path)
    if path not in seen:
        newest = _open_newest(path)
        if newest is None:
            return None
        seen[path] = newest
    return seen[path]


def _open_newest(path: str) -> DeltaTable | None:
    if not is_in_store(path):
        return _open(path, None)
    store = settings_module.load().store
    with _answering(path, store):
        return _open(path, storage_options(store))


def open_any(path: str) -> DeltaTable | SparkTable | None:
    """The same, and for the names and places of a catalog the table as its engine has it."""
    return open_in_spark(path) if is_in_catalog(path) else open_delta(path)


def exists(root: str, name: str) -> bool:
    """Whether there is a file or object of this name under a lake's root."""
    if not is_in_store(root):
        return (Path(root) / name).exists()
    store = settings_module.load().store
    with _answering(f"{root}/{name}", store):
        from deltalake.fs import DeltaStorageHandler
        from pyarrow.fs import FileType

        (info,) = DeltaStorageHandler(root, storage_options(store)).get_file_info([name])
    return info.type is not FileType.NotFound


@contextmanager
def _answering(path: str, store: StoreSettings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreAwayError(
            f"The object store at {store.endpoint or 'AWS'} did not give {path}: "
            f"{_first_words(error)}. Check the bucket, its rights and the AWS_ settings "
            "(docs/s3.md)."
        ) from error


def storage_options(store: StoreSettings) -> dict[str, str]:
    """What deltalake is to know of the store; it holds the keys, so it is never printed."""
    options = {**store.environment(), **PATIENCE}
    if store.endpoint is not None and store.endpoint.startswith("http://"):
        options["AWS_ALLOW_HTTP"] = "true"
    return options


def _open(path: str, options: dict[str, str] | None) -> DeltaTable | None:
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        return DeltaTable(path, storage_options=options)
    except TableNotFoundError:
        return None


def _first_words(error: Exception) -> str:
    """One line without the arrows and colours that the client draws."""
    plain = " ".join(word for word in str(error).split() if word.isascii() and "\x1b" not in word)
    return plain[:300]
