"""A killed stack of one's own, with its lake in a folder or in a store that harms requests."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crypto_pipeline import settings as settings_module
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import free_port
from crypto_pipeline_tests.crash.faulty_store import FaultyStore
from crypto_pipeline_tests.crash.killed_stack import KilledStack, killed_stack
from crypto_pipeline_tests.store import proxy, server


@contextmanager
def in_bucket(folder: Path, dice: random.Random) -> Iterator[tuple[Settings, FaultyStore]]:
    """Settings of a lake in a store of its own, behind a proxy that harms requests."""
    with server.serving() as store, proxy.before(store.port) as before:
        values = {**store.settings("lake"), "AWS_ENDPOINT_URL": before.url}
        yield fresh_settings(folder, **values), FaultyStore(before, dice)


def fresh_settings(folder: Path, **options: str) -> Settings:
    """A state folder and ports of its own; jars come from where they always are."""
    names = ("KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "SPARK_PORT")
    values = {"STATE_DIR": str(folder), "MARKET": "simulated", "HISTORY_HOURS": "0", **options}
    ports = {name: str(free_port()) for name in names}
    return settings_module.load({**values, **ports}, env_file=folder / "no.env")


@contextmanager
def a_stack(*, is_in_bucket: bool, dice: random.Random) -> Iterator[KilledStack]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not is_in_bucket:
            with killed_stack(fresh_settings(folder)) as stack:
                yield stack
            return
        with in_bucket(folder, dice) as (settings, store), killed_stack(settings, store) as stack:
            yield stack
