"""The command that the documents name is there once the environment is set up."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from crypto_pipeline.cli import cli
from crypto_pipeline_tests.conftest import ROOT

COMMAND = Path(sysconfig.get_path("scripts")) / "crypto-pipeline"


def test_set_up_makes_the_command() -> None:
    # One environment may serve several checkouts: this one's commands are meant.
    path = os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])
    shown = subprocess.run(
        [COMMAND, "--help"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stderr == ""
    for name in cli.commands:
        assert f"\n  {name} " in shown.stdout


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_says_what_it_does(name: str) -> None:
    assert cli.commands[name].get_short_help_str()
