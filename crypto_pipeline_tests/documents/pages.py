"""The documents as data: headings, links, fenced blocks, and the commands in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from crypto_pipeline_tests.conftest import ROOT

FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<body>.*?)^(?P=indent)```$", re.M | re.S)
CODE = re.compile(r"(`+)(?P<text>.+?)\1", re.S)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.M)
ADDRESS = re.compile(r"https?://[^\s)>`\"'|]*[^\s)>`\"'|.,;:]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language (`sh`, `python`, `sql`, `mermaid`, …) and its text."""

    kind: str
    text: str


def pages() -> list[Path]:
    """Every page for people: at the root and in docs."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(text: str) -> list[Block]:
    return [
        Block(
            kind=found["kind"], text=re.sub(rf"^{found['indent']}", "", found["body"], flags=re.M)
        )
        for found in FENCE.finditer(text)
    ]


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return FENCE.sub("", text)


def anchors(text: str) -> list[str]:
    """The names that GitHub gives to the headings, in their order.

    >>> anchors("# One writer a lake\\n## raw/records\\n## raw/records\\n")
    ['one-writer-a-lake', 'rawrecords', 'rawrecords-1']
    """
    seen: dict[str, int] = {}
    found = []
    for heading in HEADING.finditer(prose(text)):
        plain = LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading["text"])
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.append(f"{slug}-{count}" if count else slug)
    return found


def links(text: str) -> list[str]:
    """Targets of links and images, outside of code."""
    return [found["target"] for found in LINK.finditer(CODE.sub("", prose(text)))]


def spans(text: str) -> list[str]:
    """What stands in the prose as `code`, on one line each."""
    return [" ".join(found["text"].split()) for found in CODE.finditer(prose(text))]
