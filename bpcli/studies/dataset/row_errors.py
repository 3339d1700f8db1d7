"""Problems with rows of data in words: which row, where it stands in its file, and what was expected."""

from typing import Any

from bpcli.family import Array, Shape, Table, join_names, suggestion
from bpcli.records.training import Failure, Problem


def row_name(table: Table, row: Any) -> str:
    """Returns the name of a row in a sentence."""
    if table.row_names:
        return f"{table.origin}, {table.row_names[int(row)]}"
    return f"{table.origin}, row {int(row)} (counted from 0)"


def row_failure(table: Table, row: Any, name: str, text: str, code: str, help: str = "") -> Failure:
    """Returns the failure of a row, at the line and the cell of column `name` where the table knows them."""
    if table.locate is None or not name:
        return Failure(Problem(f"{row_name(table, row)}: {text}", code=code, help=help))
    return Failure(table.locate(Problem(text, code=code, help=help), int(row), name))


def shape_text(shape: Shape) -> str:
    """Returns how many values a row of this shape has, in words."""
    return f"{' x '.join(map(str, shape))} values"


def values_text(values: Array) -> str:
    """Returns the first ten of these values, in brackets."""
    return "[" + ", ".join(f"{v:g}" for v in values[:10]) + (", ..." if len(values) > 10 else "") + "]"


def no_value(table: Table, row: Any, name: str) -> Failure:
    """Returns the failure of a cell that is empty where a model has nothing to put in its place."""
    help = "fill the cell in or remove the row: nothing stands for a missing value here; train with `missing: median`"
    return row_failure(table, row, name, f"column `{name}` has no value here", "missing-value", help)


def no_column(table: Table, name: str, kind: str) -> Failure:
    """Returns the failure of a column that a model was trained on as one of `kind`, and a table has otherwise or not at
    all."""
    if name in table.names or name in table.texts:
        has, had = ("numbers", "text") if name in table.names else ("text", f"{kind}s")
        text = f"{table.origin}: column `{name}` holds {has}, in training it held {had}"
        return Failure(Problem(text, code="column-kind"))
    if name in table.others:
        text = f"{table.origin}: column `{name}` is left out here, and the model was trained on it"
        help = "take it out of `drop`, or name another target or weight"
        return Failure(Problem(text, code="missing-column", file=table.origin, help=help))
    text = f"{table.origin} has no column `{name}`, which the model was trained on"
    help = f"{suggestion(name, (*table.order, *table.others))}it has {join_names((*table.order, *table.others))}"
    return Failure(Problem(text, code="missing-column", file=table.origin, help=help))


def expected_rows(table: Table, shape: Shape, names: tuple[str, ...]) -> str:
    """Returns what to do about rows that are not of the `shape` that a model takes, by the `names` of its columns."""
    if table.row_names and len(shape) == 3:
        h, w, c = shape
        mode = "gray" if c == 1 else "rgb"
        return f"bring images to that form: {{type: images, path: ..., mode: {mode}, size: [{h}, {w}]}}"
    return f"the model was trained on {join_names(names)}" if names else ""
