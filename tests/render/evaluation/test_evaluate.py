"""What an evaluation looks like on the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.table import Table
from rich.text import Text

from bpcli.records.training import ClassRow, EvalReport
from bpcli.render.console import show
from bpcli.render.evaluation.evaluate import MAX_MATRIX_CLASSES, MAX_MATRIX_WIDTH, MAX_NOTES, evaluation

REPORT = EvalReport(
    "m", "test", 1234, 0.25, {"accuracy": 0.75},
    per_class=(ClassRow("cat", 0.5, 1.0, 2 / 3, 1), ClassRow("dog", 1.0, 0.5, 2 / 3, 2)),
    averages=(ClassRow("accuracy", 0.1, 0.2, 0.75, 3), ClassRow("macro avg", 0.75, 0.75, 2 / 3, 3)),
    confusion=((1.0, 0.0), (1.5, 2.0)),
    classes=("cat", "dog"),
)  # fmt: skip


def shown(report: EvalReport, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show(*evaluation(report))
    return capsys.readouterr().out.splitlines()


def test_metrics_then_classes_then_the_confusion_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(REPORT, capsys) == [
        "test: 1,234 rows, loss 0.2500",
        "",
        "metric     value",
        "────────────────",
        "accuracy  0.7500",
        "",
        "class      precision  recall  f1-score  support",
        "───────────────────────────────────────────────",
        "cat           0.5000  1.0000    0.6667        1",
        "dog           1.0000  0.5000    0.6667        2",
        "",
        "accuracy                        0.7500        3",
        "macro avg     0.7500  0.7500    0.6667        3",
        "",
        "confusion matrix: a row for each true class, a column for each predicted one",
        "true \\ predicted  cat  dog",
        "──────────────────────────",
        "cat                 1    0",
        "dog               1.5    2",
    ]


def test_a_regression_has_metrics_alone(capsys: pytest.CaptureFixture[str]) -> None:
    report = replace(REPORT, per_class=(), averages=(), confusion=(), classes=())
    assert len(shown(report, capsys)) == 5


def test_the_first_notes_are_shown_and_the_others_counted(capsys: pytest.CaptureFixture[str]) -> None:
    notes = tuple(f"remark {i}" for i in range(MAX_NOTES + 2))
    lines = shown(replace(REPORT, notes=notes), capsys)
    assert lines[-MAX_NOTES - 1 :] == [
        *(f"note: remark {i}" for i in range(MAX_NOTES)),
        "and 2 more notes (all: --json)",
    ]
    assert shown(replace(REPORT, notes=notes[:MAX_NOTES]), capsys)[-1] == f"note: remark {MAX_NOTES - 1}"


def test_of_many_classes_the_most_frequent_mistakes_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """The most frequent first, no right prediction among them, and no more than a matrix would have rows."""
    n = MAX_MATRIX_CLASSES + 1
    matrix = [[99.0 if i == j else 0.0 for j in range(n)] for i in range(n)]
    matrix[3][4], matrix[4][3], matrix[0][1] = 2.0, 7.0, 0.5
    report = replace(REPORT, classes=tuple(f"c{i}" for i in range(n)), confusion=tuple(map(tuple, matrix)))
    lines = shown(report, capsys)
    assert lines[lines.index("the most frequent mistakes (the whole matrix: --json)") + 1 :] == [
        "true  predicted  rows",
        "─────────────────────",
        "c4    c3            7",
        "c3    c4            2",
        "c0    c1          0.5",
    ]
    every = replace(report, confusion=tuple((1.0,) * n for _ in range(n)))
    assert sum(line.startswith("c") for line in shown(every, capsys)[-MAX_MATRIX_CLASSES:]) == MAX_MATRIX_CLASSES
    whole = replace(report, classes=report.classes[1:], confusion=tuple(row[1:] for row in report.confusion[1:]))
    assert "most frequent" not in "\n".join(shown(whole, capsys))


@pytest.mark.parametrize(("width", "numbered"), [(MAX_MATRIX_WIDTH // 3 - 2, False), (MAX_MATRIX_WIDTH // 3 - 1, True)])
def test_over_a_matrix_stand_numbers_where_names_need_too_much_room(
    width: int, numbered: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two columns of names, the gaps between them, and the names of the rows have to fit."""
    names = tuple(letter * width for letter in "ab")
    lines = shown(replace(REPORT, classes=names), capsys)
    head = next(line for line in lines if line.startswith("true"))
    assert head.split()[3:] == (["0", "1"] if numbered else list(names))
    assert lines[-1].split()[: 1 + numbered] == (["1", names[1]] if numbered else [names[1]])


def test_in_the_matrix_what_is_right_is_bold_and_nothing_is_dim() -> None:
    matrix = evaluation(REPORT)[-1]
    assert isinstance(matrix, Table)
    styles = [[str(cell.style) for cell in column.cells if isinstance(cell, Text)] for column in matrix.columns[1:]]
    assert styles == [["bold", ""], ["dim", "bold"]]
