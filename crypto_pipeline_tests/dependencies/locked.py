"""What is locked, as package URLs: Python packages, fetched jars, and the jars inside PySpark."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from crypto_pipeline.embedded.jars import Jar, read_lock
from crypto_pipeline.embedded.launch import PROJECT_ROOT

# What a laptop and the images have; what only checks the chart or stands in for Databricks is out.
REQUIREMENTS = (
    PROJECT_ROOT / "requirements-dev.lock",
    *sorted((PROJECT_ROOT / "deploy" / "docker").glob("*.lock")),
)
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
FILE_NAME = re.compile(r"(.+?)-(\d.*)\.jar")
# Who publishes the jars that name nothing inside; an artifact's name is cut at `_` and `-`.
GROUPS = {
    "RoaringBitmap": "org.roaringbitmap",
    "algebra": "org.typelevel",
    "arpack": "net.sourceforge.f2j",
    "breeze": "org.scalanlp",
    "cats": "org.typelevel",
    "chill": "com.twitter",
    "derby": "org.apache.derby",
    "derbyshared": "org.apache.derby",
    "derbytools": "org.apache.derby",
    "ivy": "org.apache.ivy",
    "jackson": "com.fasterxml.jackson.module",
    "jdo": "javax.jdo",
    "json4s": "org.json4s",
    "jsr305": "com.google.code.findbugs",
    "jta": "javax.transaction",
    "libfb303": "org.apache.thrift",
    "libthrift": "org.apache.thrift",
    "objenesis": "org.objenesis",
    "oro": "oro",
    "rocksdbjni": "org.rocksdb",
    "scala-library": "org.scala-lang",
    "scala-reflect": "org.scala-lang",
    "scala": "org.scala-lang.modules",
    "snappy": "org.xerial.snappy",
    "spire": "org.typelevel",
    "stax": "stax",
    "tink": "com.google.crypto.tink",
    "transaction": "javax.transaction",
    "xz": "org.tukaani",
    "zstd": "com.github.luben",
}
# A jar that was shaded names what it was made of as well.
NAMED_IN = re.compile(r"META-INF/maven/[^/]+/[^/]+/pom\.properties")


def python_packages(lock: str) -> Iterator[str]:
    """Of the text of a requirements lock.

    >>> list(python_packages("Jinja2==3.1.6 \\\\\\n    --hash=sha256:00\\nuvloop==1.0 ; x == 'y'"))
    ['pkg:pypi/jinja2@3.1.6', 'pkg:pypi/uvloop@1.0']
    """
    for name, version in PINNED.findall(lock):
        yield f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version}"


def maven_package(jar: Jar) -> str:
    """Of a jar's place in a repository, which is group/artifact/version/file.

    >>> maven_package(Jar(group="spark", path="a/b/c/1.2/c-1.2.jar", sha256="", size=0))
    'pkg:maven/a.b/c@1.2'
    """
    *group, artifact, version, _ = jar.path.split("/")
    return f"pkg:maven/{'.'.join(group)}/{artifact}@{version}"


def named_inside(jar: Path) -> set[str]:
    """What a jar says that it is and holds; empty for one that says nothing."""
    found = set()
    with zipfile.ZipFile(jar) as archive:
        for name in filter(NAMED_IN.fullmatch, archive.namelist()):
            lines = archive.read(name).decode("utf-8", "replace").splitlines()
            said = dict(line.split("=", 1) for line in lines if "=" in line)
            if {"groupId", "artifactId", "version"} <= said.keys():
                where = f"{said['groupId'].strip()}/{said['artifactId'].strip()}"
                found.add(f"pkg:maven/{where}@{said['version'].strip()}")
    return found


def named_by_file(name: str) -> str | None:
    """Of a jar that says nothing itself; None for one that no group is known of.

    >>> named_by_file("scala-xml_2.13-2.4.0.jar")
    'pkg:maven/org.scala-lang.modules/scala-xml_2.13@2.4.0'
    """
    split = FILE_NAME.fullmatch(name)
    if split is None:
        return None
    artifact, version = split.groups()
    group = GROUPS.get(artifact) or GROUPS.get(re.split("[_-]", artifact)[0])
    return f"pkg:maven/{group}/{artifact}@{version}" if group else None


def named(jars: Iterable[Path]) -> tuple[set[str], list[str]]:
    """What the jars are and hold, and the files of which neither they nor we know it."""
    found, unknown = set(), []
    for jar in jars:
        by_file = named_by_file(jar.name)
        inside = named_inside(jar) or ({by_file} if by_file else set())
        found |= inside
        if not inside:
            unknown.append(jar.name)
    return found, unknown


def bundled_jars() -> list[Path]:
    """Of the PySpark that is installed here, which is the locked one."""
    import pyspark

    return sorted(Path(pyspark.__file__).parent.glob("jars/*.jar"))


def locked() -> tuple[list[str], list[str]]:
    """Every package once, and the bundled jars that cannot be asked about."""
    inside, unknown = named(bundled_jars())
    packages = {
        *(name for file in REQUIREMENTS for name in python_packages(file.read_text())),
        *(maven_package(jar) for jar in read_lock()),
        *inside,
    }
    return sorted(packages), unknown
