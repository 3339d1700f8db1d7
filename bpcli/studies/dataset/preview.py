"""What `check` shows of the data: its columns and what is done to them, its first rows, and rows in two splits."""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bpcli.family import Array, Scaler, Table, Treatment
from bpcli.numeric.lazy_rows import NUMBERS_PER_BLOCK, MappedRows, RowBlocks
from bpcli.numeric.streams import Stream
from bpcli.parts.data.cells import sentinels_of, usual_sentinels
from bpcli.parts.data.cells.sentinels import looks_like_sentinel
from bpcli.parts.data.files import yaml_name
from bpcli.records.training import ColumnRow, Problem
from bpcli.studies.dataset.columns import ColumnEncoder, date_text
from bpcli.studies.dataset.far_off import target_values
from bpcli.studies.dataset.preprocessor import Preprocessor

ROWS_SHOWN = 5  # the first of train
ROWS_LOOKED_AT = 1 << 14  # of a column, before all of them

TIMES_CHANCE = 2.0  # as many rows that stand twice as chance gives, from which on it is no chance
DEVIATIONS = 4.0  # standard deviations of what chance gives, besides


def column_rows(table: Table, rows: Array, preprocessor: Preprocessor, scale: Scaler) -> tuple[ColumnRow, ...]:
    """Returns what each input column holds in the training rows, and what is done to it."""
    treatment = "as it is" if preprocessor.scaling is None else scale.kind
    low, high, gaps = _limits(table, rows)
    if table.numbers.ndim > 2:
        shape = " x ".join(map(str, table.numbers.shape[1:]))
        kind = table.numbers.dtype.name
        return (ColumnRow(shape, kind, float(low.min()), float(high.max()), 0, treatment),)
    if not table.order:
        numbers = range(table.numbers.shape[1])
        return tuple(ColumnRow(str(j), "number", float(low[j]), float(high[j]), 0, treatment) for j in numbers)
    found = []
    for c in preprocessor.columns:
        own = table.treatments.get(c.name, Treatment()).scale
        if c.kind == "text":
            missing = float(np.mean(table.texts[c.name][rows].gaps))
            made = _treatment_text(c, "")
            row = ColumnRow(c.name, c.kind, None, None, len(c.categories), made, missing, table.format_words(c.name))
            found.append(row)
            continue
        scaled = "as it is"
        scaler = own if own is not None else None if c.kind == "boolean" else scale
        if scaler is not None and not scaler.identity and preprocessor.scaling is not None:
            scaled = scaler.kind
        j = table.at[c.name]
        treated, missing = _treatment_text(c, scaled), float(gaps[j]) / len(rows)
        written, limits = table.format_words(c.name), (float(low[j]), float(high[j]))
        odd = _sentinels(table, rows, j, limits)
        found.append(ColumnRow(c.name, c.kind, *limits, 0, treated, missing, written, odd))
    return tuple(found)


def _sentinels(table: Table, rows: Array, j: int, limits: tuple[float, float]) -> tuple[float, ...]:
    """Returns the numbers or dates of a column that seem to stand for no value. Of a long one all are looked at where
    its least or its greatest, the `limits`, has the form or stands in its first rows, too."""
    few = _numbers(table, rows[:ROWS_LOOKED_AT], j)
    if not any(looks_like_sentinel(limit) or (few == limit).any() for limit in limits):
        return ()
    return sentinels_of(_numbers(table, rows, j), table.kind(table.names[j]))


def _numbers(table: Table, rows: Array, j: int) -> Array:
    """Returns a column in these rows, its pivot put in."""
    values: Array = table.numbers[rows, j]
    return values if table.pivot is None or not table.pivot[j] else values.astype(np.float64) + table.pivot[j]


def target_sentinels(table: Table, rows: Array) -> dict[str, tuple[float, ...]]:
    """Returns the numbers of each target of a regression that seem to stand for no value, in these rows."""
    found = {name: usual_sentinels(values[rows]) for name, values in target_values(table)}
    return {name: odd for name, odd in found.items() if odd}


def sentinel_text(value: float, kind: str = "number") -> str:
    """Returns a number or a date that seems to stand for no value, as `missing_values` takes it."""
    if kind == "date":
        return date_text(value)
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def sentinel_warnings(sentinels: Mapping[str, Sequence[str]], *, targets: bool = False) -> tuple[Problem, ...]:
    """Returns a warning for each column with numbers or dates (their texts) that seem to stand for no value, with the
    line to write; rows without one of the `targets` are left out."""
    found, more = [], ", missing: drop" * targets
    for name, odd in sentinels.items():
        if odd:
            one = len(odd) == 1
            text = f"column `{name}`: {' and '.join(odd)} stand{'s' * one} far apart from all other values, "
            text += "as what says that there is no value"
            setting = f"columns: {{{yaml_name(name)}: {{missing_values: [{', '.join(odd)}]{more}}}}}"
            help = f"if {'it does' if one else 'they do'}, write `{setting}` in the train source"
            found.append(Problem(text, code="sentinel", path=("data", "train"), help=help, level="warning"))
    return tuple(found)


def _treatment_text(c: ColumnEncoder, scaled: str) -> str:
    """Returns what is done to a column, in words."""
    filled = "rows without it left out" if c.missing == "drop" else ""
    if c.fill is not None:
        filled = f"missing as {c.fill_text}"
    made = categories_text(c) if c.categories else scaled
    if c.parts:
        made = f"{' and '.join(c.parts)}, {scaled}" if c.parts != ("days",) else f"days since 1970, {scaled}"
    ignored = "unseen ignored" if c.unseen == "ignore" else ""
    return ", ".join(word for word in (made, filled, "an input says where" if c.indicator else "", ignored) if word)


def categories_text(c: ColumnEncoder) -> str:
    """Returns what the categories of a text column become, in words."""
    own = len(c.one_hot)
    chosen = f" from {c.min_rows:,} rows on" if c.min_rows > 1 else ""
    chosen += " of the most frequent" if 0 < c.max_categories < len(c.categories) else ""
    made = f"one-hot{chosen}, {own} input{'s' * (own != 1)}"
    return (f"{made}, frequency, 1 input" if own else "frequency, 1 input") if c.has_frequency else made


def _limits(table: Table, rows: Array) -> tuple[Array, Array, Array]:
    """Returns the least and the largest number of each place in a row, and how many are missing, over these rows; 0
    where there is no number at all."""
    shape = table.numbers.shape[1:]
    if isinstance(rows, RowBlocks) and isinstance(table.numbers, MappedRows):
        return (*table.numbers.select(rows).limits(), np.zeros(shape))  # known already: the file is not read again
    low, high, gaps = np.full(shape, math.inf), np.full(shape, -math.inf), np.zeros(shape)
    step = max(1, NUMBERS_PER_BLOCK // max(1, math.prod(shape)))
    for start in range(0, len(rows), step):
        x = np.asfortranarray(table.numbers.take(rows[start : start + step], axis=0))  # ten times as fast down columns
        least, most = x.min(axis=0), x.max(axis=0)
        if np.isnan(least).any():
            missing = np.isnan(x)
            gaps += missing.sum(axis=0)
            least = np.min(x, axis=0, where=~missing, initial=np.inf)
            most = np.max(x, axis=0, where=~missing, initial=-np.inf)
        np.minimum(low, least, out=low)
        np.maximum(high, most, out=high)
    pivot = 0.0 if table.pivot is None else table.pivot
    return np.where(np.isfinite(low), low + pivot, 0.0), np.where(np.isfinite(high), high + pivot, 0.0), gaps


def first_rows(table: Table) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Returns the names of all columns, and the first rows, as text."""
    assert table.target is not None
    target = table.target[:ROWS_SHOWN]
    target = target if target.ndim == 2 else target[:, None]
    width = target.shape[1]
    heads = table.target_names or (("target",) if width == 1 else tuple(f"target {k}" for k in range(width)))
    rows = []
    for i in range(min(ROWS_SHOWN, table.rows)):
        if table.numbers.ndim > 2:
            shape = " x ".join(map(str, table.numbers.shape[1:]))
            cells = [f"{shape} {table.numbers.dtype.name}, {table.numbers[i].min():g} to {table.numbers[i].max():g}"]
        elif table.order:
            cells = [_cell(table, i, name) for name in table.order]
        else:
            cells = [f"{v:g}" for v in table.numbers[i]]
        cells = [table.row_names[i], *cells] if table.row_names else cells
        rows.append((*cells, *(f"{v:g}" if isinstance(v, float) else str(v) for v in target[i])))
    inputs = table.order or (("x",) if table.numbers.ndim > 2 else tuple(map(str, range(table.numbers.shape[1]))))
    names = ("file",) if table.row_names else ()
    return (*names, *inputs, *heads), tuple(rows)


def _cell(table: Table, row: int, name: str) -> str:
    if name in table.texts:
        return table.texts[name][row]
    j = table.at[name]
    value = float(table.numbers[row, j]) + (0.0 if table.pivot is None else float(table.pivot[j]))
    if math.isnan(value):
        return ""
    if table.kind(name) == "boolean":
        return "yes" if value else "no"
    return date_text(value) if table.kind(name) == "date" else f"{value:g}"


def duplicate_warnings(
    splits: Mapping[str, tuple[Array, Array]],
    chance: float = 0.0,
    origins: Mapping[str, tuple[Table, Array]] | None = None,
    columns: Sequence[ColumnEncoder] = (),
) -> tuple[Problem, ...]:
    """Returns a warning for each split with rows that stand in train too, inputs and target alike: they do not show how
    well the model predicts. `splits` holds the encoded inputs (N, ...) and targets of each; where the tables and rows
    that they are made of are known (`origins`), the cells of the input `columns` are compared, since rare categories
    may become one input. Rows of few possible kinds repeat by nature: `chance` is how likely a row's twin in train is
    by chance alone, and warned is of far more."""
    if len(splits) < 2 or any(not isinstance(a, np.ndarray) for pair in splits.values() for a in pair):
        return ()  # rows on the disk are not compared
    known: dict[str, dict[str, int]] = {c.name: {} for c in columns if c.kind == "text"}
    marks = {
        name: row_hashes(t, *([x] if origins is None else _cells(*origins[name], columns, known)))
        for name, (x, t) in splits.items()
    }
    train = np.sort(marks["train"])
    found = []
    for name, hashes in marks.items():
        if name == "train":
            continue
        ranks = np.searchsorted(train, hashes).clip(max=len(train) - 1)
        count = int((train[ranks] == hashes).sum())
        expected = chance * len(hashes)
        if count > TIMES_CHANCE * expected + DEVIATIONS * math.sqrt(expected):
            text = f"{count:,} of {len(hashes):,} {name} rows stand in train too, inputs and target alike"
            text += f" (by chance about {expected:.0f} would)" if expected >= 0.5 else ""
            help = "they are remembered, not judged: leave one of each in the file; where a column says which rows "
            help += "belong together, write `split: {group: COLUMN}` under `data` with its name"
            found.append(Problem(text, code="twice", path=("data",), help=help, level="warning"))
    return tuple(found)


def _cells(
    table: Table, rows: Array, columns: Sequence[ColumnEncoder], known: Mapping[str, dict[str, int]]
) -> Iterator[Array]:
    """Yields the cells of each column in these rows (n,), as numbers: equal ones of texts are equal in all tables, by
    the numbers that are `known`."""
    for c in columns:
        if c.name in known:
            cells, numbers = table.texts[c.name], known[c.name]
            places = np.array([numbers.setdefault(cell, len(numbers)) for cell in cells.categories], np.float64)
            yield places[cells.codes[rows]]
        else:
            j = table.at[c.name]
            yield table.numbers[rows, j].astype(np.float64) + (0.0 if table.pivot is None else table.pivot[j])


def row_hashes(*arrays: Array) -> Array:
    """Returns a 64-bit hash of each row of these arrays together: equal for equal rows, for others all but never."""
    hashes = np.zeros(len(arrays[0]), np.uint64)
    for number, array in enumerate(arrays):
        flat = array.reshape(len(array), -1)
        step = max(1, NUMBERS_PER_BLOCK // max(1, flat.shape[1]))
        weights = Stream(number, "marks").at().integers(0, 1 << 63, flat.shape[1], dtype=np.uint64) * np.uint64(2)
        weights += np.uint64(1)
        for start in range(0, len(flat), step):
            part = np.ascontiguousarray(flat[start : start + step] + 0).astype(np.float64)  # + 0: -0 is 0
            bits = part.view(np.uint64)
            bits ^= bits >> np.uint64(31)
            hashes[start : start + step] += (bits * weights).sum(axis=1, dtype=np.uint64)
    return hashes
