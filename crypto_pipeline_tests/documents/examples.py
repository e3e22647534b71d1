"""The examples in the documents: what they print, and their form without the numbers."""

from __future__ import annotations

import re

from crypto_pipeline_tests.documents import pages

# A line that only draws, and what parts the cells of a row.
BORDER = re.compile(r"^[\s─━┃┏┓┗┛┡┩└┘┴┬├┤┼╇╈│┳┻]*$")
BAR = re.compile(r"[│┃]")
LEFT_OUT = "[…]"


def after(text: str, command: str) -> str:
    """What stands in the text block behind the block with a command."""
    found = pages.blocks(text)
    places = [n for n, one in enumerate(found) if one.kind == "sh" and command in one.text]
    assert places, f"no block has {command}"
    example = found[places[0] + 1]
    assert example.kind == "text", f"no example follows {command}"
    return example.text


def rows(text: str) -> list[list[str]]:
    """The cells of every row of the grids in it, the headings among them."""
    return [
        [cell.strip() for cell in BAR.split(line)[1:-1]]
        for line in text.splitlines()
        if BAR.search(line) and not BORDER.match(line)
    ]


def form(line: str) -> str:
    """A line with a 0 for every number, time, id and hash in it.

    >>> form("  bronze batch 2: 1,204 candle, 3 tick")
    'bronze batch 0: 0 candle, 0 tick'
    """
    plain = re.sub(r"[0-9a-f]{16,}", "0", " ".join(line.split()))
    return re.sub(r"\d+(?:[.,:T-]\d+)*Z?", "0", plain)


def links(text: str) -> list[str]:
    """The tables of a chain, in its order."""
    return re.findall(r"^└─ (\S+)", text, re.MULTILINE)
