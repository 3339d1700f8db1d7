"""What `init` prints of a table: its columns, what is done with each, and what to type to have it otherwise."""

import io
from pathlib import Path

from rich.console import Console

from bpcli.render.describe.init import MAX_COLUMNS_SHOWN, next_step, page
from bpcli.studies.init.columns import FileColumn
from bpcli.studies.init.init import FirstConfig
from bpcli.studies.init.inspect import Inspection
from bpcli.studies.init.targets import TableTask


def inspection(*columns: FileColumn, task: TableTask = "classify", **more: object) -> Inspection:
    found = {
        "targets": ("y",),
        "shape": (1,),
        "outputs": 2,
        "classes": {"a": 30, "b": 30} if task == "classify" else {},
    }
    return Inspection({"type": "csv"}, "a.csv", 60, columns, task=task, **{**found, **more})  # type: ignore[arg-type]


def printed(found: Inspection | None, width: int = 80) -> list[str]:
    out = io.StringIO()
    items = page(FirstConfig("", Path("a.yaml"), inspection=found, again="bpcli init a.csv --target y --force"))
    Console(file=out, width=width, color_system=None).print(*items, sep="\n")
    return [line.rstrip() for line in out.getvalue().splitlines()]


X = FileColumn("x", "number", "0 to 1", "standardized")
ID = FileColumn("id", "number", "1 to 60", "left out: it numbers the rows", dropped=True)


def test_what_is_left_out_stands_last_with_its_reason() -> None:
    lines = printed(inspection(ID, X))
    assert lines[0] == "a.csv: 60 rows; `y` as 2 classes"
    assert [line.split()[0] for line in lines[4:6]] == ["x", "id"]
    assert lines[5].endswith("left out: it numbers the rows")
    assert "missing" not in lines[2]
    assert "  bpcli init a.csv --target y --force" in lines
    assert "--number COL or --drop COL" in " ".join(lines)


def test_gaps_have_a_column_and_remarks_a_paragraph() -> None:
    gappy = FileColumn("x", "number", "0 to 1", "standardized", missing=0.125)
    lines = printed(inspection(gappy, task="regress", remarks=("a remark",)))
    assert lines[0] == "a.csv: 60 rows; `y` as numbers"
    assert "missing" in lines[2]
    assert "12.5 %" in lines[4]
    assert lines[lines.index("a remark") - 1] == ""


def test_of_many_columns_the_first_are_shown_and_the_others_counted() -> None:
    many = [FileColumn(f"x{i}", "number", "0 to 1", "standardized") for i in range(MAX_COLUMNS_SHOWN + 3)]
    lines = printed(inspection(ID, *many))
    assert "and 4 more, 1 of them left out (all: bpcli check --json)" in lines
    assert f"x{MAX_COLUMNS_SHOWN}" not in " ".join(lines)


def test_data_without_columns_have_no_table() -> None:
    assert printed(inspection()) == printed(None)
    assert "".join(printed(None)) == ""


def test_several_labels_are_said() -> None:
    assert (
        printed(inspection(X, classes={}, targets=("u", "v")))[0] == "a.csv: 60 rows; `u`, `v` as classes, 0 or 1 each"
    )


def test_the_next_step_can_be_typed() -> None:
    assert next_step(FirstConfig("", Path("a b.yaml"))).plain == (
        "a b.yaml is written: look at it, it explains itself\nnext:   bpcli check 'a b.yaml'"
    )
