"""Our Dockerfile as data: stages and steps, in the part of the language that it uses."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crypto_pipeline_tests.conftest import ROOT

FILE = ROOT / "deploy" / "docker" / "Dockerfile"
TARGETS = ("pipeline", "spark-server", "dashboard")
ALIASES = {"crypto-producer": "pipeline", "spark-crypto-consumer": "spark-server"}
WORDS = {
    "ARG", "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK",
    "ENTRYPOINT", "CMD",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Step:
    word: str
    text: str

    def copied(self) -> tuple[str | None, list[str], str]:
        """COPY: the stage it takes from (None: the context), the sources, the target."""
        parts = shlex.split(self.text)
        stage = parts.pop(0).partition("=")[2] if parts[0].startswith("--from=") else None
        return stage, parts[:-1], parts[-1]


@dataclass(frozen=True, kw_only=True)
class Stage:
    name: str
    base: str
    steps: tuple[Step, ...]


@dataclass(kw_only=True)
class Config:
    """What the image is started with, bases included."""

    env: dict[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = "/"
    stop_signal: str = "SIGTERM"
    ports: tuple[int, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    health: tuple[str, ...] = ()


def stages(text: str | None = None) -> dict[str, Stage]:
    """By name, in the order of the file."""
    found: dict[str, Stage] = {}
    name, base, steps = "", "", list[Step]()
    for step in _lines(text if text is not None else FILE.read_text()):
        assert step.word in WORDS, f"this reader knows no {step.word}"
        if step.word == "FROM":
            if name:
                found[name] = Stage(name=name, base=base, steps=tuple(steps))
            base, _, name = [*step.text.split(), "", ""][:3]
            steps = []
        elif name:
            steps.append(step)
    return {**found, name: Stage(name=name, base=base, steps=tuple(steps))}


def config(name: str, among: dict[str, Stage]) -> Config:
    """The settings of a stage after those of the stages that it begins with."""
    if name not in among:
        return Config(env={"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"})
    made = config(among[name].base, among)
    for step in among[name].steps:
        apply(made, step)
    return made


def apply(made: Config, step: Step) -> None:
    """What one step changes in how the image is started."""
    if step.word == "ENV":
        made.env |= dict(pair.split("=", 1) for pair in shlex.split(step.text))
    elif step.word == "USER":
        made.user = step.text
    elif step.word == "WORKDIR":
        made.workdir = step.text
    elif step.word == "STOPSIGNAL":
        made.stop_signal = step.text
    elif step.word == "EXPOSE":
        made.ports = tuple(int(port) for port in step.text.split())
    elif step.word == "ENTRYPOINT":
        made.entrypoint = tuple(json.loads(step.text))
    elif step.word == "CMD":
        made.command = tuple(json.loads(step.text))
    elif step.word == "HEALTHCHECK":
        made.health = tuple(json.loads(step.text.partition("CMD")[2]))


def _lines(text: str) -> Iterator[Step]:
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", "", plain).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word:
            yield Step(word=word, text=rest.strip())


def context(file: Path = ROOT / ".dockerignore") -> list[str]:
    """What .dockerignore lets a build see: the lines that begin with `!`."""
    return [line[1:] for line in file.read_text().splitlines() if line.startswith("!")]
