"""What `check` prints of a report: the layers, what they cost, the splits, the columns, the first rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bpcli.records.training import CheckReport, ColumnRow, LayerRow, SplitRow
from bpcli.render.console import show
from bpcli.render.describe.check import (
    MAX_CLASSES_SHOWN,
    MAX_COLUMNS_SHOWN,
    check_page,
)

COLUMN = ColumnRow("width", "number", 0.1, 7.9, 0, "standardized")
REPORT = CheckReport(
    "iris.yaml", "iris",
    (LayerRow("dense_1", "dense", (4,), (16,), 1080, 1064, 128, 2048, "he_normal"),
     LayerRow("relu_1", "relu", (16,), (16,), 0, 0, 64, 1024)),
    "softmax_cross_entropy", 1131, 1112, 2048, 65_536, 1 << 20, 16,
    (SplitRow("train", 1104, {"cat": 1000, "dog": 104}), SplitRow("test", 22, {"cat": 20, "dog": 2})),
    (COLUMN,), (("1.5", "cat"), ("2.5", "dog")), ("width", "species"),
)  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str], **changed: Any) -> list[str]:
    show(*check_page(replace(REPORT, **changed)))
    return capsys.readouterr().out.splitlines()


def test_a_page_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys) == [
        "iris.yaml: iris",
        "",
        "layer    in  out  params  mult-adds  bytes/row  batch  weights from",
        "───────────────────────────────────────────────────────────────────",
        "dense_1   4   16   1,080      1,064        128  2,048  he_normal",
        "relu_1   16   16                            64  1,024",
        "",
        "1,131 parameters, 1,112 multiply-adds a row forward; loss softmax_cross_entropy",
        "the arrays of a step take 2.0 KB for a row, 65.5 KB for a batch of 16;",
        "training needs about 1.0 MB besides the data",
        "",
        "rows of  train  test",
        "────────────────────",
        "cat      1,000    20",
        "dog        104     2",
        "",
        "all      1,104    22",
        "",
        "input  kind    from   to  what is done",
        "──────────────────────────────────────",
        "width  number   0.1  7.9  standardized",
        "",
        "the first rows, as they are read",
        "width  species",
        "──────────────",
        "1.5    cat",
        "2.5    dog",
    ]


def test_what_changes_images_is_listed_where_something_does(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, augmentation=(("shift", "pixels 2"),))
    start = lines.index("training images, and no others, are changed by chance in every step")
    assert lines[start - 1 : start + 5] == [
        "", lines[start], "augmentation  settings", "──────────────────────", "shift         pixels 2", "",
    ]  # fmt: skip


def test_how_rows_are_divided_is_said_below_the_splits(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, division="all rows of one `who` are in one split; it is no input")
    place = lines.index("all rows of one `who` are in one split; it is no input")
    assert lines[place - 1].startswith("all ")
    assert lines[place + 1] == ""


@pytest.mark.parametrize("more", [0, 1])
def test_many_classes_are_counted_together(more: int, capsys: pytest.CaptureFixture[str]) -> None:
    classes = {f"c{i}": 1 for i in range(MAX_CLASSES_SHOWN + more)}
    lines = shown(capsys, splits=(SplitRow("train", 1104, classes),))
    assert sum(line.startswith("c") for line in lines) == (0 if more else MAX_CLASSES_SHOWN)
    assert "all      1,104" in lines


def test_of_columns_kind_range_and_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    """The share of rows without a value has a column where some column has such rows; dates are dates."""
    columns = (
        replace(COLUMN, missing=0.25),
        replace(COLUMN, name="day", kind="date", low=0.0, high=19753.0, missing=0.0009),
        replace(COLUMN, name="kind", kind="text", low=None, high=None),
        replace(COLUMN, name="many", low=1_234_567.0, high=1e9, missing=0.001),
    )
    lines = shown(capsys, columns=columns)
    start = next(i for i, line in enumerate(lines) if line.startswith("input"))
    assert [line.split() for line in lines[start : start + 6]] == [
        ["input", "kind", "from", "to", "missing", "what", "is", "done"],
        ["─" * len(lines[start + 1])],
        ["width", "number", "0.1", "7.9", "25.0", "%", "standardized"],
        ["day", "date", "1970-01-01", "2024-01-31", "<", "0.1", "%", "standardized"],
        ["kind", "text", "standardized"],
        ["many", "number", "1.23457e+06", "1e+09", "0.1", "%", "standardized"],
    ]


@pytest.mark.parametrize("more", [0, 1, 5])
def test_of_many_columns_the_first_are_shown_and_of_a_row_the_target_too(
    more: int, capsys: pytest.CaptureFixture[str]
) -> None:
    count = MAX_COLUMNS_SHOWN + more
    header = tuple(f"x{i}" for i in range(count))
    rows = (tuple(str(i) for i in range(count)),)
    lines = shown(capsys, columns=tuple(replace(COLUMN, name=n) for n in header), first_header=header, first_rows=rows)
    assert (f"and {more} more columns (all: --json)" in lines) == bool(more)
    assert sum(line.startswith("x") and "number" in line for line in lines) == MAX_COLUMNS_SHOWN
    wanted = header if not more else (*header[: MAX_COLUMNS_SHOWN - 4], "...", header[-1])
    assert lines[-3].split() == list(wanted)
    assert lines[-1].split() == [name.removeprefix("x") for name in wanted]


@pytest.mark.parametrize("width", [24, 23])
def test_rows_too_wide_for_a_terminal_have_a_line_for_each_column(
    width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cells of 24, 24, 24 and 1 characters and a gap of 2 behind each are 81 columns."""
    cells = ("a" * width, "b" * 24, "c" * 30, "d")
    lines = shown(capsys, first_header=("p", "q", "r", "s"), first_rows=(cells, cells))
    if width == 23:
        assert lines[-4].split() == ["p", "q", "r", "s"]
        assert lines[-1].split() == ["a" * 23, "b" * 24, "c" * 21 + "...", "d"]
    else:
        assert lines[-6].split() == ["column", "row", "0", "row", "1"]
        assert lines[-4].split() == ["p", "a" * 24, "a" * 24]
        assert lines[-1].split() == ["s", "d", "d"]
