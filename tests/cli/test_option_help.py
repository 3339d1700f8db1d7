"""What the help of `predict --data` and `eval --data` says can be typed, and is accepted."""

from __future__ import annotations

import io
import re
import shlex
import sys

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

TRAIN = "price;share;born;it's;y\n" + "".join(f"${i},{i}00.50;{i};{i}/{i + 12}/2020;{i}.5;{i}\n" for i in range(1, 9))
CONFIG = """\
name: prices
seed: 1
data:
  train: {type: csv, path: train.csv, target: y, columns: {it's: {missing: median}, share: {missing_values: [77]}}}
  scale: standardize
architecture:
  - {type: dense, units: 1}
loss: mean_squared_error
training: {epochs: 2}
"""
LATER = "price;share;born;it's;y\n$1,100.50;1;1/13/2020;1.5;1\n"
OPTION = re.compile(r"--data ('(?:[^']|'\"'\"')*')")


CHANGES = (
    ("$1,100.50", "1100.50"),
    ("$1,100.50;1", "1.100,50;1"),
    ("1/13/2020", "13.01.2020"),
    (";1.5;", ";nil so far;"),
    (";1;", ";1 %;"),
    (";1;", ";1,5;"),
    (";1;", ";1,5 €;"),
    ("price", "# note\nprice"),
)


@pytest.fixture
def trained(lab: Lab) -> Lab:
    lab.write("train.csv", TRAIN)
    lab.write("prices.yaml", CONFIG)
    lab.good("train", "prices.yaml", "--out", "run")
    return lab


@pytest.mark.parametrize("way", ["path", "stdin", "spelled"])
def test_what_the_help_says_is_accepted(trained: Lab, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: str, data: str) -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
        found = trained.run(command, "run", "--data", data)
        return found.err if found.code else ""

    name = "-" if way == "stdin" else "later one.csv"
    typed = f"{{type: csv, path: {name}}}" if way == "spelled" else name
    for i, (old, new) in enumerate(CHANGES):
        command = "eval" if i % 2 else "predict"
        file = trained.write("later one.csv", LATER.replace(old, new))
        said = run(command, typed)
        if way == "spelled" and command == "eval" and (target := OPTION.findall(said)):
            said = run(command, *shlex.split(target[0]))
        assert not re.search("`(text|drop|columns|missing_values|decimal|header|comment):", said)
        options = OPTION.findall(said)
        assert options, said
        assert "" in [run(command, *shlex.split(option)) for option in options], said


def test_what_training_has_decided_is_not_offered(trained: Lab) -> None:
    for old, new, help in (
        (";1;", ";soon;", "help: correct the cell\n"),  # nothing stands for a missing value
        (";1;", ";1x34;", "help: correct the cell\n"),
        ("1/13/2020", "13/13/2020", "help: correct the cell\n"),
        (";1.5;", ";1.5.5;", "help: correct the cell, or leave it empty as training has a rule for that\n"),
        ("price;share;born;it's;y\n", "", "has no header, add a line with the names of its columns; if these"),
    ):
        trained.write("later.csv", LATER.replace(old, new))
        found = trained.run("predict", "run", "--data", "later.csv")
        assert (found.code, help in found.err) == (65, True), found.err


def test_a_column_that_is_left_out_is_there(lab: Lab) -> None:
    lab.good("train", "trees.yaml", "--out", "run")
    found = lab.run("predict", "run", "--data", "{type: csv, path: trees.csv, drop: [width]}")
    assert "trees.csv: column `width` is left out here, and the model was trained on it" in found.err
    assert "take it out of `drop`" in found.err
    assert "did you mean" not in found.err


def test_what_is_said_of_one_column_takes_the_place_of_all(trained: Lab) -> None:
    trained.write("later.csv", LATER + LATER.splitlines()[1].replace("1.5;1", "2;2") + "\n$2;2;1/13/2020;3;3\n")
    data = "{type: csv, path: later.csv, target: y, missing_values: [2]}"
    for command in ("predict", "eval"):
        found = trained.run(command, "run", "--data", data)
        assert "[missing-and-value]" in found.err
        trained.good(command, "run", "--data", *shlex.split(OPTION.findall(found.err)[0]))
