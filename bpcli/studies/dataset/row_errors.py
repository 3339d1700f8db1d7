"""Problems with rows of data in words: which row, where it stands in its file, and what was expected."""

from typing import Any

from bpcli.family import Array, Shape, Table
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
