"""A test that renders needs helm, and says so where it is missing."""

from __future__ import annotations

import pytest

from crypto_pipeline_tests.conftest import missing
from crypto_pipeline_tests.helm.rendering import tools


@pytest.fixture(scope="session")
def chart_tools() -> None:
    if not (tools() / "complete").exists():
        missing("helm, kube-score and checkov are not there: sh deploy/kube-tools/build.sh")
