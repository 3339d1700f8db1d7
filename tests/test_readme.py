"""README is true: its console blocks are run and print what it shows, its YAML is valid, its tables are real."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from bpcli.config.experiment import Experiment
from bpcli.config.validate import validate
from bpcli.config.yamlfile import parse

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def without_numbers(text: str) -> str:
    """Numbers differ between machines in their last digits, and times anyhow; words and layout do not."""
    text = re.sub(r"\d[\d.,:]*(e[-+]\d+)?( ms| s)?", "#", text)
    return re.sub(r"[ ─-]+", " ", text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("readme")
    for name in ("configs", "datasets"):
        (path / name).symlink_to(ROOT / name)
    for text in blocks("python"):  # a block that begins with the name of a file is that file
        named = re.match(r"# (\w+\.py)\n", text)
        if named:
            (path / named[1]).write_text(text)
    return path


def test_console_blocks_print_what_they_show(folder: Path) -> None:
    found = blocks("console")
    assert found
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for block in found:
        for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            done = subprocess.run(
                command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
            )
            assert done.returncode in (0, 3, 65), done.stderr
            printed = without_numbers(done.stderr + done.stdout).splitlines()
            for line in without_numbers(shown).splitlines():
                assert line.strip() in ("", "...") or line.rstrip() in [p.rstrip() for p in printed], (command, line)


def test_yaml_blocks_are_valid() -> None:
    found = blocks("yaml")
    assert found
    for text in found:
        validate(Experiment, parse(text, "README.md"))


def test_the_table_of_parts_is_the_registry() -> None:
    command = [sys.executable, "-m", "bpcli", "parts", "--format", "markdown"]  # other tests declare parts of their own
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout in README


def test_the_table_of_commands_is_complete() -> None:
    from bpcli.cli.app import app

    for command in app.registered_commands:
        assert f"| `{command.name}" in README


def test_the_test_command_is_what_ci_runs() -> None:
    (command,) = re.findall(r"python3 -m venv .*pytest", README)
    assert command.split("&&")[-1].strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
