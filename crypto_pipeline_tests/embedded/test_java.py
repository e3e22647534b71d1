from __future__ import annotations

from pathlib import Path

import pytest

from crypto_pipeline.embedded import java
from crypto_pipeline.errors import MachineError


def fake_java(folder: Path, version: str | None) -> Path:
    """A `java` that says its version, or only complains as macOS's does."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "java"
    if version is None:
        file.write_text("#!/bin/sh\necho 'Unable to locate a Java Runtime.' >&2\nexit 1\n")
    else:
        file.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(("version", "number"), [("17.0.15", 17), ("21.0.8", 21), ("21", 21)])
def test_a_fitting_system_java_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, number: int
) -> None:
    system = fake_java(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", str(system.parent))

    found = java.find(wheel=fake_java(tmp_path / "wheel", "21.0.8"))

    assert (found.path, found.version, found.is_wheel) == (system, number, False)


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.2", "25.0.1", None])
def test_an_unfitting_system_java_yields_to_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setenv("PATH", f"{fake_java(tmp_path / 'bin', version).parent}:/bin:/usr/bin")
    wheel = fake_java(tmp_path / "wheel", "21.0.8")

    found = java.find(wheel=wheel)

    assert (found.path, found.is_wheel) == (wheel, True)


def test_no_java_at_all_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MachineError, match=r"No fitting Java: none on PATH.*Install Java 17 or 21"):
        java.find(wheel=tmp_path / "absent")


def test_the_wheel_in_this_environment_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    assert java.find().version == 21
