"""The wheel for a Databricks runtime: what is in it and what it asks for."""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZipFile

from crypto_pipeline.databricks.wheel import ENTRY_POINT, WHEEL
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.databricks.cluster import build_wheel

# All that a runtime of Databricks lacks; another Spark in the place of its own would be its end.
ASKED = {"dagster-pipes", "kafka-python", "msgspec", "python-dotenv"}


def test_the_wheel_is_built_as_the_page_says(tmp_path: Path) -> None:
    made = build_wheel(tmp_path, Path(sys.executable))
    assert made.name == WHEEL
    with ZipFile(made) as packed:
        names = {name for name in packed.namelist() if ".dist-info/" not in name}
        (metadata,) = (n for n in packed.namelist() if n.endswith("/METADATA"))
        (points,) = (n for n in packed.namelist() if n.endswith("/entry_points.txt"))
        asked = [
            line.removeprefix("Requires-Dist: ")
            for line in packed.read(metadata).decode().splitlines()
            if line.startswith("Requires-Dist: ")
        ]
        assert f"{ENTRY_POINT} = " in packed.read(points).decode()
    assert {name for name in names if name.endswith(".py")} == {
        str(file.relative_to(ROOT)) for file in (ROOT / "crypto_pipeline").rglob("*.py")
    }
    assert {line.replace("<", ">").split(">")[0] for line in asked} == ASKED
