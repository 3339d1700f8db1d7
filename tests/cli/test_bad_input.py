"""Bad input of every kind: one diagnostic, its exit code, no traceback, at once, and nothing left behind."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys

import pytest
from bad_columns import CASES as COLUMNS
from bad_fit import CASES as FIT
from bad_settings import CASES as SETTINGS
from bad_sources import CASES as SOURCES
from bad_splits import CASES as SPLITS
from bad_tables import CASES as TABLES
from bad_yaml import CASES as YAML
from cli_lab import LITTLE, Case, Lab, surroundings
from cli_lab import lab as lab
from count_calls import COUNTED, Work

from bpcli.__main__ import main
from bpcli.family.part import DeclarationError, Part


@pytest.mark.parametrize("case", [*YAML, *SETTINGS, *FIT, *TABLES, *COLUMNS, *SPLITS, *SOURCES], ids=lambda c: c.name)
def test_bad_experiment(lab: Lab, case: Case) -> None:
    lab.config(*case.changes)
    for name, content in case.files.items():
        lab.write(name, content)
    before = lab.files()
    for command in ("check", "train"):
        found = lab.soon(*shlex.split(case.words.replace("check", command)))
        assert re.sub(r"[\d.,]+ [KMGT]B are free", "<FREE> are free", found.err) == case.text
        assert (found.code, found.out) == (case.code, "")
        assert lab.files() == before


def test_layers_past_the_thousandth_are_read_and_not_looked_at(lab: Lab) -> None:
    """More of them are as much more work as the file is longer."""
    last, work = "  - {type: dense, units: 2}\n", []
    for layers in (1000, 2000, 3000, 4000):
        lab.config((last, "  - relu\n" * layers))
        with Work() as done:
            assert f"holds {layers + 1} " in lab.run("check", "trees.yaml").err
        assert 1000 < done.of(Part.parse) < 1020
        work.append(done.calls)
    assert work[3] - work[2] == pytest.approx(work[2] - work[1], rel=0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_link_to_nothing(lab: Lab) -> None:
    for name in ("trees.csv", "trees.yaml"):
        (lab.path / name).unlink()
        (lab.path / name).symlink_to("gone")
        found = lab.run("check", "trees.yaml")
        assert (found.code, found.err.splitlines()[1:]) == (
            66, [f"--> {name}", "  = help: it is a link to gone, which does not exist"],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("train", "error: invalid value for CONFIG: name a file, or give --resume RUN [usage]"),
        ("train trees.yaml --resume run", "error: invalid value for --resume: a run that goes on has its CONFIG"),
        ("train --resume run --out new", "error: invalid value for --out: a run that goes on stays in its folder"),
        ("init - --target y", "error: invalid value for DATA: a config names a file that is there when it is trained"),
        ("trian trees.yaml", "error: no such command 'trian'"),
        ("train --epochs 3 trees.yaml", "error: no such option: --epochs"),
        ("train trees.yaml more.yaml", "error: got unexpected extra argument"),
        ("train trees.yaml --set", "error: option '--set' requires an argument"),
        ("eval", "error: missing argument 'RUN'"),
        ("eval run --split dev", "error: invalid value for --split: a split is train, validation or test [usage]"),
        ("eval run --split test --data x.csv", "error: invalid value for --data: give --split or --data, not both"),
        ("predict run", "error: missing option '--data'"),
        ("check", "error: missing argument 'CONFIG'"),
        ("parts --format html", "error: invalid value for --format: the formats are text and markdown [usage]"),
        ("parts adm", "error: no part or family is called `adm` [unknown-part]\n  help: did you mean `adam`?"),
    ],
)
def test_a_command_line_that_cannot_be_meant(lab: Lab, words: str, text: str) -> None:
    before = lab.files()
    found = lab.run(*words.split())
    assert found.err.startswith(text)
    assert found.err.count("error:") == 1
    if "[usage]" in found.err:
        command = words.split()[0] if words.split()[0] != "trian" else ""
        assert found.err.endswith(f"  help: `bpcli {command}".rstrip() + " --help` shows what can be given\n")
    assert (found.code, found.out, lab.files()) == (2, "", before)


def test_no_argument_shows_help(lab: Lab) -> None:
    found = lab.run()
    assert found.code == 2
    assert "Usage: bpcli" in found.err
    assert re.search(r"^  predict +Predict the rows of a file\.$", found.err, re.MULTILINE)


def test_json_says_what_is_wrong_on_stdout_too(lab: Lab) -> None:
    lab.config(("units: 4", "unit: 4"))
    found = lab.run("check", "trees.yaml", "--json")
    assert found.code == 65
    assert '"text": "unknown key"' in found.out
    assert '"line": 7' in found.out


def test_a_mistake_of_our_own(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("bpcli.studies.describe.check.report", broken)
    found = lab.run("check", "trees.yaml")
    assert (found.code, found.err) == (
        1,
        "error: bpcli made a mistake of its own: ZeroDivisionError: oops [internal]\n"
        "  help: `bpcli --debug check trees.yaml` shows where; please report it with the config\n",
    )


def test_a_part_of_the_package_that_is_not_declared_as_parts_are(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def declares(*_: object) -> None:
        raise DeclarationError("Mine: its `type` is no Literal", "write `type: Literal`")

    monkeypatch.setattr("bpcli.studies.describe.check.report", declares)
    found = lab.run("check", "trees.yaml")
    text = "error: Mine: its `type` is no Literal [declaration]\n  help: write `type: Literal`\n"
    assert (found.code, found.err) == (1, text)


def test_an_interrupt_while_the_program_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("bpcli.cli.app.run", interrupted)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 130


class TestProcesses:
    """What only a process of its own shows."""

    def test_bad_input(self, lab: Lab) -> None:
        lab.config(("units: 4", "unit: 4"))
        found = lab.apart("train", "trees.yaml", program=COUNTED)
        assert (found.code, found.out) == (65, "")
        assert found.err.startswith("error: architecture.0.unit: unknown key [unknown-key]\n")
        assert int((lab.path / "calls").read_text()) < LITTLE

    def test_a_hundred_thousand_brackets(self, lab: Lab) -> None:
        lab.write("deep.yaml", "a: " + "[" * 100_000 + "]" * 100_000)
        found = lab.apart("check", "deep.yaml", program=COUNTED)
        assert (found.code, found.out, found.err.count("error:")) == (65, "", 1)
        assert int((lab.path / "calls").read_text()) < LITTLE

    @pytest.mark.parametrize("words", ["parts", "--help", "check trees.yaml"])
    def test_a_reader_that_has_seen_enough(self, lab: Lab, words: str) -> None:
        process = subprocess.Popen(
            lab.command(*words.split()),
            cwd=lab.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=surroundings(),
        )
        assert process.stdout is not None
        process.stdout.close()
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, b"")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    @pytest.mark.parametrize("words", ["parts", "--version", "check trees.yaml --json"])
    def test_a_full_disk(self, lab: Lab, words: str) -> None:
        with open("/dev/full", "wb") as full:
            found = subprocess.run(
                lab.command(*words.split()), cwd=lab.path, stdout=full, stderr=subprocess.PIPE, env=surroundings()
            )
        assert found.returncode == 74
        assert found.stderr.decode() == "error: cannot write the output: No space left on device [output]\n"

    def test_a_log_that_cannot_be_written_does_not_end_a_training(self, lab: Lab) -> None:
        process = subprocess.Popen(
            lab.command("train", "trees.yaml", "--out", "run"),
            cwd=lab.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=surroundings(),
        )  # fmt: skip
        assert process.stderr is not None
        process.stderr.close()
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, b"run\n")
        assert len((lab.path / "run" / "metrics.jsonl").read_text().splitlines()) == 3

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    def test_nor_does_a_full_disk_under_the_log(self, lab: Lab) -> None:
        with open("/dev/full", "wb") as full:
            found = subprocess.run(
                lab.command("train", "trees.yaml", "--out", "run"),
                cwd=lab.path, stdout=subprocess.PIPE, stderr=full, env=surroundings(),
            )  # fmt: skip
        assert (found.returncode, found.stdout) == (0, b"run\n")

    @pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
    @pytest.mark.parametrize("words", ["train trees.yaml", "check trees.yaml"])
    def test_an_interrupt_before_there_is_anything_to_save(self, lab: Lab, words: str) -> None:
        program = (
            "import os, signal\nfrom bpcli.parts.data.csv.source import Csv\n"
            "Csv.load_columns = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)"
        )
        before = lab.files()
        found = lab.apart(*words.split(), program=program)
        assert (found.code, found.out, found.err) == (130, "", "")
        assert lab.files() == before

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
    def test_closed_streams(self, lab: Lab) -> None:
        for closing, code in ((">&-", 0), ("2>&-", 0)):
            line = f"{shlex.join(lab.command('check', 'trees.yaml'))} {closing}"
            found = subprocess.run(["sh", "-c", line], cwd=lab.path, capture_output=True, env=surroundings())
            assert (found.returncode, found.stderr) == (code, b"")
