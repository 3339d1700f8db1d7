"""From the `data` section to arrays: load, divide, learn the rules from the training rows, encode every split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from bpcli.config.data import Data
from bpcli.family import Scaler, Source, Table
from bpcli.plan import Array
from bpcli.records import ColumnRow, Failure, Problem, SplitRow
from bpcli.studies.learn import fit, labels_of
from bpcli.studies.rules import Labels, Rules
from bpcli.studies.split import divide

__all__ = ["Prepared", "Rules", "Split", "prepare", "prepare_for"]

FIRST = 5  # rows shown by `check`


@runtime_checkable
class _Named(Protocol):
    """A source that can read just the columns a model was trained on."""

    target: tuple[str, ...]

    def load_columns(
        self, root: Path, kinds: Mapping[str, Literal["number", "text"]], *, need_target: bool
    ) -> Table: ...


@dataclass(frozen=True, eq=False)
class Split:
    """The rows of one split, encoded.

    `x` is (N, *shape) of the run's type, C-contiguous (prepared without inputs, it has its shape and no memory); `t` is
    (N,) int64 class ids, or (N, K) of the run's type; `rows` are their indices in the file order of their source, and
    `names` what the rows of the source are called, where they have names.
    """

    name: str
    x: Array
    t: Array
    rows: Array
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Prepared:
    """All splits (train always; validation and test where the file asks for them), the rules they were encoded by, and
    what `check` shows of the training source: its columns, and its first rows as they stand in the file."""

    splits: Mapping[str, Split]
    rules: Rules
    columns: tuple[ColumnRow, ...]
    first_header: tuple[str, ...]
    first_rows: tuple[tuple[str, ...], ...]
    files: tuple[Path, ...]
    warnings: tuple[Problem, ...] = ()
    table: Table | None = None  # the training source, where it was prepared without inputs

    def split_rows(self) -> tuple[SplitRow, ...]:
        """How many rows each split has, and how many of each class."""
        found = []
        for split in self.splits.values():
            counts = np.bincount(split.t, minlength=len(self.rules.classes)) if self.rules.classes else ()
            classes = {name: int(n) for name, n in zip(self.rules.classes, counts, strict=True)}
            found.append(SplitRow(split.name, len(split.x), classes))
        return tuple(found)


def prepare(
    data: Data, *, targets: Literal["classes", "values"], seed: int, dtype: Any, root: Path, inputs: bool = True
) -> Prepared:
    """The splits of an experiment. `targets` is what the loss compares; paths are relative to `root`. Without `inputs`
    the rows of the training source are not encoded: for a look at a few of them.

    Rules are learned from the training rows only, after the split; the split depends on the seed and the classes.
    Raises Failure for everything that is wrong with the data.
    """
    table = data.train.load(root)
    labels = labels_of(table, targets)
    fractions = {n: f for n in ("test", "validation") if isinstance(f := getattr(data, n), float)}
    codes, warnings = _strata(data, table, labels, bool(fractions))
    warnings = (*table.warnings, *warnings)
    rows = divide(codes, fractions, seed) if fractions else {"train": np.arange(table.rows)}
    rules = fit(table, rows["train"], labels, data.scale, data.scale_target)
    splits: dict[str, Split] = {}
    files = list(data.train.files(root))
    for name in ("train", "validation", "test"):
        source = None if name == "train" else getattr(data, name)
        if isinstance(source, Source):
            x, t, other = prepare_for(rules, source, root, dtype, True)
            assert t is not None
            warnings = (*warnings, *other.warnings)
            splits[name] = Split(name, x, t, np.arange(len(x)), other.row_names)
            files += source.files(root)
        elif name in rows:
            chosen = rows[name]
            t = rules.encode_target(table, dtype, chosen)
            nothing = np.broadcast_to(np.zeros((), dtype), (len(chosen), *rules.shape))
            x = rules.encode_inputs(table, dtype, chosen) if inputs else nothing
            splits[name] = Split(name, x, t, chosen, table.row_names)
    header, first = _first(table)
    columns = _columns(table, rows["train"], rules, data.scale)
    kept = None if inputs else table
    return Prepared(splits, rules, columns, header, first, tuple(dict.fromkeys(files)), warnings, kept)


def prepare_for(
    rules: Rules, source: Source, root: Path, dtype: Any, need_target: bool
) -> tuple[Array, Array | None, Table]:
    """The rows of a source encoded by rules learned before: inputs, targets (None without `need_target`), and the
    table. Columns are matched by name, in any order; others are ignored."""
    if rules.columns and isinstance(source, _Named):
        kinds = rules.kinds
        if need_target and rules.labels != "one-hot":
            kinds |= dict.fromkeys(source.target, "text" if rules.labels == "text" else "number")
        table = source.load_columns(root, kinds, need_target=need_target)
    else:
        table = source.load(root, need_target=need_target)
    x = rules.encode_inputs(table, dtype)
    return x, rules.encode_target(table, dtype) if need_target else None, table


def _strata(data: Data, table: Table, labels: Labels, divided: bool) -> tuple[Array, tuple[Problem, ...]]:
    """The class of each row where the split keeps the share of each class, else zeros; and what to warn of."""
    if labels == "none" and data.stratify:
        text = "stratify keeps the share of each class, and the targets are numbers"
        raise Failure(Problem(text, code="stratify", path=("data", "stratify"), help="leave `stratify` out"))
    if labels == "none" or data.stratify is False:
        return np.zeros(table.rows, np.int64), ()
    assert table.target is not None
    target = np.argmax(table.target, axis=1) if labels == "one-hot" else table.target
    found: dict[Any, int] = {}
    codes = np.empty(table.rows, np.int64)
    order = {label: i for i, label in enumerate(sorted(set(target.tolist())))}
    for row, label in enumerate(target.tolist()):
        codes[row] = order[label]
        found[label] = found.get(label, 0) + 1
    single = [str(label) for label, count in sorted(found.items()) if count == 1]
    if not single or not divided:
        return codes, ()
    names = ", ".join(f"`{s}`" for s in single[:10]) + (f" and {len(single) - 10} more" if len(single) > 10 else "")
    text = f"class {names} has a single row" if len(single) == 1 else f"the classes {names} have a single row each"
    help = "it stays in train, so nothing will judge how well that class is predicted"
    return codes, (Problem(text, code="single-row", path=("data", "train"), help=help, level="warning"),)


def _columns(table: Table, rows: Array, rules: Rules, scale: Scaler) -> tuple[ColumnRow, ...]:
    """What each input column holds in the training rows, and what is done to it."""
    treatment = "as it is" if rules.scaling is None else scale.kind
    x = table.numbers[rows]
    if x.ndim > 2:
        shape = " x ".join(map(str, x.shape[1:]))
        return (ColumnRow(shape, x.dtype.name, float(x.min()), float(x.max()), 0, treatment),)
    names = table.order or tuple(map(str, range(x.shape[1])))
    found = []
    for name in names:
        if name in table.texts:
            count = next(c.width for c in rules.columns if c.name == name)
            found.append(ColumnRow(name, "text", None, None, count, f"one-hot, {count} input{'s' * (count != 1)}"))
        else:
            column = x[:, table.names.index(name) if table.names else int(name)]
            found.append(ColumnRow(name, "number", float(column.min()), float(column.max()), 0, treatment))
    return tuple(found)


def _first(table: Table) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The first rows, as text."""
    assert table.target is not None
    target = table.target if table.target.ndim == 2 else table.target[:, None]
    width = target.shape[1]
    heads = table.target_names or (("target",) if width == 1 else tuple(f"target {k}" for k in range(width)))
    rows = []
    for i in range(min(FIRST, table.rows)):
        if table.numbers.ndim > 2:
            shape = " x ".join(map(str, table.numbers.shape[1:]))
            cells = [f"{shape} {table.numbers.dtype.name}, {table.numbers[i].min():g} to {table.numbers[i].max():g}"]
        elif table.order:
            cells = [
                str(table.texts[n][i]) if n in table.texts else f"{table.numbers[i, table.names.index(n)]:g}"
                for n in table.order
            ]
        else:
            cells = [f"{v:g}" for v in table.numbers[i]]
        cells = [table.row_names[i], *cells] if table.row_names else cells
        rows.append((*cells, *(f"{v:g}" if isinstance(v, float) else str(v) for v in target[i])))
    inputs = table.order or (("x",) if table.numbers.ndim > 2 else tuple(map(str, range(table.numbers.shape[1]))))
    names = ("file",) if table.row_names else ()
    return (*names, *inputs, *heads), tuple(rows)
