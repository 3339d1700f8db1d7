"""What is learned of the data from the training rows: categories, class names, what stands for a missing value, shifts
and scales."""

from collections.abc import Collection
from typing import Any, Literal

import numpy as np

from bpcli.family import Array, Missing, Scaler, Table, Treatment
from bpcli.numeric.lazy_rows import MappedRows
from bpcli.parts.data.columns.source import FILLING_RULES
from bpcli.parts.data.files import yaml_name
from bpcli.parts.data.targets import distinct
from bpcli.records.training import Failure, Problem
from bpcli.studies.dataset.class_labels import not_classes, one_hot_ids
from bpcli.studies.dataset.columns import ColumnEncoder, Scaling, expand_columns
from bpcli.studies.dataset.far_off import MAX_SEEN, limits_of, nearly_constant
from bpcli.studies.dataset.preprocessor import Labels, Preprocessor

MAX_CATEGORIES = 1000  # of a text column that have inputs of their own
MAX_COUNTED = 100_000  # categories of a text column whose frequency is an input; beyond it holds names or identifiers
DEFAULT_TREATMENT = Treatment()


def labels_of(table: Table, targets: Literal["classes", "values"]) -> Labels:
    """Returns how the targets name classes, for a loss that compares classes or values. Raises Failure where they
    cannot."""
    target = table.target
    if target is None:
        raise Failure(Problem(f"{table.origin} has no target", code="no-target", help="name its target column"))
    if target.dtype == object:
        return "text"
    if targets == "values":
        return "none"
    if target.ndim == 1:
        return "ids"
    if target.shape[1] == 1:
        raise not_classes(table, np.arange(len(target)))
    one_hot_ids(table, np.arange(len(target)), target.shape[1])
    return "one-hot"


def fit_preprocessor(table: Table, rows: Array, labels: Labels, scale: Scaler, scale_target: Scaler) -> Preprocessor:
    """Returns what these rows teach; no other row of the table is read. Raises Failure: a text column with over 1,000
    categories that would have inputs of their own though nobody said so, a column without a value, a single class,
    numbers too large to scale."""
    columns = tuple(_column(table, name, rows) for name in table.order)
    scaling = _scaling(table, rows, columns, scale)
    shape = (sum(c.width for c in columns),) if columns else table.numbers.shape[1:]
    target = table.target
    assert target is not None
    known: dict[str, Any] = {"target_names": table.target_names, "labels": labels}
    known["target_formats"] = {name: table.formats[name] for name in table.target_names if name in table.formats}
    if labels == "none":
        values = target[rows].astype(np.float64).reshape(len(rows), -1)
        _refuse_constant(table, values)
        target_scaling = fit_scaling(scale_target, values, table.target_names, "scale_target")
        return Preprocessor(shape, columns, scaling, outputs=values.shape[1], target_scaling=target_scaling, **known)
    refuse_scaled_classes(scale_target)
    if labels == "one-hot":
        classes = table.target_names or tuple(map(str, range(target.shape[1])))
    else:
        chosen = target[rows]
        classes = class_names(set(chosen.tolist()) if chosen.dtype == object else distinct(chosen)[0].tolist(), table)
    return Preprocessor(shape, columns, scaling, classes=classes, **known)


def _refuse_constant(table: Table, values: Array) -> None:
    """Raises Failure where the targets of a file (n, k) are the same in all training rows, of which there are some."""
    if table.target_names and len(values) > 1 and (values == values[0]).all():
        written = " and ".join(f"`{n}` is {v:.10g}" for n, v in zip(table.target_names, values[0], strict=True))
        text = f"{written} in every one of the {len(values):,} training rows: there is nothing to learn"
        help = "name another column as `target`"
        raise Failure(Problem(text, code="constant-target", path=("data", "train", "target"), help=help))


def refuse_scaled_classes(scale_target: Scaler) -> None:
    """Raises Failure where targets that are classes are to be scaled."""
    if not scale_target.identity:
        text, help = "scale_target scales numbers, and the targets are classes", "leave `scale_target` out"
        raise Failure(Problem(text, code="scale-target", path=("data", "scale_target"), help=help))


def class_names(labels: Collection[Any], table: Table) -> tuple[str, ...]:
    """Returns the names of the classes by id, from the different labels of the training rows. Raises Failure where
    there is a single one."""
    classes = tuple(map(str, sorted(labels)))
    if len(classes) == 1:
        text = f"the training rows hold a single class, `{classes[0]}`"
        help = "add rows of another class, or write one-hot targets"
        raise Failure(Problem(text, code="one-class", file=table.origin, help=help))
    return classes


def _column(table: Table, name: str, rows: Array) -> ColumnEncoder:
    """Returns what the training rows teach of one column."""
    treatment = table.treatments.get(name, DEFAULT_TREATMENT)
    kind, missing, form = table.kind(name), treatment.missing or "error", table.formats.get(name)
    if kind == "text":
        if treatment.scale is not None:
            text = f"column `{name}` holds text: it becomes one-hot inputs of 0 and 1, which are not scaled"
            path = ("data", "train", "columns", name, "scale")
            raise Failure(Problem(text, code="treatment", path=path, help="leave `scale` out"))
        cells = table.texts[name][rows]
        found = _count_categories(table, name, cells.found, treatment)
        missing = "mode" if missing in FILLING_RULES else missing
        fill = max(sorted(found), key=found.__getitem__) if missing == "mode" else None
        unseen = treatment.unseen or "error"
        indicator = bool(treatment.indicator) and bool(cells.gaps.any())
        categories, encoding = tuple(sorted(found)), treatment.encoding or "one_hot"
        counted = encoding == "frequency" or bool(treatment.min_rows or treatment.max_categories)
        return ColumnEncoder(
            name, kind, categories, (), missing, fill, indicator, unseen, form, encoding=encoding,
            counts=tuple(found[c] for c in categories) if counted else (), min_rows=treatment.min_rows or 0,
            max_categories=treatment.max_categories or 0,
        )  # fmt: skip
    if said := next(
        (key for key in ("encoding", "min_rows", "max_categories") if getattr(treatment, key) is not None), None
    ):
        text = f"column `{name}` holds {kind}s, and `{said}` is about the categories of a text"
        path, help = ("data", "train", "columns", name, said), "leave it out, or write `kind: text` beside it"
        raise Failure(Problem(text, code="treatment", path=path, help=help))
    parts = treatment.parts if kind == "date" else ()
    j = table.at[name]
    pivot = 0.0 if table.pivot is None else float(table.pivot[j])
    some = table.numbers[rows[:: max(1, len(rows) // MAX_SEEN)], j].astype(np.float64)
    limits = () if kind == "boolean" else limits_of(some + pivot)
    if missing not in FILLING_RULES:
        return ColumnEncoder(name, kind, (), parts, missing, format=form, limits=limits)
    values = table.numbers[rows, j].astype(np.float64) + pivot
    missing = "mode" if kind == "boolean" else missing
    known = values[~np.isnan(values)]
    indicator = bool(treatment.indicator) and len(known) < len(values)
    middle = _fill(table, name, known, missing)
    return ColumnEncoder(name, kind, (), parts, missing, middle, indicator, format=form, limits=limits)


def _count_categories(table: Table, name: str, found: dict[str, int], treatment: Treatment) -> dict[str, int]:
    """Returns how often each category occurs, of which there have to be some, and not too many."""
    if not found:
        raise _no_value(table, name)
    frequency, least = treatment.encoding == "frequency", treatment.min_rows or 0
    most = treatment.max_categories
    own = sum(n >= least for n in found.values()) if least or most or not frequency else 0
    own = min(own, most or own)
    if own > max(MAX_CATEGORIES, most or 0) or len(found) > MAX_COUNTED:
        what = f"{own} of them" if own > MAX_CATEGORIES and (least > 1 or most) else "each"
        text = f"column `{name}` holds {len(found)} different texts: {what} would become an input of its own"
        if len(found) > MAX_COUNTED:
            text = f"column `{name}` holds {len(found):,} different texts, more than the {MAX_COUNTED:,} that are kept"
        help = f"leave it out with `drop: [{yaml_name(name)}]`"
        if len(found) <= MAX_COUNTED:
            setting = f"columns: {{{yaml_name(name)}: {{encoding: frequency, max_categories: {MAX_CATEGORIES}}}}}"
            help += f", or write `{setting}` in the train source"
        raise Failure(Problem(text, code="categories", file=table.origin, help=help))
    if least and not own and not frequency:
        text = (
            f"column `{name}`: no category has {least:,} training rows, the most frequent has {max(found.values()):,}"
        )
        path = ("data", "train", "columns", name, "min_rows")
        raise Failure(Problem(text, code="categories", path=path, help="write a smaller `min_rows`"))
    return found


def _fill(table: Table, name: str, values: Array, missing: Missing) -> float:
    """Returns what stands for a missing number: of several equally frequent ones the least."""
    if not len(values):
        raise _no_value(table, name)
    with np.errstate(over="ignore"):
        if missing == "mode":
            known, counts = np.unique(values, return_counts=True)
            found = float(known[counts.argmax()])
        else:
            found = float(np.mean(values) if missing == "mean" else np.median(values))
    if not np.isfinite(found):
        text = f"column `{name}` holds numbers too large to compute their {missing}"
        raise Failure(Problem(text, code="too-large", help="write it in a larger unit, or `missing: mode`"))
    return found


def _no_value(table: Table, name: str) -> Failure:
    text = f"column `{name}` has no value in any training row"
    help = f"leave it out with `drop: [{yaml_name(name)}]`"
    return Failure(Problem(text, code="no-values", file=table.origin, help=help))


def _scaling(table: Table, rows: Array, columns: tuple[ColumnEncoder, ...], scale: Scaler) -> Scaling | None:
    """Returns shifts and scales of the inputs that are numbers: by `scale`, but for columns that say otherwise and
    booleans."""
    numeric = [c for c in columns if not c.categories]
    chosen = [_scaler(table, c) for c in numeric]
    whole = len(rows) == table.rows and isinstance(table.numbers, np.ndarray)
    numbers: Any = table.numbers if whole else None
    if numbers is None and table.pivot is not None and not any(chosen):
        numbers = MappedRows(table.numbers, rows)  # a large table is not copied
    elif numbers is None:
        numbers = table.numbers[rows]
    if not numeric:
        return fit_scaling(scale, numbers, (), "scale")
    names = tuple(c.name for c in numeric for _ in range(c.scaled_width))
    if table.pivot is None:  # where there is a pivot, nothing is missing and no number is a date
        numbers = expand_columns(numeric, numbers)
    pivot = np.zeros(len(names)) if table.pivot is None else table.pivot
    dated = np.array([c.kind == "date" for c in numeric for _ in range(c.scaled_width)])
    if chosen == [None] * len(chosen):
        return _identity_left_out(_only_shifted(_fitted(scale, numbers, names, "scale", pivot), ~dated))
    own = [scaler for c, scaler in zip(numeric, chosen, strict=True) for _ in range(c.scaled_width)]
    shift, spread = np.zeros(len(names)), np.ones(len(names))
    usual = [j for j, scaler in enumerate(own) if scaler is None]
    groups = [([j], scaler) for j, scaler in enumerate(own) if scaler is not None]
    for inputs, scaler in [(usual, scale), *groups] if usual else groups:
        named = tuple(names[j] for j in inputs)
        found = _fitted(scaler, numbers[:, inputs], named, "scale", pivot[inputs])
        if inputs is usual:  # a column that says how it is scaled is scaled so
            found = _only_shifted(found, ~dated[inputs])
        shift[inputs], spread[inputs] = found
    return _identity_left_out((shift, spread))


def _scaler(table: Table, column: ColumnEncoder) -> Scaler | None:
    """Returns how a column is scaled that is not scaled as all are."""
    found = table.treatments.get(column.name, DEFAULT_TREATMENT).scale
    return Scaler.parse("none") if found is None and column.kind == "boolean" else found


def fit_scaling(
    scaler: Scaler, x: Array, names: tuple[str, ...], key: str, pivot: Array | None = None
) -> Scaling | None:
    """Returns the scaling of x, or of x + pivot; None where it would change nothing. `names` are the columns of x,
    `key` the setting that asks for it. Raises Failure where the numbers are too large."""
    found = _fitted(scaler, x, names, key, pivot)
    return _identity_left_out(_only_shifted(found) if key == "scale" else found)


def _only_shifted(found: tuple[Array, Array], chosen: Any = True) -> tuple[Array, Array]:
    """Returns a shift and a scale where the chosen inputs that are all but constant are shifted, and not scaled: a
    difference in the seventh digit would become a large number."""
    shift, scale = found
    return shift, np.where(nearly_constant(scale, shift) & chosen, 1.0, scale)


def _fitted(
    scaler: Scaler, x: Array, names: tuple[str, ...], key: str, pivot: Array | None = None
) -> tuple[Array, Array]:
    """Returns the shift and the scale of x, or of x + pivot."""
    shift, scale = scaler.fit(x)
    if pivot is not None and not scaler.identity:
        shift = shift + pivot
    wrong = ~(np.isfinite(shift) & np.isfinite(scale))
    if wrong.any():
        index = tuple(int(k) for k in np.argwhere(wrong)[0])
        name = f"column `{names[index[0]]}`" if names else f"input {index}"
        text = f"{name} holds numbers too large to compute its {scaler.kind} scaling"
        raise Failure(Problem(text, code="too-large", path=("data", key), help="write it in a larger unit"))
    return shift, scale


def _identity_left_out(found: tuple[Array, Array]) -> Scaling | None:
    shift, scale = found
    return None if not shift.any() and bool((scale == 1).all()) else Scaling(shift, scale)
