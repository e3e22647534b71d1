"""Everything that is locked is asked about, by the name that the database knows it by."""

from __future__ import annotations

import zipfile
from pathlib import Path

from crypto_pipeline.embedded.jars import read_lock
from crypto_pipeline_tests.dependencies.locked import (
    REQUIREMENTS,
    locked,
    named,
    named_inside,
)


def jar(path: Path, *pom: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
        for text in pom:
            name = text.split("\n")[1].partition("=")[2].strip()
            archive.writestr(f"META-INF/maven/a/{name}/pom.properties", text)
    return path


def test_every_locked_package_and_every_jar_of_spark_has_a_name() -> None:
    packages, unknown = locked()
    assert unknown == []
    pins = {
        line.partition("==")[0].partition("[")[0].lower().replace("_", "-")
        for file in REQUIREMENTS
        for line in file.read_text().splitlines()
        if "==" in line
    }
    assert len(REQUIREMENTS) > 2
    assert {name[9:].partition("@")[0] for name in packages if "pkg:pypi/" in name} == pins
    assert len([n for n in packages if n.startswith("pkg:maven/")]) > len(read_lock())
    assert any(name.startswith("pkg:maven/org.apache.spark/spark-core_2.13@") for name in packages)


def test_a_shaded_jar_is_asked_about_as_all_that_it_holds(tmp_path: Path) -> None:
    outer = "groupId=a.b\nartifactId=outer\nversion=1\n"
    inner = "groupId = x\nartifactId=inner\r\nversion=2.0\r\n"
    # Java writes no space before `=`; what it does not write is not taken for a name.
    assert named_inside(jar(tmp_path / "o-1.jar", outer, inner)) == {"pkg:maven/a.b/outer@1"}
    inner = inner.replace(" = ", "=")
    assert named_inside(jar(tmp_path / "o-1.jar", outer, inner)) == {
        "pkg:maven/a.b/outer@1",
        "pkg:maven/x/inner@2.0",
    }


def test_a_jar_that_nobody_knows_is_told(tmp_path: Path) -> None:
    known, odd = jar(tmp_path / "xz-1.12.jar"), jar(tmp_path / "what-3.jar")
    assert named([known, odd]) == ({"pkg:maven/org.tukaani/xz@1.12"}, ["what-3.jar"])
