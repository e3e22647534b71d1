"""Which sessions are tried, on a server that closes each when it has been left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crypto_pipeline.errors import SparkAwayError
from crypto_pipeline.lake import session
from crypto_pipeline.settings import Settings

MakeSettings = Callable[..., Settings]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that were opened, in their order; none can be opened a second time."""
    seen: list[str] = []

    def open_once(settings: Settings, name: str) -> Any:
        if name in seen:
            return None
        seen.append(name)
        return name

    monkeypatch.setattr(session, "knock", lambda _: None)
    monkeypatch.setattr(session, "_open", open_once)
    return seen


def test_the_audit_of_every_night_of_a_year_gets_a_session(
    make_settings: MakeSettings, opened: list[str]
) -> None:
    settings = make_settings()
    for _ in range(365):
        session.connect(settings, role="auditor")
    assert len(set(opened)) == 365


def test_a_writer_goes_along_the_row_of_its_lake(
    make_settings: MakeSettings, opened: list[str]
) -> None:
    settings, other = make_settings(), make_settings()
    for _ in range(3):
        session.connect(settings)
    assert opened == list(session.session_ids(settings, role=session.WRITER))[:3]
    assert not set(opened) & set(session.session_ids(other, role=session.WRITER))
    for _ in range(session.GENERATIONS - 3):
        session.connect(settings)
    with pytest.raises(SparkAwayError, match="refuses every session of lake-writer"):
        session.connect(settings)
