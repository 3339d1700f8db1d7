"""How problems with rows of data are told: which row, where it stands in its file, and what was expected."""

from __future__ import annotations

from typing import Any

from bpcli.family import Table
from bpcli.family.part import near
from bpcli.family.plan import Array, Shape
from bpcli.records.training import Failure, Problem


def row_of(table: Table, row: Any) -> str:
    """What a row is called in a sentence."""
    if table.row_names:
        return f"{table.origin}, {table.row_names[int(row)]}"
    return f"{table.origin}, row {int(row)} (counted from 0)"


def row_failure(table: Table, row: Any, name: str, text: str, code: str, help: str = "") -> Failure:
    """The failure of a row, at the line and the cell of column `name` where the table knows them."""
    if table.place is None or not name:
        return Failure(Problem(f"{row_of(table, row)}: {text}", code=code, help=help))
    return Failure(table.place(Problem(text, code=code, help=help), int(row), name))


def listed(words: tuple[str, ...]) -> str:
    return ", ".join(words[:20]) + (f" and {len(words) - 20} more" if len(words) > 20 else "")


def guess(word: str, known: tuple[str, ...]) -> str:
    found = near(word, known)
    return f"did you mean `{found}`? " if found else ""


def times(shape: Shape) -> str:
    return f"{' x '.join(map(str, shape))} values"


def numbers(values: Array) -> str:
    return "[" + ", ".join(f"{v:g}" for v in values[:10]) + (", ..." if len(values) > 10 else "") + "]"
