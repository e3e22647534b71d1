"""The README in two languages says the same, and is short; the changelog knows the version."""

from __future__ import annotations

import re

from crypto_pipeline.version import VERSION
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.documents import pages, shell

ENGLISH, PORTUGUESE = ((ROOT / name).read_text() for name in ("README.md", "README.pt-BR.md"))
# Two screens of a reader's, prose and blocks together.
LINES = 100


def levels(text: str) -> list[int]:
    return [len(h[0]) - len(h[0].lstrip("#")) for h in pages.HEADING.finditer(pages.prose(text))]


def commands(text: str) -> list[str]:
    return [
        line
        for block in pages.blocks(text)
        if block.kind == "sh"
        for line in shell.lines(block.text)
    ]


def test_both_have_the_same_headings_and_commands() -> None:
    assert levels(ENGLISH) == levels(PORTUGUESE)
    assert commands(ENGLISH) == commands(PORTUGUESE)
    assert len(commands(ENGLISH)) >= 5
    assert [b.kind for b in pages.blocks(ENGLISH)] == [b.kind for b in pages.blocks(PORTUGUESE)]


def test_both_lead_to_the_same_pages_and_to_each_other() -> None:
    others = {"README.md", "README.pt-BR.md"}
    assert "README.pt-BR.md" in pages.links(ENGLISH)
    assert "README.md" in pages.links(PORTUGUESE)
    assert [t for t in pages.links(ENGLISH) if t not in others] == [
        t for t in pages.links(PORTUGUESE) if t not in others
    ]


def test_what_stands_as_code_is_the_same_in_both() -> None:
    assert pages.spans(ENGLISH) == pages.spans(PORTUGUESE)


def test_it_is_read_in_two_screens() -> None:
    for text in (ENGLISH, PORTUGUESE):
        assert len(text.splitlines()) <= LINES


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert VERSION in text
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
