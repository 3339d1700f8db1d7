"""What a data file holds and which settings suit it: the decisions of a first experiment."""

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bpcli.family import Array, CodedText, Shape, Source, Table, Treatment
from bpcli.parts.data.cells import find_sentinels
from bpcli.parts.data.cells.codes import are_names
from bpcli.parts.data.cells.missing import looks_like_sentinel
from bpcli.parts.data.columns.loading import ColumnRequest
from bpcli.parts.data.columns.source import ColumnSource
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.data_option import source_of
from bpcli.studies.dataset.far_off import nearly_constant
from bpcli.studies.dataset.fit import MAX_CATEGORIES
from bpcli.studies.dataset.judgement import hazards
from bpcli.studies.init.categories import choose_encoding, codes_remarks, one_hot_limits
from bpcli.studies.init.options import USUAL, ColumnOptions

TableTask = Literal["classify", "regress"]

MAX_CLASS_IDS = 20  # different whole numbers that may be class ids
MIN_ROWS_PER_CLASS = 10  # on average, where whole numbers count as class ids
MIN_DISTINCT_ROWS = 20  # that all differ in a column before it counts as a name or an id
MIN_MISSING_SHARE = 0.05  # of the values of a column, from which on an input says where they are missing
MIN_IMBALANCE = 10.0  # rows of the largest class over those of the smallest, from which on accuracy says little
ROW_NUMBER_NAMES = frozenset({"", "id", "index", "row", "rowid", "row_id", "uid", "uuid", "unnamed: 0", "nr", "no"})
"""Names of columns that number the rows."""


@dataclass(frozen=True)
class FileColumn:
    """One column of the file: what it holds, and what the experiment does with it."""

    name: str
    kind: str
    holds: str  # its range, or how many categories
    treatment: str
    dropped: bool = False
    width: int = 1  # inputs that it becomes
    missing: float = 0.0  # share of the rows
    settings: Mapping[str, Any] = field(default_factory=dict)  # of its own that the experiment needs
    remark: str = ""


@dataclass(frozen=True)
class Inspection:
    """What was found in the data, and what a first experiment is made of."""

    source: dict[str, Any]  # as in the file
    origin: str
    rows: int
    columns: tuple[FileColumn, ...]
    targets: tuple[str, ...]
    task: TableTask
    shape: Shape  # of one encoded row
    outputs: int
    classes: Mapping[str, int] = field(default_factory=dict)
    several: bool = False  # labels a row
    remarks: tuple[str, ...] = ()
    pixels: bool = False

    @property
    def imbalance(self) -> float:
        """Rows of the largest class over those of the smallest."""
        return max(self.classes.values()) / min(self.classes.values()) if self.classes else 1.0

    @property
    def dates(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.kind == "date" and not c.dropped)


def inspect_data(
    data: str, targets: Sequence[str], task: TableTask | None, root: Path, base: Path, options: ColumnOptions = USUAL
) -> Inspection:
    """Inspects the data and decides what suits it, but for what the options say.

    `data` is a path relative to `root`, or a source spelled out; `targets` are the columns to predict. In what is
    returned the path is relative to `base`. Raises Failure for whatever is wrong with the data, and where nothing can
    be predicted.
    """
    source = source_of(data, None, not data.lstrip().startswith("{"), root=root)
    if isinstance(source, ColumnSource):
        return _columns(source, tuple(targets), task, root, base, options)
    if options != USUAL:
        text = (
            f"{source.kind} has no columns with names: there is nothing for {options.words()[0].split()[0]} to be about"
        )
        raise Failure(Problem(text, code="options", help="leave the option out"))
    settings, table, remarks = source.infer_settings(root)
    values, classes, several = _task(table, "classify" if source.classifies else task)
    return Inspection(
        source=_source_settings(source, root, base, **settings), origin=table.origin, rows=table.rows, columns=(),
        targets=(), task=values, shape=table.numbers.shape[1:], outputs=_outputs(table, classes), classes=classes,
        several=several, remarks=remarks, pixels=source.pixels,
    )  # fmt: skip


def _source_settings(source: Source, root: Path, base: Path, **settings: Any) -> dict[str, Any]:
    """Returns the source as a config in `base` writes it, with these settings added."""
    plain = source.model_dump(mode="json", exclude_defaults=True)
    for key, value in plain.items():
        if isinstance(value, str) and root / value in source.files(root) and (root / value).exists():
            plain[key] = _path(root / value, base)
    return {"type": source.kind, **plain, **{k: v for k, v in settings.items() if v}}


def _path(file: Path, base: Path) -> str:
    """Returns the relative path from a folder to a file; absolute where there is none (another drive)."""
    try:
        way = Path(os.path.relpath(file, base)).as_posix()
        if way.startswith("../"):  # up from where a link leads to, not from where it stands
            way = Path(os.path.relpath(file.resolve(), base.resolve())).as_posix()
        return way
    except ValueError:
        return file.resolve().as_posix()


# Tables


def _columns(
    source: Any, targets: tuple[str, ...], task: TableTask | None, root: Path, base: Path, options: ColumnOptions
) -> Inspection:
    source = options.applied(source.model_copy(update={"target": targets or source.target}))
    table, source = _load(source, root, task)
    values, classes, several = _task(table, task)
    if table.target is not None and table.target.ndim == 1 and classes:
        table = source.load_columns(root, ColumnRequest(classes=True))  # 01 and 1 are two classes
        values, classes, several = _task(table, task)
    limits = one_hot_limits(table)
    columns = [_column(table, name, name in options.kept, limits.get(name, 0)) for name in table.order]
    kept = [c for c in columns if not c.dropped]
    if not kept:
        text = f"{table.origin}: no column is left to learn from: {', '.join(c.name for c in columns[:8])}"
        help = "a network needs a column that says something about the target"
        raise Failure(Problem(text, code="no-inputs", help=help))
    found = hazards(table, {c.name for c in kept})
    text_columns = any(c.kind == "text" for c in kept)
    lost = table.target_names if any(w.code == "rows-left-out" for w in table.warnings) else ()
    said = source.model_dump(mode="json", exclude_defaults=True).get("columns", {})
    treatments: dict[str, Any] = {c.name: {**c.settings, **said.get(c.name, {})} for c in kept}
    treatments |= {name: {**said.get(name, {}), "missing": "drop"} for name in lost}
    treatments = {name: settings for name, settings in treatments.items() if settings}
    settings = {
        "drop": [*source.drop, *(c.name for c in columns if c.dropped)],
        "columns": treatments,
        "missing": "median",  # also where nothing is missing here: a row to be predicted may lack a value
        "indicator": any(c.missing >= MIN_MISSING_SHARE for c in kept),
        "unseen": "ignore" if text_columns else None,
    }
    plain = source.model_copy(update={"missing": "error", "columns": {}})
    return Inspection(
        source=_source_settings(plain, root, base, **settings),
        origin=table.origin,
        rows=table.rows,
        columns=tuple(columns),
        targets=table.target_names,
        task=values,
        shape=(sum(c.width for c in kept),),
        outputs=_outputs(table, classes),
        classes=classes,
        several=several,
        remarks=(
            *(w.text for w in table.warnings),
            *(c.remark for c in kept if c.remark),
            *_whole_numbers_remark(table, classes, task),
            *_few_rows_remark(table.rows, classes),
            *codes_remarks(table, {c.name for c in kept if c.kind == "number"} - options.kept, found),
            *(hazard.advice for hazard in found),
        ),
    )


def _whole_numbers_remark(table: Table, classes: Mapping[str, int], task: TableTask | None) -> tuple[str, ...]:
    """Returns the remark that whole numbers were taken for classes, where nobody said so."""
    if task is not None or not classes or not all(name.lstrip("-").isdecimal() for name in classes):
        return ()
    ids = sorted(map(int, classes))
    text = f"the whole numbers of `{_name(table)}`, {ids[0]} to {ids[-1]}, are taken for {len(ids)} classes; "
    return (text + "`--task regress` predicts them as numbers",)


def _few_rows_remark(rows: int, classes: Mapping[str, int]) -> tuple[str, ...]:
    """Returns the remark that classes have few rows; none where they have enough."""
    if rows >= MIN_ROWS_PER_CLASS * len(classes):
        return ()
    text = f"{rows:,} rows for {len(classes):,} classes, the smallest with {min(classes.values())}: hardly enough to "
    return (text + f"learn from. Join classes, or find {MIN_ROWS_PER_CLASS} rows and more of each.",)


def _load(source: Any, root: Path, task: TableTask | None) -> tuple[Table, Any]:
    """Loads all rows, with gaps where the file has them. Returns the source that reads them so, too: one that takes a
    first line that is data, columns without a name (the row numbers that a data frame writes) and a target that is said
    to be classes as they are."""
    first: Failure | None = None  # of a file whose first line was taken for data
    while True:  # every other try changes the source
        columns = {**dict.fromkeys(source.target, Treatment(missing="drop")), **source.columns}
        tolerant = source.model_copy(update={"missing": "median", "columns": columns})
        try:
            return tolerant.load(root), tolerant
        except Failure as failure:
            code = failure.problems[0].code
            if code == "no-name" and "" not in source.drop:
                source = source.model_copy(update={"drop": (*source.drop, "")})
            elif code == "no-header" and source.header is None:
                source = source.model_copy(update={"header": False})
                first = failure
            elif code == "missing-column" and first is not None and source.header is False:
                source, first = source.model_copy(update={"header": True}), failure  # years may be names
            elif code == "missing-column" and first is not None:
                raise first from None
            elif code == "no-target":
                raise _no_target(failure) from None
            elif task == "classify" and len(source.target) == 1 and not {*source.target} & {*source.text}:
                source = source.model_copy(update={"text": (*source.text, *source.target)})
            else:
                raise


def _no_target(failure: Failure) -> Failure:
    problem = failure.problems[0]
    _, _, names = problem.help.partition("; ")
    help = f"name the column to predict: --target NAME; {names}"
    return Failure(Problem("what is to be predicted is not said", code="no-target", file=problem.file, help=help))


def _column(table: Table, name: str, keep: bool, limit: int) -> FileColumn:
    """Returns what a column holds and what the experiment does with it; one to `keep` is left out only where it has no
    value at all. Text may become so many one-hot inputs as `limit` says."""
    if name in table.texts:
        return _text(name, table.texts[name], keep, limit)
    values = table.numbers[:, table.at[name]].astype(np.float64)
    gaps = float(np.isnan(values).mean())
    values = values[~np.isnan(values)]
    kind = table.kind(name)
    if not len(values):
        return FileColumn(name, kind, "no value at all", "left out", dropped=True, missing=1.0)
    settings: dict[str, Any] = {}
    remark = ""
    if kind == "number" and (odd := _sentinels(values)):
        numbers = [int(v) for v in odd]
        settings = {"missing_values": numbers}
        count = int(np.isin(values, odd).sum())
        remark = (
            f"`{name}`: {' and '.join(map(str, numbers))} stands far apart from all other numbers, in {count:,} of "
        )
        remark += f"{len(values):,} rows: it is read as a missing value (`missing_values`)"
        gaps += count / table.rows
        values = values[~np.isin(values, odd)]
    low, high = float(values.min()), float(values.max())
    parts = ["days", "month", "weekday"]
    if kind == "date":
        parts += ["hour"] if len(np.unique(values % 1)) > 1 else []
        holds, settings = f"{_day(low)} to {_day(high)}", {"parts": parts}
    else:
        holds = "yes or no" if kind == "boolean" else f"{low:.6g} to {high:.6g}"
    nearly = kind == "number" and nearly_constant(high - low, max(abs(low), abs(high)))
    if not keep and (low == high or nearly or (kind == "number" and _numbers_rows(name, values))):
        why = "the same in every row" if low == high else "it numbers the rows"
        why = f"all but the same in every row, within {(high - low) / max(abs(low), abs(high)):.0e}" if nearly else why
        return FileColumn(name, kind, holds, f"left out: {why}", dropped=True, missing=gaps)
    if kind == "number" and not keep and not settings and _seem_names(name, values, low, high):
        return _names(name, values, gaps)
    treatment = {"boolean": "1 or 0", "date": f"{', '.join(parts[:-1])} and {parts[-1]}"}.get(kind, "standardized")
    form = table.formats.get(name)
    treatment = f"{form.words()}; {treatment}" if form is not None and form.words() else treatment
    width = len(parts) if kind == "date" else 1
    return FileColumn(name, kind, holds, treatment, width=width, missing=gaps, settings=settings, remark=remark)


def _seem_names(name: str, values: Array, low: float, high: float) -> bool:
    """Whether the numbers of a column seem to be names; what says at once that they are none is looked at first."""
    if len(f"{low:.0f}") != len(f"{high:.0f}") or low < 1 or (values != np.floor(values)).any():
        return False
    return are_names(*np.unique(values, return_counts=True), name)


def _names(name: str, values: Array, gaps: float) -> FileColumn:
    """Returns the description of a column of numbers that are names: it becomes text."""
    numbers = np.unique(values)
    count, digits = len(numbers), len(f"{numbers[0]:.0f}")
    remark = f"`{name}`: {count} different numbers of {digits} digits that come back look like names, and are read as "
    remark += f"text; if they are amounts, `--number {name}`"
    treatment = f"one-hot, {count} inputs"
    return FileColumn(name, "text", f"{count} categories", treatment, width=count, missing=gaps,
                      settings={"kind": "text"}, remark=remark)  # fmt: skip


def _sentinels(values: Array) -> tuple[float, ...]:
    """Returns the numbers that seem to stand for no value."""
    if not any(looks_like_sentinel(float(limit)) for limit in (values.min(), values.max())):
        return ()
    return find_sentinels(*np.unique(values, return_counts=True))


def _day(days: float) -> str:
    return str(np.datetime64(math.floor(days), "D"))


def _numbers_rows(name: str, values: Array) -> bool:
    """Whether a column numbers the rows: whole numbers that all differ, in order or called an id."""
    if len(values) < MIN_DISTINCT_ROWS or (values != np.floor(values)).any() or len(np.unique(values)) < len(values):
        return False
    counted = bool((np.diff(values) == 1).all())
    word = name.strip().lower()
    return counted or word in ROW_NUMBER_NAMES or word.endswith(("_id", " id")) or name.endswith(("Id", "ID"))


def _text(name: str, cells: CodedText, keep: bool, limit: int) -> FileColumn:
    present, count = sum(cells.found.values()), len(cells.found)
    gaps = 1 - present / max(1, len(cells))
    holds = f"{count:,} categor{'y' if count == 1 else 'ies'}"
    why = ""
    if count <= 1:
        why = "no value at all" if not count else "a single category" if gaps else "the same in every row"
    elif present >= MIN_DISTINCT_ROWS and 2 * count > present:
        holds, why = f"{count:,} different texts", "names or ids"
    made = choose_encoding(cells, limit or MAX_CATEGORIES * keep)
    why = why or made.left_out
    if (why and not (keep and count)) or not made.words:
        return FileColumn(name, "text", holds, f"left out: {why}", dropped=True, missing=gaps)
    return FileColumn(name, "text", holds, made.words, width=made.width, missing=gaps, settings=made.settings)


# Targets


def _task(table: Table, task: TableTask | None) -> tuple[TableTask, dict[str, int], bool]:
    """Returns the task, how many rows each class has, and whether a row may have several labels. Raises Failure where
    the targets are not what `task` says."""
    target = table.target
    assert target is not None
    if target.dtype == object or (target.ndim == 1 and (task or _looks_like_ids(target)) in (True, "classify")):
        if task == "regress":
            text = f"the target `{_name(table)}` holds text: it cannot be a regression"
            raise Failure(Problem(text, code="text-target", help="leave --task out, or name a column of numbers"))
        found = Counter(map(str, target.tolist()))
        _classes_fit(table, found)
        return "classify", found, False
    if target.ndim == 2 and target.shape[1] > 1 and task != "regress" and ((target == 0) | (target == 1)).all():
        return "classify", {}, bool((target.sum(axis=1) != 1).any())
    if task == "classify":
        text = f"the target `{_name(table)}` holds fractions: they are no classes"
        raise Failure(Problem(text, code="not-classes", help="--task regress, or leave it out"))
    if table.target_names and len(target) > 1 and (target == target[0]).all():
        text = (
            f"the target `{_name(table)}` is {float(np.ravel(target)[0]):.10g} in every row: there is nothing to learn"
        )
        raise Failure(Problem(text, code="constant-target", help="name another column with --target"))
    return "regress", {}, False


def _looks_like_ids(target: Array) -> bool:
    values = np.unique(target)
    few = len(values) <= MAX_CLASS_IDS and len(target) >= MIN_ROWS_PER_CLASS * len(values)
    return len(values) <= 2 or (few and int(values[-1]) - int(values[0]) < 2 * MAX_CLASS_IDS)


def _classes_fit(table: Table, found: Mapping[str, int]) -> None:
    if len(found) == 1:
        text = f"the target `{_name(table)}` is `{next(iter(found))}` in every row: there is nothing to tell apart"
        raise Failure(Problem(text, code="one-class", help="name another column with --target"))
    if 2 * len(found) > table.rows:
        text = f"the target `{_name(table)}` has {len(found):,} different values in {table.rows:,} rows: a class of a "
        text += "single row cannot be learned and judged"
        others = ", ".join(table.order[:8]) + ", ..." * (len(table.order) > 8)
        help = f"name a column whose values come back, --target NAME (there are {others}), or give rows that belong "
        help += f"together one name in `{_name(table)}`, at best {MIN_ROWS_PER_CLASS} rows and more to each"
        assert table.target is not None
        help += "" if table.target.dtype == object else "; --task regress predicts numbers as values"
        raise Failure(Problem(text, code="no-classes", help=help))


def _name(table: Table) -> str:
    return table.target_names[0] if table.target_names else "y"


def _outputs(table: Table, classes: Mapping[str, int]) -> int:
    assert table.target is not None
    return len(classes) or (table.target.shape[1] if table.target.ndim == 2 else 1)
