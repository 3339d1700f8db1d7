"""Columns of a table as codes, by which relations between them are found."""

from __future__ import annotations

from typing import Self

import numpy as np

from bpcli.family import Array, Table

MAX_CLASSES = 20  # different whole numbers or values of a target that are looked at as classes
MAX_SORTED = 100_000  # rows of a table, evenly apart, in which relations are looked for


def some_rows(table: Table) -> slice:
    """Returns rows evenly apart, all where they are not many."""
    return slice(None, None, max(1, table.rows // MAX_SORTED))


class CodedColumn:
    """A column as codes (n,): equal where cells are equal and in the order of numbers, -1 where there is no value."""

    def __init__(self, name: str, kind: str, values: Array, gaps: Array) -> None:
        self.name, self.kind, self.gaps = name, kind, gaps
        self.codes = np.full(len(values), -1)
        known, self.codes[~gaps] = np.unique(values[~gaps], return_inverse=True)
        self.count = len(known)
        self.whole = kind == "text" or bool((known == np.floor(known)).all())
        self.values = values  # codes, of text

    @classmethod
    def of(cls, table: Table, name: str, rows: slice) -> Self:
        """Returns the column of these rows."""
        if name in table.texts:
            text = table.texts[name][rows]
            return cls(name, "text", text.codes.astype(np.float64), text.gaps)
        values = np.asarray(table.numbers[rows, table.at[name]], np.float64)
        return cls(name, table.kind(name), values, np.isnan(values))

    @classmethod
    def of_target(cls, table: Table, rows: slice) -> Self | None:
        """Returns the target where a row has a single one: codes of classes, or values."""
        target = table.target
        if target is None or (target.ndim == 2 and target.shape[1] > 1):
            return None
        name = table.target_names[0] if table.target_names else "target"
        if target.dtype == object:
            ids = np.unique(target[rows].astype(str), return_inverse=True)[1].astype(np.float64)
            return cls(name, "text", ids, np.zeros(len(ids), bool))
        values = np.ravel(target[rows]).astype(np.float64)
        few = len(np.unique(values)) <= MAX_CLASSES
        return cls(name, "text" if few else "number", values, np.isnan(values))

    def fixes(self, other: CodedColumn) -> bool:
        """Whether all rows with the same cell here have the same cell there."""
        pairs = np.unique(self.codes * (other.count + 1) + other.codes + 1)
        return len(pairs) == len(np.unique(self.codes))
