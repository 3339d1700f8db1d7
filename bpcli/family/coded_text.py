"""A column of text, each different cell kept once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self, overload

import numpy as np

from bpcli.family.plan import Array


@dataclass(frozen=True, eq=False)
class CodedText:
    """A column of text (N,): `codes` (N,) int32, which of the `categories` each row holds; "" where it has no value.

    The categories all differ, in the order in which they first appear in the file; rows that are left out may leave
    some behind that no row holds.
    """

    codes: Array
    categories: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Returns the column of these texts."""
        known: dict[str, int] = {}
        codes = np.array([known.setdefault(text, len(known)) for text in texts], np.int32)
        return cls(codes, tuple(known))

    @classmethod
    def of_codes(cls, codes: Array, names: Iterable[str]) -> Self:
        """Returns the column of these names, of which some may be the same, by their places."""
        known: dict[str, int] = {}
        merged = np.array([known.setdefault(name, len(known)) for name in names], np.int32)
        return cls(codes if len(known) == len(merged) else merged[codes], tuple(known))

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, rows: int | np.integer) -> str: ...
    @overload
    def __getitem__(self, rows: Array | slice) -> Self: ...
    def __getitem__(self, rows: int | np.integer | Array | slice) -> str | Self:
        """Returns the text of one row, or the column of several."""
        codes = self.codes[rows]
        return self.categories[codes] if np.ndim(codes) == 0 else type(self)(codes, self.categories)

    @cached_property
    def counts(self) -> Array:
        """Returns how many rows hold each category, (categories,)."""
        return np.bincount(self.codes, minlength=len(self.categories))

    @property
    def found(self) -> dict[str, int]:
        """Returns the categories that rows hold, "" left out, and how many rows hold each."""
        return {text: n for text, n in zip(self.categories, self.counts.tolist(), strict=True) if n and text}

    @property
    def gaps(self) -> Array:
        """Returns where there is no value, (N,)."""
        gap = self.categories.index("") if "" in self.categories else -1
        return np.asarray(self.codes == gap)

    def rows_of(self, code: int) -> Array:
        """Returns the rows that hold a category, ascending."""
        return np.flatnonzero(self.codes == code)

    def renamed(self, name: Callable[[str], str]) -> Self:
        """Returns the column with other texts; rows whose texts become the same hold one category."""
        return self.of_codes(self.codes, map(name, self.categories))

    def array(self) -> Array:
        """Returns the texts (N,) as Python strings, each category one object."""
        names = np.empty(len(self.categories), object)
        names[:] = self.categories
        return np.asarray(names[self.codes])

    def tolist(self) -> list[str]:
        """Returns the texts of all rows."""
        return list(map(self.categories.__getitem__, self.codes.tolist()))
