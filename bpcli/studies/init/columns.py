"""What a first experiment does with a column of the file, by what the column holds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bpcli.family import Array, CodedText, Table
from bpcli.parts.data.cells import NearlyMeasured, sentinels_of
from bpcli.studies.dataset.far_off import nearly_constant
from bpcli.studies.dataset.fit import MAX_CATEGORIES
from bpcli.studies.dataset.preview import sentinel_text
from bpcli.studies.init.categories import choose_encoding

MIN_DISTINCT_ROWS = 20  # that all differ in a column before it counts as a name or an id
MIN_MISSING_SHARE = 0.05  # of the values of a column, from which on an input says where they are missing
MIN_TICKS = 10  # rows with the one value of a column, from which on it counts where it stands
ROW_NUMBER_NAMES = frozenset({"", "id", "index", "row", "rowid", "row_id", "uid", "uuid", "unnamed: 0", "nr", "no"})
"""Names of columns that number the rows."""
TICKED = "an input says where it is missing"


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
    sentinels: tuple[float, ...] = ()  # numbers or days that it has where there is no value


def file_column(table: Table, name: str, keep: bool, limit: int, measured: NearlyMeasured | None = None) -> FileColumn:
    """Returns what a column holds and what the experiment does with it; one to `keep` is left out only where it has no
    value at all. Text may become so many one-hot inputs as `limit` says; most of its cells
    may be `measured`."""
    if name in table.texts:
        return _text(name, table.texts[name], keep, limit, table.format_words(name), measured)
    values = table.numbers[:, table.at[name]].astype(np.float64)
    gaps = float(np.isnan(values).mean())
    values = values[~np.isnan(values)]
    kind = table.kind(name)
    if not len(values):
        return FileColumn(name, kind, "no value at all", "left out", dropped=True, missing=1.0)
    settings: dict[str, Any] = {}
    remark = ""
    if odd := sentinels_of(values, kind):
        settings = {"missing_values": missing_values(odd, kind)}
        remark = sentinel_remark(name, values, odd, kind)
        gaps += int(np.isin(values, odd).sum()) / table.rows
        values = values[~np.isin(values, odd)]
    low, high = float(values.min()), float(values.max())
    parts = ["days", "month", "weekday"]
    if kind == "date":
        parts += ["hour"] if len(np.unique(values % 1)) > 1 else []
        parts = [part for part in parts if part != "weekday" or not _begin_months(values)]
        holds, settings = f"{_day(low)} to {_day(high)}", {"parts": parts, **settings}
    else:
        holds = "yes or no" if kind == "boolean" else f"{low:.6g} to {high:.6g}"
    nearly = kind == "number" and nearly_constant(high - low, max(abs(low), abs(high)))
    is_ticked = low == high and _is_ticked(len(values), gaps)
    if not keep and not is_ticked and (low == high or nearly or (kind == "number" and _numbers_rows(name, values))):
        why = "the same in every row" if low == high else "it numbers the rows"
        why = f"all but the same in every row, within {(high - low) / max(abs(low), abs(high)):.0e}" if nearly else why
        return FileColumn(name, kind, holds, f"left out: {why}", dropped=True, missing=gaps)
    treatment = {"boolean": "1 or 0", "date": f"{', '.join(parts[:-1])} and {parts[-1]}"}.get(kind, "standardized")
    words = table.format_words(name)
    treatment = TICKED if is_ticked else f"{words}; {treatment}" if words else treatment
    width = len(parts) if kind == "date" else 1
    return FileColumn(name, kind, holds, treatment, width=width, missing=gaps, settings=settings, remark=remark,
                      sentinels=odd)  # fmt: skip


def missing_values(odd: Sequence[float], kind: str = "number") -> list[Any]:
    """Returns numbers or dates of a column that stand for no value, as a config has them."""
    texts = [sentinel_text(v, kind) for v in odd]
    return texts if kind == "date" else [int(t) if t.lstrip("-").isdigit() else float(t) for t in texts]


def sentinel_remark(name: str, values: Array, odd: Sequence[float], kind: str = "number") -> str:
    """Returns what to say of numbers or dates of a column that are read as missing values."""
    one, count = len(odd) == 1, int(np.isin(values, odd).sum())
    remark = f"`{name}`: {' and '.join(sentinel_text(v, kind) for v in odd)} stand{'s' * one} far apart from all other "
    remark += f"values, in {count:,} of {len(values):,} rows: {'it is' if one else 'they are'} read as "
    remark += f"{'a missing value' if one else 'missing values'} (`missing_values` in the config: delete it if "
    return remark + f"{'it is a value' if one else 'they are values'})"


def _begin_months(days: Array) -> bool:
    """Whether dates (n,) are months: all are the first of one."""
    dates = np.floor(days).astype(np.int64).astype("datetime64[D]")
    return bool((dates == dates.astype("datetime64[M]")).all())


def _is_ticked(present: int, gaps: float) -> bool:
    """Whether a column of one value says something by where it stands: a tick, or `yes` and nothing."""
    return gaps >= MIN_MISSING_SHARE and present >= MIN_TICKS


def _day(days: float) -> str:
    return str(np.datetime64(math.floor(days), "D"))


def _numbers_rows(name: str, values: Array) -> bool:
    """Whether a column numbers the rows: whole numbers that all differ, in order or called an id."""
    if len(values) < MIN_DISTINCT_ROWS or (values != np.floor(values)).any() or len(np.unique(values)) < len(values):
        return False
    counted = bool((np.diff(values) == 1).all())
    word = name.strip().lower()
    return counted or word in ROW_NUMBER_NAMES or word.endswith(("_id", " id")) or name.endswith(("Id", "ID"))


def _text(
    name: str, cells: CodedText, keep: bool, limit: int, written: str, measured: NearlyMeasured | None
) -> FileColumn:
    present, count = sum(cells.found.values()), len(cells.found)
    gaps = 1 - present / max(1, len(cells))
    holds = f"{count:,} categor{'y' if count == 1 else 'ies'}"
    why = ""
    is_ticked = count == 1 and _is_ticked(present, gaps)
    if count <= 1 and not is_ticked:
        why = "no value at all" if not count else "a single category" if gaps else "the same in every row"
    elif present >= MIN_DISTINCT_ROWS and 2 * count > present:
        holds, why = f"{count:,} different texts", str(measured or "names or ids")
    made = choose_encoding(cells, limit or MAX_CATEGORIES * keep)
    why = why or made.left_out
    if (why and not (keep and count)) or not made.words:
        return FileColumn(name, "text", holds, f"left out: {why}", dropped=True, missing=gaps)
    treatment = TICKED if is_ticked else f"{written}; {made.words}" if written else made.words
    return FileColumn(name, "text", holds, treatment, width=made.width, missing=gaps, settings=made.settings)
