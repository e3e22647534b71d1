"""The commands of the documents: what stands in their shell blocks, one program at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crypto_pipeline_tests.documents import pages

INNER = re.compile(r"\$\((?P<command>(?:[^()']|'[^']*')+)\)")
SETTING = re.compile(r"(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>\S*)\s+")
HERE = ".venv/bin/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One program's line, without settings before it and without our environment's path."""

    page: str
    text: str
    settings: dict[str, str]


def commands() -> list[Command]:
    """Every command in a fenced shell block of any page."""
    return [
        command
        for page in pages.pages()
        for block in pages.blocks(page.read_text())
        if block.kind in ("sh", "bash", "shell", "console")
        for line in lines(block.text)
        for command in programs(line, page=page)
    ]


def mentioned() -> list[Command]:
    """What the prose names as a command of ours: `make up`, `crypto-pipeline audit`."""
    return [
        command
        for page in pages.pages()
        for span in pages.spans(page.read_text())
        for command in programs(span, page=page)
        if command.text.startswith(("make ", "crypto-pipeline ", "kubectl ", "docker compose "))
    ]


def lines(shell: str) -> Iterator[str]:
    """Logical lines: continued ones joined, comments and blank ones left out.

    >>> list(lines("# first\\nmake up   # the user's own\\nhelm a \\\\\\n  --b 'c # d'\\n"))
    ['make up', "helm a --b 'c # d'"]
    """
    for line in re.sub(r"\\\n\s*", "", shell).splitlines():
        bare = _without_comment(line).strip()
        if bare:
            yield bare


def programs(line: str, *, page: Path) -> Iterator[Command]:
    """The programs that a line starts: those of a pipe each, those inside `$(…)` too."""
    for inner in INNER.finditer(line):
        yield _command(inner["command"], page)
    outer = INNER.sub("X", line)
    if not outer.startswith("export "):
        for part in re.split(r" \| | && ", outer.strip("()")):
            yield _command(part, page)


def _command(text: str, page: Path) -> Command:
    settings = {}
    while found := SETTING.match(text):
        settings[found["name"]] = found["value"]
        text = text[found.end() :]
    return Command(page=pages.name(page), text=text.strip().removeprefix(HERE), settings=settings)


def _without_comment(line: str) -> str:
    quote = ""
    for place, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign == "#" and (place == 0 or line[place - 1].isspace()):
            return line[:place]
    return line
