"""From the `data` section to arrays: open, divide, learn from the training rows, encode every split.

Rows come from memory (`InMemoryRows`) or, where they would not fit, from their file whenever a step asks for them
(`out_of_core.py`); the way is the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from bpcli.config.data import Data, Fold
from bpcli.family import Array, Source, Table
from bpcli.numeric.lazy_rows import ComputedRows
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.records.training import ColumnRow, Failure, Problem, SplitRow
from bpcli.studies.dataset.columns import filled_values, lost_times
from bpcli.studies.dataset.fit import fit_preprocessor, labels_of
from bpcli.studies.dataset.out_of_core import TARGETS_PER_READ, OutOfCoreRows
from bpcli.studies.dataset.preprocessor import Labels, Preprocessor
from bpcli.studies.dataset.preview import column_rows, first_rows
from bpcli.studies.dataset.split import divide, split_by_column, split_fractions, strata
from bpcli.studies.dataset.split_by_time import split_by_time


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of one split, encoded.

    `x` is (N, *shape) of the run's type, C-contiguous (prepared without inputs, it has its shape and no memory); `t` is
    (N,) int64 class ids, or (N, K) of the run's type; `rows` are their indices in the file order of their source, and
    `names` what the rows of the source are called, where they have names. `w` is (N,), how much each row counts, or
    None where all count the same. What does not fit into memory is read whenever some of its rows are asked for.
    """

    name: str
    x: Array
    t: Array
    rows: Array
    names: tuple[str, ...] = ()
    w: Array | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """All splits (train always; validation and test where the file asks for them), what they were encoded by, and
    what `check` shows: how many rows each split has, the columns of the training source, and its first rows as they
    stand in the file."""

    splits: Mapping[str, Split]
    preprocessor: Preprocessor
    split_rows: tuple[SplitRow, ...]
    columns: tuple[ColumnRow, ...]
    first_header: tuple[str, ...]
    first_rows: tuple[tuple[str, ...], ...]
    files: tuple[Path, ...]
    warnings: tuple[Problem, ...] = ()
    table: Table | None = None  # the training source, where it was prepared without inputs
    origins: Mapping[str, tuple[Table, Array]] = field(default_factory=dict)  # of each split, where they are kept


def prepare(
    data: Data,
    *,
    targets: Literal["classes", "values"],
    seed: int,
    dtype: Any,
    root: Path,
    inputs: bool = True,
    within: Fold | None = None,
    keep: bool = False,
) -> Prepared:
    """Returns the splits of an experiment. `targets` is what the loss compares; paths are relative to `root`. Without
    `inputs` the rows of the training source are not encoded: for a look at a few of them. With `within` the test rows
    are left alone, and `test` is this fold of the others. With `keep` the tables are kept as they were read, with the
    rows of each split.

    What there is to learn of the data is learned from the training rows only, after the split; the split depends on the
    seed and the classes. Raises Failure for everything that is wrong with the data.
    """
    rows = _open(data, targets, root, dtype, compact=inputs and np.dtype(dtype) == np.float32)
    split_rows, warnings = rows.divide(data, seed, within)
    if within is not None and isinstance(data.test, Source):
        data = data.model_copy(update={"test": None})
    warnings = (*rows.table.warnings, *warnings)
    preprocessor, sampled = rows.fit(data, split_rows["train"])
    header, first = first_rows(rows.table)
    columns = column_rows(rows.table, split_rows["train"], preprocessor, data.scale)
    splits: dict[str, Split] = {}
    origins: dict[str, tuple[Table, Array]] = {}
    for name in ("validation", "test", "train"):  # train last: its inputs may take the place of the table's numbers
        source = None if name == "train" else getattr(data, name)
        if isinstance(source, Source):
            if name in split_rows:
                text = f"column `{data.split.by[1] if data.split else ''}` names {name} rows, and {name} has a source"
                raise Failure(Problem(text, code="two-splits", path=("data", name), help=f"leave `{name}` out"))
            x, t, other = prepare_for(preprocessor, source, root, dtype, True, like=data.train, keep=keep)
            assert t is not None
            origins[name] = other, np.arange(other.rows)
            warnings = (*warnings, *other.warnings)
            chosen = x.rows if isinstance(x, ComputedRows) else np.arange(len(x))
            splits[name] = Split(name, x, t, cast(Array, chosen), other.row_names, _weight(other, dtype))
        elif name in split_rows:
            chosen = split_rows[name]
            x, t, odd = rows.encode(preprocessor, chosen, dtype, inputs=inputs, last=name == "train" and not keep)
            origins[name] = rows.table, chosen
            warnings = (*warnings, *odd)
            splits[name] = Split(name, x, t, chosen, rows.table.row_names, _weight(rows.table, dtype, chosen))
    splits = {name: splits[name] for name in ("train", "validation", "test") if name in splits}
    return Prepared(
        splits,
        preprocessor,
        tuple(SplitRow(name, len(s.x), rows_of_classes(preprocessor.classes, s.t)) for name, s in splits.items()),
        columns,
        header,
        first,
        files_of(data, root),
        (*warnings, *sampled),
        None if inputs else rows.table,
        {name: origins[name] for name in splits} if keep else {},
    )


def prepare_for(
    preprocessor: Preprocessor, source: Source, root: Path, dtype: Any, need_target: bool, *,
    like: Source | None = None, keep: bool = False,
) -> tuple[Array, Array | None, Table]:  # fmt: skip
    """Returns the rows of a source, encoded by what was learned before: inputs, targets (None without `need_target`),
    and the table. Columns are matched by name, in any order; others are ignored. Without `need_target` a row with a
    missing value is an error where the model's rule is to leave it out: every row is to be answered. The inputs may be
    written over the table's numbers, but where these are to be kept. Cells are read as those of `like` were, the
    training source, but for what the settings of this source say otherwise."""
    targets: Literal["classes", "values"] = "values" if preprocessor.labels == "none" else "classes"
    found = OutOfCoreRows.open(source, targets, root, dtype) if need_target else None
    if found is not None:
        found.check_finite(found.all())
        preprocessor.encode_inputs(found.table, dtype, np.arange(1))  # raises where rows have another shape
        x, t, _ = found.encode(preprocessor, found.all(), dtype)
        return x, t, found.table
    if preprocessor.columns and isinstance(source, ColumnSource):
        kinds, missing = preprocessor.kinds, preprocessor.missing
        if not need_target:
            missing = {name: "error" if rule == "drop" else rule for name, rule in missing.items()}
        elif "drop" in missing.values():
            missing |= dict.fromkeys(source.target, "drop")
        if need_target and preprocessor.labels != "one-hot":
            kinds |= dict.fromkeys(source.target, "text" if preprocessor.labels == "text" else "number")
        request = ColumnRequest(
            kinds, need_target, missing, compact=np.dtype(dtype) == np.float32, classes=targets == "classes",
            formats=preprocessor.formats, like=like,
        )  # fmt: skip
        table = source.load_columns(root, request)
    else:
        table = source.load(root, need_target=need_target)
    target = preprocessor.encode_target(table, dtype) if need_target else None
    columns = preprocessor.columns
    said = (*preprocessor.unseen(table), *filled_values(columns, table), *lost_times(columns, table))
    said += preprocessor.renamed_classes(table) if need_target else ()
    table = replace(table, warnings=(*table.warnings, *said))
    return preprocessor.encode_inputs(table, dtype, reuse=table.pivot is not None and not keep), target, table


def files_of(data: Data, root: Path) -> tuple[Path, ...]:
    """Returns the files of all sources, each once."""
    sources = (source for source in (data.train, data.validation, data.test) if isinstance(source, Source))
    return tuple(dict.fromkeys(file for source in sources for file in source.files(root)))


def rows_of_classes(classes: tuple[str, ...], t: Array) -> dict[str, int]:
    """Returns the number of rows of each class in encoded targets."""
    if not classes:
        return {}
    counts = np.zeros(len(classes), np.int64)
    for start in range(0, len(t), TARGETS_PER_READ):
        counts += np.bincount(t[start : start + TARGETS_PER_READ], minlength=len(counts))
    return {name: int(n) for name, n in zip(classes, counts, strict=True)}


class InMemoryRows:
    """The rows of a training source, all in memory."""

    def __init__(self, table: Table, labels: Labels) -> None:
        self.table, self.labels = table, labels

    def divide(self, data: Data, seed: int, within: Fold | None) -> tuple[dict[str, Array], tuple[Problem, ...]]:
        """Returns the rows of each split that is part of this source (see `prepare`), and what to warn of."""
        table = self.table
        if data.split is not None:
            key, name = data.split.by
            if key == "group":
                return divide(table.aside[name], data, seed, within), ()
            if key == "column":
                return split_by_column(table, name, seed, within), ()
            return split_by_time(table, name, split_fractions(data), within), ()
        codes, warnings = strata(data, self.labels, table.rows, lambda: cast(Array, table.target), within)
        return divide(codes, data, seed, within), warnings

    def fit(self, data: Data, rows: Array) -> tuple[Preprocessor, tuple[Problem, ...]]:
        """Returns what these rows teach, and what to warn of."""
        return fit_preprocessor(self.table, rows, self.labels, data.scale, data.scale_target), ()

    def encode(
        self, preprocessor: Preprocessor, rows: Array, dtype: Any, *, inputs: bool = True, last: bool = False
    ) -> tuple[Array, Array, tuple[Problem, ...]]:
        """Returns inputs (without `inputs`, their shape alone) and targets of these rows, and what to warn of. The
        `last` ones asked for may be written over the table's numbers."""
        t = preprocessor.encode_target(self.table, dtype, rows)
        if not inputs:
            return np.broadcast_to(np.zeros((), dtype), (len(rows), *preprocessor.shape)), t, ()
        warnings = preprocessor.unseen(self.table, rows)
        x = preprocessor.encode_inputs(self.table, dtype, rows, reuse=self.table.pivot is not None and last)
        return x, t, warnings


def _open(
    data: Data, targets: Literal["classes", "values"], root: Path, dtype: Any, *, compact: bool
) -> InMemoryRows | OutOfCoreRows:
    """Returns the rows of the training source, with the column that they are divided by."""
    source, names = data.train, () if data.split is None else (data.split.by[1],)
    if isinstance(source, ColumnSource):
        hidden = () if data.split is None or data.split.time is not None else names
        classes = targets == "classes"
        table = source.load_columns(root, ColumnRequest(aside=names, hidden=hidden, compact=compact, classes=classes))
    elif data.split is not None:
        text = f"split goes by a column, and {source.kind} has no named columns"
        raise Failure(Problem(text, code="split", path=("data", "split"), help="leave `split` out"))
    elif (found := OutOfCoreRows.open(source, targets, root, dtype)) is not None:
        return found
    else:
        table = source.load(root)
    return InMemoryRows(table, labels_of(table, targets))


def _weight(table: Table, dtype: Any, rows: Array | None = None) -> Array | None:
    """Returns how much each row counts."""
    if table.weight is None:
        return None
    return (table.weight if rows is None else table.weight[rows]).astype(dtype)
