"""Every command in the documents can be meant as it is written, and a test runs it."""

from __future__ import annotations

import ast
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from crypto_pipeline.backfill.command import parse_moment
from crypto_pipeline.cli import cli
from crypto_pipeline_tests.conftest import ROOT
from crypto_pipeline_tests.documents import pages, run_by, shell

TESTS = ROOT / "crypto_pipeline_tests"
COMMANDS = shell.commands()
OURS = "crypto-pipeline "
MOMENTS = ("start", "end", "minute")
# Settings of a process that are not ours, and of tests.
FOREIGN = {"BASE", "DAGSTER_HOME", "KAFKA_IMAGE", "TAG", "PROVE", "REQUIRE_ALL", "LC_ALL"}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def known_settings() -> set[str]:
    """What the example file names, and the other names that the settings' modules spell."""
    modules = (ROOT / "crypto_pipeline").glob("*setting*.py")
    spelled = re.findall(r'"([A-Z][A-Z0-9_]*)"', "".join(module.read_text() for module in modules))
    example = (ROOT / ".env.example").read_text()
    return {*re.findall(r"^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE), *spelled}


def parse(words: list[str]) -> click.Context:
    """What click makes of a command line of ours; nothing is run. Folders that it names exist."""
    command = cli.commands[words[0]]
    for option in command.params:
        if isinstance(option.type, click.Path) and option.type.exists:
            Path(words[words.index(option.opts[0]) + 1]).mkdir()
    return command.make_context(words[0], words[1:])


def is_test(named: str) -> bool:
    """Whether `file::test`, or a whole file, is among the tests."""
    file, _, function = named.partition("::")
    if not (TESTS / file).is_file():
        return False
    tree = ast.parse((TESTS / file).read_text())
    return not function or function in {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }


def test_there_are_commands_to_look_at() -> None:
    assert len({command.text for command in COMMANDS}) > 40
    assert {"sh", "mermaid"} <= {
        block.kind for page in pages.pages() for block in pages.blocks(page.read_text())
    }


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c.text.startswith(OURS)], ids=lambda c: f"{c.page}:{c.text}"
)
def test_a_command_of_ours_is_understood(
    command: shell.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    context = parse(shlex.split(command.text)[1:])
    for name in MOMENTS:
        if context.params.get(name):
            assert parse_moment(context.params[name]).tzinfo is not None


@pytest.mark.parametrize("line", ["audit --since 2026-11-23", "trace BTC-USDT", "rebuild raw"])
def test_a_command_that_is_not_ours_is_refused(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line.split())


def test_every_make_target_exists() -> None:
    every = [*COMMANDS, *shell.mentioned()]
    asked = {c.text.split()[1]: c.page for c in every if c.text.startswith("make ")}
    assert {target: page for target, page in asked.items() if target not in targets()} == {}


def test_what_the_prose_calls_a_command_of_ours_is_one() -> None:
    for command in shell.mentioned():
        if command.text.startswith(OURS):
            name, *words = command.text.removeprefix(OURS).split()
            options = {option for p in cli.commands[name].params for option in p.opts}
            assert {word for word in words if word.startswith("--")} <= options, command


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: f"{c.page}:{c.text}")
def test_a_test_runs_it(command: shell.Command) -> None:
    named = run_by.proof_of(command.text)
    assert named is not None, "no test is named for it in documents/run_by.py"


@pytest.mark.parametrize(
    "named", sorted({*run_by.RUN.values(), *(h.test for h in run_by.HELD.values())})
)
def test_the_test_that_is_named_exists(named: str) -> None:
    assert is_test(named)


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    for span in pages.spans(page.read_text()):
        named = span.removeprefix("crypto_pipeline_tests/")
        if re.fullmatch(r"[\w/]+\.py::\w+|[\w/]*/test_\w+\.py", named):
            assert is_test(named), named


def test_no_name_in_the_table_is_left_over() -> None:
    said = [c.text for c in [*COMMANDS, *shell.mentioned()]]
    for begin in (*run_by.RUN, *run_by.HELD):
        assert any(f"{text} ".startswith(f"{begin} ") for text in said), begin


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_every_module_that_is_to_be_run_is_there(page: Path) -> None:
    text = page.read_text()
    said = [*pages.spans(text), *(block.text for block in pages.blocks(text))]
    for module in re.findall(r"python -m ([\w.]+)", "\n".join(said)):
        assert find_spec(module) is not None, module


def test_every_setting_that_is_set_on_a_line_is_one() -> None:
    known = known_settings() | FOREIGN
    for command in COMMANDS:
        assert set(command.settings) <= known, command


@pytest.mark.parametrize("page", pages.pages(), ids=pages.name)
def test_every_setting_that_is_named_is_one(page: Path) -> None:
    """A word in capitals with an underscore is a setting, unless it is somebody else's."""
    known = known_settings()
    stems = {name.split("_")[0] for name in known if "_" in name}
    for span in pages.spans(page.read_text()):
        for word in re.findall(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b", span):
            if word.split("_")[0] in stems and word not in FOREIGN:
                assert word in known, word
