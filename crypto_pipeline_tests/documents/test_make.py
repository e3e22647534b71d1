"""The targets of the Makefile, as far as they are not the tests themselves."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sysconfig
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from rich.console import Console

from crypto_pipeline.cli import cli
from crypto_pipeline.embedded import clean, dagster_home, up_lock
from crypto_pipeline.errors import MachineError
from crypto_pipeline.settings import Settings
from crypto_pipeline_tests.conftest import ROOT, missing
from crypto_pipeline_tests.documents import pages, shell

TARGETS = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
Make = Callable[..., Settings]


def make(*arguments: str) -> str:
    if shutil.which("make") is None:
        missing("no make on PATH")
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", *arguments],
        capture_output=True, text=True, check=True, env=environment, timeout=60,
    )  # fmt: skip
    return done.stdout


def test_help_names_every_target() -> None:
    shown = make("help")
    assert len(TARGETS) > 7
    for target in TARGETS:
        assert re.search(rf"^  make {target} ", shown, re.MULTILINE), target


@pytest.mark.parametrize("target", TARGETS)
def test_a_recipe_runs_what_is_there(target: str) -> None:
    """`make -n` prints it; each module, command and script in it exists."""
    recipe = make("-n", target)
    for module, word in re.findall(r"python -m ([\w.]+) ?(\w*)", recipe):
        assert find_spec(module) is not None, module
        if module == "crypto_pipeline.cli":
            assert word in cli.commands
    for script in re.findall(r"\bsh (\S+)", recipe):
        assert (ROOT / script).is_file()
    assert "python -m" in recipe or target == "help" or "sh .ci/setup" in recipe


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    return lambda yes: monkeypatch.setattr(clean.Confirm, "ask", lambda *_, **__: yes)


def test_clean_removes_what_is_ours_after_a_yes(
    make_settings: Make, answered: Callable[[bool], None]
) -> None:
    settings = make_settings()
    folder, console = settings.state_dir, Console(quiet=True)
    (folder / "simulated" / "lake").mkdir(parents=True)
    (folder / "spark-token").write_text("token")
    (folder / "of-somebody-else").write_text("stays")

    answered(False)
    assert clean.clean(settings, console=console) == 0
    assert (folder / "spark-token").exists()
    answered(True)
    with up_lock.hold(settings), pytest.raises(MachineError, match="Ctrl-C"):
        clean.clean(settings, console=console)
    assert clean.clean(settings, console=console) == 0
    assert [entry.name for entry in folder.iterdir()] == ["of-somebody-else"]

    (folder / "of-somebody-else").unlink()
    assert clean.clean(settings, console=console) == 0
    assert not folder.exists()
    assert clean.clean(settings, console=console) == 0


def test_the_secret_of_compose_is_made_private(tmp_path: Path) -> None:
    """The documented line itself, in another folder."""
    if shutil.which("openssl") is None:
        missing("no openssl on PATH")
    text = (ROOT / "docs" / "images.md").read_text()
    lines = [line for block in pages.blocks(text) for line in shell.lines(block.text)]
    (line,) = (line for line in lines if "compose.secrets" in line)
    (tmp_path / "deploy").mkdir()
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
    made = tmp_path / "deploy" / "compose.secrets"
    assert re.fullmatch(r"SPARK_CONNECT_TOKEN=[0-9a-f]{64}\n", made.read_text())
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_a_laptops_dagster_is_brought_along(make_settings: Make) -> None:
    """`dagster instance migrate` on the folder that `make up` keeps."""
    settings = make_settings()
    dagster_home.prepare(settings)
    home = dagster_home.folder(settings)
    done = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "dagster", "instance", "migrate"],
        env={**os.environ, "DAGSTER_HOME": str(home)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (home / "history" / "runs.db").exists()
