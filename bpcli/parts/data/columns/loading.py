"""What is to be read of a file with columns, what was read, and what is done where a column has no value."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bpcli.family import Array, CodedText, ColumnFormat, Kind, Missing, Source
from bpcli.family.cell_format import DecimalMark
from bpcli.numeric.vectors import all_finite
from bpcli.parts.data.files import data_error, yaml_name
from bpcli.records.training import Failure, Problem

DROP_ADVICE = "`missing: drop` leaves such rows out"
TRAINED_ADVICE = "the rules are those of training, and none is there: fill the cell in, or train with `missing: median`"


@dataclass(frozen=True)
class ColumnRequest:
    """What is to be read of a file.

    For a model that was trained on the columns `kinds` names, only they (and the targets) are read, as the kinds they
    had, written as `formats` has it and with the rules that `missing` has for them; others may hold anything, and what
    the file lacks is left for the model to miss; settings that differ from those of the training source `like` overrule
    the formats. Columns `aside` are read as text too, and `hidden` ones are no inputs;
    `compact` keeps large numbers of rows as float32. Where targets are compared as
    `classes`, whole numbers not written as Python writes them are labels; as values (False), digits are numbers.
    """

    kinds: Mapping[str, Kind] = field(default_factory=dict)
    need_target: bool = True
    missing: Mapping[str, Missing] = field(default_factory=dict)
    aside: Sequence[str] = ()
    hidden: Sequence[str] = ()
    compact: bool = False
    classes: bool | None = None
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    like: Source | None = None

    @property
    def is_later(self) -> bool:
        """Whether the file follows another one, which has set the columns."""
        return bool(self.kinds) or not self.need_target


@dataclass
class LoadedColumns:
    """Columns by name, one row each: numbers (N,) with NaN where a value is missing, or text (N,) with "" there.

    `aside` are columns that rows are divided by, as text; `dropped` counts the gaps of each column that rows were left
    out for, `lost` these rows; `kept` are the rows of the file that are left (None: all). `numbers` (N, columns) are
    the inputs that are not text, where they were read side by side, less `pivot`; `locate`, `others`, `formats`,
    `missing_words`, `decimal`: the Table's; `warnings` go before its own.
    """

    columns: Mapping[str, Array | CodedText]
    aside: Mapping[str, CodedText] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    lost: int = 0
    kept: Array | None = None
    numbers: Array | None = None
    pivot: Array | None = None
    locate: Callable[[Problem, int, str], Problem] | None = None
    others: tuple[str, ...] = ()
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    missing_words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decimal: DecimalMark = "."
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class GapRules:
    """What is done where a column has no value, by its name; a column without a rule has to have one in every row.

    Nothing stands for a value of an `outcomes` column (a target, a weight). The rules of a model that `is_trained` are
    those of its training.
    """

    missing: Mapping[str, Missing] = field(default_factory=dict)
    outcomes: frozenset[str] = frozenset()
    aside: frozenset[str] = frozenset()
    is_trained: bool = False

    def allow(self, name: str) -> bool:
        """Whether a column may have gaps."""
        return self.missing.get(name, "error") != "error"

    def advice(self, name: str) -> str:
        """Returns what to do about a gap in a column that may not have one."""
        if name in self.aside:
            return "rows are divided by this column: fill the cell in, or remove the row"
        if name in self.outcomes:
            return DROP_ADVICE
        leave_out = f"to leave the column out, write `drop: [{yaml_name(name)}]`"
        fill = f"{DROP_ADVICE}, `missing: median` (mean, mode) fills them in; {leave_out}"
        return TRAINED_ADVICE if self.is_trained else fill

    def apply(
        self,
        columns: Mapping[str, Array | CodedText],
        aside: Mapping[str, CodedText],
        path: Path,
        numbers: Array | None = None,
        stacked: Sequence[str] = (),
    ) -> LoadedColumns:
        """Returns the columns without the rows that the rules leave out, of which the `stacked` ones are those of
        `numbers`. Raises Failure at a gap in a column that may not have one, and where no row is left."""
        full = frozenset(stacked if numbers is not None and all_finite(numbers) else ())
        gaps = {n: _gaps(c) for n, c in columns.items() if n not in full}
        for name, lacking in (*gaps.items(), *((n, _gaps(c)) for n, c in aside.items())):
            if lacking.any() and (name in aside or not self.allow(name)):
                text = f"row {int(np.argmax(lacking))} (counted from 0), column `{name}` has no value"
                raise data_error(text, path, code="missing-value", help=self.advice(name))
        dropped = {n: int(g.sum()) for n, g in gaps.items() if self.missing.get(n) == "drop" and g.any()}
        if not dropped:
            return LoadedColumns(columns, aside, numbers=numbers)
        kept = np.flatnonzero(~np.any([gaps[n] for n in dropped], axis=0))
        if not len(kept):
            raise self._no_rows(dropped, gaps, path)
        if numbers is not None:
            numbers, together = numbers[kept], frozenset(stacked)
            columns = {n: c for n, c in columns.items() if n not in together}
        columns, aside = {n: c[kept] for n, c in columns.items()}, {n: c[kept] for n, c in aside.items()}
        lost = len(next(iter(gaps.values()))) - len(kept)
        return LoadedColumns(columns, aside, dropped, lost, kept, numbers)

    def _no_rows(self, dropped: Collection[str], gaps: Mapping[str, Array], path: Path) -> Failure:
        where = ", ".join(f"`{name}`" for name in list(dropped)[:8])
        help = "fill them in by `missing: median`, or leave the columns out by `drop`"
        outcomes = [gaps[name] for name in dropped if name in self.outcomes]
        if outcomes and np.any(outcomes, axis=0).all():
            help = "no value can stand for a target or a weight: fill the cells in, or name another column"
        elif self.is_trained:
            help = "the rules are those of training: fill the cells in, or train with `missing: median`"
        text = f"no row has a value in every column: they are missing in {where}"
        return data_error(text, path, code="no-rows", help=help)


def _gaps(column: Array | CodedText) -> Array:
    """Returns where a column (N,) has no value."""
    return column.gaps if isinstance(column, CodedText) else np.isnan(column)
