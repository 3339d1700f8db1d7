"""`bpcli worksheet` as it is typed."""

from __future__ import annotations

import re
import shlex

import pytest
from cli_lab import Lab
from cli_lab import lab as lab


def test_a_worksheet_is_marked_by_its_own_answers(lab: Lab) -> None:
    for seed in ("0", "4"):
        found = lab.good("worksheet", "trees.yaml", "--seed", seed, "--out", "sheet.md")
        assert found.out == ""
        assert "its answers in sheet.answers.yaml" in found.err
        assert "____" in (lab.path / "sheet.md").read_text(encoding="utf-8")
        marked = lab.good("mark", "sheet.answers.yaml", "trees.yaml", "--seed", seed).out
        assert re.search(r"All \d+ are right\.", marked)
    assert lab.run("mark", "sheet.answers.yaml", "trees.yaml", "--seed", "5").code == 3


@pytest.mark.parametrize(
    "words",
    [
        ("trees.yaml", "--seed", "3"),
        ("my nets/trees.yaml", "--sample", "2", "--sample", "0", "--set", "optimizer.learning_rate=0.5"),
        ("trees.yaml", "--batch", "--seed", "1"),
        ("trees.yaml", "--x=-1,2", "--t", "elm"),
        ("--example", "article"),
    ],
)
def test_the_command_on_a_sheet_marks_it(lab: Lab, words: tuple[str, ...]) -> None:
    text = (lab.path / "trees.yaml").read_text(encoding="utf-8").replace("path: trees.csv", "path: ../trees.csv")
    lab.write("my nets/trees.yaml", text)
    sheet = lab.good("worksheet", *words).out
    (command,) = re.findall(r"```\nbpcli (.*)\n```", sheet)
    assert shlex.split(command)[:2] == ["mark", "answers.yaml"]
    assert sorted(shlex.split(command)[2:]) == sorted(words)
    lab.good("worksheet", *words, "--out", "sheet.md")
    lab.write("answers.yaml", (lab.path / "sheet.answers.yaml").read_bytes())
    assert lab.good(*shlex.split(command)).code == 0


def test_forms(lab: Lab) -> None:
    for form, begins in (
        ("markdown", "# trees: a worksheet"),
        ("latex", "\\documentclass"),
        ("html", "<!DOCTYPE html>"),
    ):
        found = lab.good("worksheet", "trees.yaml", "--format", form)
        assert found.out.startswith(begins)
        assert found.err == "--out FILE writes the answers too, beside it\n"
    one = lab.good("worksheet", "trees.yaml", "--layer", "dense_2", "--digits", "3").out
    assert "dense_2.y[0,0]" in one
    assert "dense_1.y[0,0]" not in one
    assert "____" in lab.good("worksheet", "--example", "article").out
    assert lab.apart("worksheet", "trees.yaml", PYTHONIOENCODING="utf-8").out.startswith("# trees: a worksheet")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((), 2, "say what to make a worksheet of: a config, a run folder, a model file, or an --example"),
        (("trees.yaml", "--example", "article"), 2, "say what to make a worksheet of"),
        (("none.yaml",), 66, "none.yaml"),
        (("trees.yaml", "--x", "1,2"), 2, "--x and --t go together"),
        (("trees.yaml", "--elide", "few"), 2, "auto, none, or a number from 2"),
        (("trees.yaml", "--format", "json"), 2, "'json' is not one of 'markdown', 'latex', 'html'"),
        (("trees.yaml", "--out", "no/sheet.md"), 73, "does not exist"),
        (("trees.yaml", "--layer", "dense_3"), 2, "layers: dense_1, dense_1.activation, dense_2"),
    ],
)
def test_mistakes(lab: Lab, words: tuple[str, ...], code: int, text: str) -> None:
    found = lab.run("worksheet", *words)
    assert (found.code, found.out) == (code, "")
    assert text in " ".join(found.err.split())


def test_a_file_whose_ending_means_another_format_is_said(lab: Lab) -> None:
    for command in ("worksheet", "trace"):
        found = lab.good(command, "trees.yaml", "--out", "a.md", "--format", "html")
        assert found.err.endswith("a.md holds html: `--format markdown` writes what its ending means\n")
        assert "holds" not in lab.good(command, "trees.yaml", "--out", "a.md", "--format", "markdown").err
    assert "holds" not in lab.good("trace", "trees.yaml", "--out", "a.json", "--json").err
    assert "holds" not in lab.good("trace", "trees.yaml", "--out", "a.derivation", "--format", "text").err
