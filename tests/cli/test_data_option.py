"""`eval --data` and `predict --data` on files that are not as the training file was."""

from __future__ import annotations

import json

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

TRAIN = """\
width,colour,born,felled,kind
1.0,red,2001-05-01,yes,oak
2.0,blue,2002-05-01,no,elm
3.0,red,2003-05-01,no,oak
4.0,green,2004-05-01,yes,elm
5.0,red,2005-05-01,yes,oak
6.0,blue,2006-05-01,no,elm
"""
CONFIG = """\
name: trees
seed: 1
data:
  train: {type: csv, path: trees.csv, target: kind}
  scale: standardize
architecture:
  - {type: dense, units: 4, activation: tanh}
  - {type: dense, units: 2}
loss: softmax_cross_entropy
training: {epochs: 3, batch_size: 4}
"""


def trained(lab: Lab, settings: str = "") -> None:
    lab.write("trees.csv", TRAIN)
    text = CONFIG.replace("target: kind", f"target: kind, {settings}") if settings else CONFIG
    lab.write("trees.yaml", text)
    lab.good("train", "trees.yaml", "--out", "run")


def test_other_order_and_columns_give_the_same_answers(lab: Lab) -> None:
    trained(lab)
    lab.write("same.csv", TRAIN)
    lines = [line.split(",") for line in TRAIN.splitlines()]
    turned = "\n".join(";".join(["extra;?" if i else "note;more", *reversed(line)]) for i, line in enumerate(lines))
    lab.write("turned.csv", turned + "\n")
    for command in ("predict", "eval"):
        words = ["--json"] if command == "eval" else []
        same, other = (lab.good(command, "run", "--data", f"{name}.csv", *words).out for name in ("same", "turned"))
        assert same == other
    lab.write("bare.csv", "\n".join(line.rpartition(",")[0] for line in TRAIN.splitlines()) + "\n")
    assert lab.good("predict", "run", "--data", "bare.csv").out == lab.good("predict", "run", "--data", "same.csv").out


NEW = TRAIN.replace("4.0,green", "4.0,geren")
GAP = TRAIN.replace("4.0,green", ",green")


@pytest.mark.parametrize(
    ("words", "content", "code", "text"),
    [
        (
            "predict",
            NEW,
            65,
            """\
error: column `colour`: `geren` does not occur in the training rows [unknown-category]
--> later.csv:5:5
  |
5 | 4.0,geren,2004-05-01,yes,elm
  |     ^^^^^
  = help: did you mean `green`? it knows blue, green, red; to count it as none of them, train with `unseen: ignore`
""",
        ),
        (
            "predict",
            GAP,
            65,
            """\
error: column `width` has no value here (an empty cell) [missing-value]
--> later.csv:5:1
  |
5 | ,green,2004-05-01,yes,elm
  | ^
  = help: the rules are those of training, and none is there: fill the cell in, or train with `missing: median`
""",
        ),
        (
            "eval",
            TRAIN.replace("yes,elm", "yes,fir"),
            65,
            """\
error: class `fir` does not occur in the training rows [unknown-class]
--> later.csv:5:26
  |
5 | 4.0,green,2004-05-01,yes,fir
  |                          ^^^ help: the classes are elm, oak
""",
        ),
        (
            "eval",
            TRAIN.replace("kind", "sort"),
            65,
            """\
error: target: the file has no column `kind` [missing-column]
--> later.csv
  = help: the columns are width, colour, born, felled, sort
""",
        ),
        (
            "predict",
            TRAIN.replace("width", "withd"),
            65,
            """\
error: later.csv has no column `width`, which the model was trained on [missing-column]
--> later.csv
  = help: did you mean `withd`? it has colour, born, felled, withd, kind
""",
        ),
        (
            "predict",
            TRAIN.replace("2004-05-01,yes", "2004-05-01,maybe"),
            65,
            """\
error: column `felled`: `maybe` is neither yes nor no [not-a-boolean]
--> later.csv:5:22
  |
5 | 4.0,green,2004-05-01,maybe,elm
  |                      ^^^^^
  = help: write yes or no, true or false, 1 or 0; correct the cell
""",
        ),
    ],
)  # fmt: skip
def test_what_a_file_that_does_not_fit_is_told(lab: Lab, words: str, content: str, code: int, text: str) -> None:
    trained(lab)
    lab.write("later.csv", content)
    before = lab.files()
    found = lab.soon(words, "run", "--data", "later.csv")
    assert (found.code, found.out, found.err) == (code, "", text)
    assert lab.files() == before


def test_rules_of_training_hold_for_later_files(lab: Lab) -> None:
    trained(lab, "missing: median, indicator: true, unseen: ignore")
    lab.write("later.csv", "kind,width,felled,colour,born\n,,,,\noak,7,no,black,2007-05-01\n")
    found = lab.good("predict", "run", "--data", "later.csv")
    assert len(found.out.splitlines()) == 3
    warning = "later.csv: column `colour`: 1 of 2 rows hold `black`, which train does not: they count as none of its"
    assert warning in found.err
    lab.write("later.csv", "kind,width,felled,colour,born\nelm,,,,\noak,7,no,black,2007-05-01\n")
    assert json.loads(lab.good("eval", "run", "--data", "later.csv", "--json").out)["rows"] == 2
    traced = lab.good("trace", "run", "--x", "7,red,2007-05-01,no", "--t", "oak", "--detail", "overview")
    assert traced.out
    found = lab.run("trace", "run", "--x", "7,red,soon,no", "--t", "oak")
    assert (found.code, found.err.splitlines()[0]) == (
        2, "error: --x: `soon` is not a date, which column `born` holds [values]",
    )  # fmt: skip


def test_rows_left_out_of_judging_are_counted_and_answers_need_all(lab: Lab) -> None:
    trained(lab, "missing: drop")
    lab.write("later.csv", GAP)
    found = lab.good("eval", "run", "--data", "later.csv", "--json")
    assert json.loads(found.out)["rows"] == 5
    assert "later.csv: 1 row is left out: it has no value in `width` (1)" in found.err
    assert lab.run("predict", "run", "--data", "later.csv").code == 65


def test_check_shows_what_is_done(lab: Lab) -> None:
    text = TRAIN + ",red,,yes,oak\n1.0,red,2001-05-01,yes,oak\n"
    settings = "missing: median, unseen: ignore, columns: {born: {parts: [year, month]}, width: {scale: robust}}"
    lab.write("trees.csv", text)
    lab.write("trees.yaml", CONFIG.replace("target: kind", f"target: kind, {settings}"))
    found = lab.good("check", "trees.yaml", "--set", "data.validation=0.3")
    assert "number" in found.out
    assert "boolean" in found.out
    assert "year and month, standardize, missing as 200" in found.out
    assert "missing" in found.out
    lab.good("check", "trees.yaml", "--json")


PRICES = "price,y\n" + "".join(f'"${i},{i}00.50",{i}\n' for i in range(1, 9))


@pytest.mark.parametrize(
    ("cells", "settings"),
    [
        ("1100.50 5500.50", 'unit: "$"'),
        ("$1.100,50 $5.500,50", 'decimal: ","'),
        ("1'100,5 5'500,5", 'unit: "$", decimal: ","'),
    ],
)
def test_how_another_program_writes_a_file_is_said(lab: Lab, cells: str, settings: str) -> None:
    lab.write("prices.csv", PRICES)
    changes = {"kind": "y", "trees": "prices", "units: 2": "units: 1", "softmax_cross_entropy": "mean_squared_error"}
    text = CONFIG
    for old, new in changes.items():
        text = text.replace(old, new)
    lab.write("prices.yaml", text)
    lab.good("train", "prices.yaml", "--out", "run")
    rows = [f'"{cell}",{y}\n' for cell, y in zip(cells.split(), (1, 5), strict=True)]
    lab.write("other.csv", "".join(["price,y\n", *rows]))
    lab.write("same.csv", "".join(PRICES.splitlines(True)[i] for i in (0, 1, 5)))
    assert lab.soon("predict", "run", "--data", "other.csv").code == 65
    said = f"{{type: csv, path: other.csv, target: y, columns: {{price: {{{settings}}}}}}}"
    for command in ("predict", "eval"):
        words = ["--json"] if command == "eval" else []
        found, wanted = (lab.good(command, "run", "--data", data, *words).out for data in (said, "same.csv"))
        assert found == wanted
