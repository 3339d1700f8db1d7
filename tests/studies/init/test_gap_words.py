"""Words that are read as no value and may be classes or categories: North America beside Europe and Asia."""

import shlex
from pathlib import Path

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

REGIONS = ("NA", "EU", "AS", "SA")


def table(lab: Lab, *, gaps: bool, words: tuple[str, ...] = REGIONS) -> None:
    """Rows whose region follows from x, and y from the region; with some empty cells of a region."""
    cells = ((i, "" if gaps and i % 20 == 7 else words[i % 4]) for i in range(120))
    lab.write("a.csv", "x,region,y\n" + "".join(f"{i % 4},{cell},{i % 4 * 10 + 0.5}\n" for i, cell in cells))


def said(lab: Lab, *command: str) -> list[str]:
    done = lab.good("init", "a.csv", *command, "--force")
    return [line for line in done.out.splitlines() if "read as no value; if" in line]


@pytest.mark.parametrize("gaps", [False, True])
def test_a_class_that_looks_like_no_value_is_kept_by_what_is_said(lab: Lab, gaps: bool) -> None:
    table(lab, gaps=gaps)
    assert "rows are left out: they have no value in `region`" in lab.good("init", "a.csv", "--target", "region").out
    assert f"`region` ({36 if gaps else 30}: `NA`)" in lab.good("check", "a.yaml").err
    (line,) = said(lab, "--target", "region", "--drop", "y")
    assert line.startswith("`region`: `NA` is read as no value; if it is a class, `bpcli init ")
    words = shlex.split(line.split("`")[-2])
    done = lab.good(*words[1:], "--out", "b.yaml")
    assert "`region` as 4 classes" in done.out
    assert f"{114 if gaps else 120} rows" in done.out
    assert 'drop: ["y"]' in Path("b.yaml").read_text()
    lab.good("train", "b.yaml", "--quiet", "--out", "run", "--set", "training.epochs=1")
    Path("new.csv").write_text("x,region\n0,NA\n1,EU\n")
    assert "p(NA)" in lab.good("predict", "run", "--data", "new.csv").out
    assert lab.good("eval", "run", "--data", "new.csv").code == 0


@pytest.mark.parametrize("gaps", [False, True])
def test_a_category_that_looks_like_no_value_is_kept_by_what_is_said(lab: Lab, gaps: bool) -> None:
    table(lab, gaps=gaps)
    (line,) = said(lab, "--target", "y")
    assert line.startswith("`region`: `NA` is read as no value; if it is a category, `bpcli init ")
    lab.good(*shlex.split(line.split("`")[-2])[1:], "--out", "b.yaml")
    shown = lab.good("check", "b.yaml").out
    assert "one-hot, 4 inputs" in shown
    assert "no value: NA" not in shown


@pytest.mark.parametrize(
    "words", [("n/a", "low", "mid", "high"), ("NA", "Grvl", "Pave", "Dirt"), ("NA", "y", "n", "m")]
)
def test_a_word_that_is_like_no_category_stands_for_no_value(lab: Lab, words: tuple[str, ...]) -> None:
    table(lab, gaps=False, words=words)
    assert said(lab, "--target", "y") == []


@pytest.mark.parametrize("words", [("nan", "EU", "AS", "SA"), ("NA", "1", "2", "3")])
def test_gaps_of_a_target_that_can_hardly_be_a_class(lab: Lab, words: tuple[str, ...]) -> None:
    table(lab, gaps=False, words=words)
    assert said(lab, "--target", "region") == []
