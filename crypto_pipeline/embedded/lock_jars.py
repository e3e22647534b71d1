"""Maintenance: resolve the jars again and write `jars.lock`. Run by `make jars`.

Ivy comes with pyspark and resolves like Maven does. Jars that pyspark ships itself, in whatever
version, are left out: two of a kind on one class path is how class path puzzles start.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pyspark
from rich.console import Console

from crypto_pipeline.embedded import java, trust_store
from crypto_pipeline.embedded.jars import LOCK_FILE, Jar, write_lock
from crypto_pipeline.errors import MachineError

PATTERN = "[organisation]/[module]/[revision]/[artifact]-[revision](-[classifier]).[ext]"
VERSION_AND_END = re.compile(r"-\d[^/]*\.jar$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The roots of one class path. `is_beside_pyspark` leaves out what pyspark ships."""

    name: str
    roots: tuple[str, ...]
    alone: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    is_beside_pyspark: bool = True


GROUPS = (
    Group(
        name="broker",
        # Kafka's own distribution adds the binding to log4j, its published dependencies do not.
        roots=(
            "org.apache.kafka:kafka_2.13:4.3.1",
            "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
        ),
        is_beside_pyspark=False,
    ),
    Group(
        name="spark",
        roots=(
            "io.delta:delta-spark_4.2_2.13:4.4.0",
            "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
        ),
        excluded=("org.apache.hadoop", "org.scala-lang"),
    ),
    Group(
        name="s3",
        # The SDK bundle that hadoop-aws asks for is 686 MB; these four are what it uses.
        roots=tuple(
            f"software.amazon.awssdk:{name}:2.35.4"
            for name in ("s3", "sts", "s3-transfer-manager", "apache-client")
        ),
        # The file system loads a class of the accelerator even when its streams are not used.
        alone=(
            "org.apache.hadoop:hadoop-aws:3.5.0",
            "software.amazon.s3.analyticsaccelerator:analyticsaccelerator-s3:1.3.1",
        ),
    ),
)


def main() -> None:
    console = Console()
    with tempfile.TemporaryDirectory() as work:
        found: list[Jar] = []
        for group in GROUPS:
            jars = resolve(group, Path(work))
            console.print(f"{group.name}: {len(jars)} jars, {_megabytes(jars)} MB")
            found.extend(jars)
    write_lock(found)
    console.print(f"Wrote {LOCK_FILE.name}.")


def resolve(group: Group, work: Path) -> tuple[Jar, ...]:
    """Let Ivy fetch the group into `work` and read off what came."""
    home = java.find()
    shipped = Path(pyspark.__file__).parent / "jars"
    descriptor = work / f"{group.name}.xml"
    descriptor.write_text(_descriptor(group))
    target = work / group.name
    argv = [
        str(home.path),
        *trust_store.java_options(work),
        *("-jar", str(next(shipped.glob("ivy-*.jar")))),
        *("-cache", str(work / "cache"), "-ivy", str(descriptor), "-confs", "default"),
        *("-types", "jar", "bundle", "-retrieve", f"{target}/{PATTERN}"),
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0 or "FAILED" in done.stdout or "UNRESOLVED" in done.stdout:
        raise MachineError(f"Ivy could not resolve {group.name}:\n{done.stdout[-3000:]}")
    ours = {_artifact(file.name) for file in shipped.glob("*.jar")}
    return tuple(
        _jar(group, file, target)
        for file in sorted(target.rglob("*.jar"))
        if not (group.is_beside_pyspark and _artifact(file.name) in ours)
    )


def _descriptor(group: Group) -> str:
    excludes = "".join(f'<exclude org="{name}"/>' for name in group.excluded)
    dependencies = "".join(
        '<dependency org="{}" name="{}" rev="{}" conf="default->{}" transitive="{}">{}'
        "</dependency>".format(*root.split(":"), scope, transitive, excludes)
        for roots, scope, transitive in (
            (group.roots, "default", "true"),
            (group.alone, "master", "false"),
        )
        for root in roots
    )
    return (
        '<ivy-module version="2.0"><info organisation="crypto-pipeline" module="jars"/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{dependencies}</dependencies></ivy-module>"
    )


def _jar(group: Group, file: Path, target: Path) -> Jar:
    organisation, *rest = file.relative_to(target).parts
    content = file.read_bytes()
    return Jar(
        group=group.name,
        path="/".join((*organisation.split("."), *rest)),
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )


def _artifact(name: str) -> str:
    """
    >>> _artifact("jackson-core-2.13.5.jar")
    'jackson-core'
    """
    return VERSION_AND_END.sub("", name)


def _megabytes(jars: tuple[Jar, ...]) -> int:
    return round(sum(jar.size for jar in jars) / 1e6)


if __name__ == "__main__":
    main()
