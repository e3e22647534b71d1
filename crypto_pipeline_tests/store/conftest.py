"""One S3-protocol server for all tests of this folder, and a proxy before it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crypto_pipeline_tests.conftest import missing
from crypto_pipeline_tests.helm.rendering import tools
from crypto_pipeline_tests.store.proxy import Proxy, before
from crypto_pipeline_tests.store.server import Store, serving
from crypto_pipeline_tests.store.stack import Stack, deploy


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def _proxy(store: Store) -> Iterator[Proxy]:
    with before(store.port) as running:
        yield running


@pytest.fixture
def proxy(_proxy: Proxy) -> Iterator[Proxy]:
    """Harmless until a test says otherwise, and again after it."""
    yield _proxy
    _proxy.decide, _proxy.hides = lambda _: "pass", frozenset()
    _proxy.review = lambda *_: True
    _proxy.seen.clear()
    _proxy.requests.clear()


@pytest.fixture(scope="session")
def stack(store: Store) -> Stack:
    """The stack of deploy/aws, all of its parts asked for."""
    return deploy(store.url)


@pytest.fixture(scope="session")
def chart_tools() -> None:
    """As the chart's own tests have them."""
    if not (tools() / "complete").exists():
        missing("checkov is not there: sh deploy/kube-tools/build.sh")
