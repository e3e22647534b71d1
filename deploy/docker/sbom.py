"""What is in this image, as CycloneDX 1.6 JSON on standard output: python sbom.py TARGET.

Read from what is installed and not from a lock: Python packages from their metadata, Debian
packages from dpkg's record, jars from the files themselves with their SHA-256. Standard library
only, and no time and no random number in it: the same image gives the same text.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
import zipfile
from importlib import metadata
from pathlib import Path

DPKG = Path("/var/lib/dpkg/status")
JARS = re.compile(r"(?P<name>.+?)-(?P<version>\d[^/]*)\.jar")
Component = dict[str, object]


def python_packages() -> list[Component]:
    """Every distribution on the path; the interpreter itself is no distribution."""
    found = {
        re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(): each.version
        for each in metadata.distributions()
    }
    return [
        component("library", name, version, f"pkg:pypi/{name}@{version}")
        for name, version in found.items()
    ]


def debian_packages(status: Path = DPKG) -> list[Component]:
    """What dpkg has installed; nothing on a base that is not of Debian's kind."""
    found: list[Component] = []
    for block in status.read_text().split("\n\n") if status.exists() else []:
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if re.match(r"\S+: ", line)
        )
        if fields.get("Status", "").endswith(" installed"):
            name, version, arch = (fields[key] for key in ("Package", "Version", "Architecture"))
            # The same characters as in a URL: Debian's versions have + and ~ and an epoch's colon.
            safe = version.replace(":", "%3A").replace("+", "%2B")
            purl = f"pkg:deb/debian/{name}@{safe}?arch={arch}"
            found.append(component("library", name, version, purl))
    return found


def jars(folders: list[Path]) -> list[Component]:
    """Each file by its sum: two jars of one name and version may differ."""
    found: list[Component] = []
    for file in sorted(jar for folder in folders for jar in folder.rglob("*.jar")):
        parts = JARS.fullmatch(file.name)
        name, version = parts.group("name", "version") if parts else (file.stem, "")
        made = component("library", name, version, maven(file), reference=f"file:{file}")
        made["hashes"] = [
            {"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}
        ]
        made["properties"] = [{"name": "file", "value": str(file)}]
        found.append(made)
    return found


def maven(jar: Path) -> str:
    """What the jar says of its own origin; "" where it says nothing, or speaks for several."""
    with zipfile.ZipFile(jar) as content:
        told = [name for name in content.namelist() if name.endswith("/pom.properties")]
        if len(told) != 1:
            return ""
        lines = content.read(told[0]).decode("utf-8", "replace").splitlines()
    fields = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
    keys = ("groupId", "artifactId", "version")
    return "pkg:maven/{}/{}@{}".format(*(fields[key].strip() for key in keys)) if fields else ""


def component(kind: str, name: str, version: str, purl: str, *, reference: str = "") -> Component:
    made: Component = {"type": kind, "bom-ref": reference or purl, "name": name, "version": version}
    return {**made, "purl": purl} if purl else made


def document(target: str, components: list[Component]) -> Component:
    subject = component("container", f"crypto-pipeline-{target}", "", "", reference=target)
    del subject["version"]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
    }


def main() -> None:
    version = platform.python_version()
    found = [
        component("platform", "python", version, f"pkg:generic/python@{version}"),
        *python_packages(),
        *debian_packages(),
        *jars([Path(sys.prefix), Path("/app")]),
    ]
    found.sort(key=lambda each: str(each["bom-ref"]))
    json.dump(document(sys.argv[1], found), sys.stdout, indent=1)
    sys.stdout.write(os.linesep)


if __name__ == "__main__":
    main()
