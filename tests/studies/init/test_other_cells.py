"""Columns most of whose cells are numbers or dates: init says so, names one of the others, and what it says works."""

import re
import shlex
from collections import Counter
from collections.abc import Callable

import pytest
from cli_lab import Lab
from cli_lab import lab as lab

from bpcli.parts.data.cells import nearly_measured

Cell = Callable[[int], str]


def written(lab: Lab, cell: Cell, target: str = "y") -> str:
    lab.write("a.csv", "x,q,y\n" + "".join(f"{cell(i)},{i % 7},{i / 8}\n" for i in range(160)))
    done = lab.run("init", "a.csv", "--target", target, "--out", "a.yaml", "--force")
    return " ".join((done.out + done.err).split())


def test_most_cells_are_numbers(lab: Lab) -> None:
    text = written(lab, lambda i: f"<{i % 3}" if i % 7 == 0 else f"{i / 9:.2f}")
    assert "left out: 137 of 160 cells are numbers" in text
    assert "`x`: 137 of 160 cells are numbers, and `<0` (line 2) is not, nor are 2 others: if they stand" in text
    (typed,) = re.findall(r"if they stand for no value, `bpcli ([^`]+)`", text)
    table = lab.good(*shlex.split(typed), "--out", "a.yaml", "--force").out
    assert re.search(r"^x +number .*standardized", table, re.M)


@pytest.mark.parametrize(
    ("cell", "said", "others"),
    [
        (lambda i: "nq" if i % 7 == 2 else f"$ {1000 + i / 8:,.2f}", "137 of 160 cells are numbers", ("nq",)),
        (lambda i: "24:75" if i % 5 == 0 else f"{i % 24:02d}:{i % 60:02d}", "128 of 160 cells are times", ("24:75",)),
        (lambda i: ["open", "late"][i % 3 == 0] if i % 5 == 0 else f"{i % 28 + 1}.{i % 12 + 1}.2020",
         "128 of 160 cells are dates", ("open", "late")),
    ],
)  # fmt: skip
def test_what_most_cells_are(cell: Cell, said: str, others: tuple[str, ...]) -> None:
    counts = Counter(map(cell, range(160)))
    nearly = nearly_measured([*counts], [*counts.values()])
    assert (str(nearly), nearly and nearly.others) == (said, others)


@pytest.mark.parametrize(
    "cell",
    [
        lambda i: f"C{5000 + i}" if i % 7 == 0 else f"{5000 + i}",  # codes
        lambda i: f"PO {i}" if i % 3 == 0 else f"{i} Elm St",
        lambda i: "5 or more" if i % 5 == 0 else f"{i % 5}",  # categories
        lambda i: f"P{i}" if i % 3 else f"{i}",
        lambda i: f"{i:05d}" if i % 5 else "abroad",
    ],
)
def test_text_by_nature(cell: Cell) -> None:
    counts = Counter(map(cell, range(160)))
    assert nearly_measured([*counts], [*counts.values()]) is None


def test_a_target_most_of_whose_cells_are_numbers(lab: Lab) -> None:
    text = written(lab, lambda i: ["trace", "n.q."][i % 2] if i % 5 == 0 else f"{i / 9:.2f}", "x")
    assert "the target `x`: 128 of 160 cells are numbers, and `trace` (line 2) is not, nor is 1 other" in text
    (typed,) = re.findall(r"if they stand for no value, `bpcli ([^`]+)`", text)
    assert "x` as numbers" in lab.good(*shlex.split(typed), "--out", "b.yaml").out


def test_a_number_below_a_limit_may_stand_for_no_value(lab: Lab) -> None:
    text = written(lab, lambda i: "<0.05" if i in (3, 90) else f"{i / 9:.2f}")
    (typed,) = re.findall(r"if it stands for no value, leave the cell empty, or write `bpcli ([^`]+)`", text)
    lab.good(*shlex.split(typed), "--out", "b.yaml")
