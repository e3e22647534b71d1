"""Every link of every page leads somewhere: to a file, to a heading, to a well-formed address."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.documents import pages

PAGES = pages.pages()


def broken(page: Path, text: str) -> list[str]:
    """The targets in a page's text that lead nowhere; addresses are judged by their form."""
    found = []
    for target in pages.links(text):
        if re.match(r"[a-z]+:", target):
            parts = urlsplit(target)
            is_whole = parts.scheme in ("http", "https", "mailto") and (parts.netloc or parts.path)
        else:
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            is_whole = file.exists() and ROOT in (file, *file.parents)
            if is_whole and anchor:
                there = text if file == page else file.read_text()
                is_whole = anchor in pages.anchors(there)
        if not is_whole:
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page, page.read_text()) == []


@pytest.mark.parametrize(
    "target",
    ["nowhere.md", "#nowhere", "README.md#nowhere", "../outside.md", "https://", "ftp://a.org"],
)
def test_a_link_that_leads_nowhere_is_found(target: str) -> None:
    text = f"# Here\n[a](#here) [b](docs/metrics.md#labels) [c]({target})\n"
    assert broken(ROOT / "README.md", text) == [target]


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_every_address_has_a_host(page: Path) -> None:
    for address in pages.ADDRESS.findall(page.read_text()):
        assert re.fullmatch(r"[\w.-]+(:\d+)?", urlsplit(address).netloc), address


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_no_page_has_the_marks_of_a_merge(page: Path) -> None:
    assert not re.search(r"^(<{7}|={7}|>{7})( |$)", page.read_text(), re.MULTILINE)


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = {ROOT / "README.md"}, [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        for target in pages.links(page.read_text()):
            file = (page.parent / target.partition("#")[0]).resolve()
            if file.suffix == ".md" and file.is_file() and file not in reached:
                reached.add(file)
                waiting.append(file)
    assert [pages.name(page) for page in PAGES if page not in reached] == []
