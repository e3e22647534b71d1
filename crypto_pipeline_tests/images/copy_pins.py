"""`python -m crypto_pipeline_tests.images.copy_pins`: the selections of requirements.lock anew.

dashboard.lock and setuptools.lock hold some of its packages, without extras. A package that a
newer one needs in addition is named by the build, which refuses it: write its name as a line of
its own into the selection, and run this again.
"""

from __future__ import annotations

import re

from crypto_pipeline_tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "docker"
MAIN = ROOT / "requirements.lock"
SELECTIONS = ("dashboard.lock", "setuptools.lock")
BLOCK = re.compile(r"^[a-zA-Z0-9].*(?:\n .*)*", re.MULTILINE)
EXTRAS = re.compile(r"\[[^]]*\]")


def name(block: str) -> str:
    return re.split(r"[\[=; ]", block.splitlines()[0], maxsplit=1)[0]


def copied(selection: str, main: str) -> str:
    """The blocks of `main` whose packages `selection` names, in the order of `main`."""
    wanted = {name(block) for block in BLOCK.findall(selection)}
    found = [block for block in BLOCK.findall(main) if name(block) in wanted]
    absent = wanted - {name(block) for block in found}
    if absent:
        raise SystemExit(
            f"requirements.lock has no {', '.join(sorted(absent))}. Take the line out."
        )
    return "".join(EXTRAS.sub("", block, count=1) + "\n" for block in found)


def main() -> None:
    for selection in SELECTIONS:
        file = FOLDER / selection
        file.write_text(copied(file.read_text(), MAIN.read_text()))


if __name__ == "__main__":
    main()
