"""Dividing rows by time: the latest ones are test, as a forecast is judged."""

from datetime import UTC, datetime

import numpy as np

from bpcli.config.data import Fold
from bpcli.family import Array, CodedText, Table
from bpcli.parts.data.cells import FormatProblem, cell_values, find_format
from bpcli.studies.dataset.row_errors import row_failure
from bpcli.studies.dataset.split import not_test, split_sizes, too_few

DATE_HELP = "dates are written as 2024-01-31"


def split_by_time(
    table: Table, column: str, fractions: dict[str, float], within: Fold | None = None
) -> dict[str, Array]:
    """Returns the row indices of each split, ascending: the latest rows are test, those before them validation. Rows of
    the same time are not parted: they go to the later split. `within`: the rows that are not test are cut into one part
    more than folds; fold 1 is judged on the second part by what the first teaches, each later fold on the part that
    follows. Raises Failure for a cell that is neither a date nor a number.

    Source    forecasting from a rolling origin, Tashman 2000
    """
    times = _times(table, column)
    found = _divide_by_time(times, fractions, column)
    if within is None:
        return found
    rest = not_test(found)
    rest = rest[np.argsort(times[rest], kind="stable")]
    rest = rest[: len(rest) * (within.number + 1) // (within.of + 1)]
    fractions = {"test": 1 / (within.number + 1)} | {n: s for n, s in fractions.items() if n != "test"}
    return {name: np.sort(rest[rows]) for name, rows in _divide_by_time(times[rest], fractions, column).items()}


def _divide_by_time(times: Array, fractions: dict[str, float], column: str) -> dict[str, Array]:
    order = np.argsort(times)
    wanted = split_sizes(len(order), fractions)
    found: dict[str, Array] = {}
    stop = len(order)
    for name in ("test", "validation"):
        if name in wanted:
            start = max(0, stop - wanted[name])
            start = int(np.searchsorted(times[order], times[order[start]], side="left"))
            found[name], stop = np.sort(order[start:stop]), start
    found["train"] = np.sort(order[:stop])
    for name in ("train", *fractions):
        if not len(found[name]):
            text = f"no rows are left for {name}: too many have the same `{column}`"
            raise too_few(text, name if name != "train" else next(iter(fractions)))
    return {name: found[name] for name in ("train", *fractions)}


def _times(table: Table, column: str) -> Array:
    """Returns times as numbers: those that stand there, or the seconds of ISO dates."""
    text = table.aside[column]
    known = [_time(category) for category in text.categories]
    dated = known[int(text.codes[0])][1]
    fitting = np.array([time is not None and np.isfinite(time) and is_date == dated for time, is_date in known])
    wrong = ~fitting[text.codes]
    if wrong.any():
        written = _written_times(table, column, text)
        if written is not None:
            return written
        row = int(np.argmax(wrong))
        problem = f"column `{column}`: `{text[row]}` is "
        if known[int(text.codes[row])][0] is None:
            problem += "neither a date nor a number"
        else:
            problem += f"not {'a date' if dated else 'a number'} as those before it"
        raise row_failure(table, row, column, problem, "not-a-date", DATE_HELP)
    return np.array([time or 0.0 for time, _ in known])[text.codes]


def _written_times(table: Table, column: str, text: CodedText) -> Array | None:
    """Returns times as the format of their column has them; None where a cell has no time. Raises Failure where the
    order of day and month cannot be told."""
    form = table.formats.get(column) or find_format(text.categories, text.counts.tolist())
    if isinstance(form, FormatProblem):
        if form.kind != "date":
            return None
        row = int(text.rows_of(text.categories.index(form.cells[0]))[0])
        help = form.help or DATE_HELP
        raise row_failure(table, row, column, f"column `{column}`: {form.text}", form.code, help)
    if form.kind not in ("date", "number"):
        return None
    times = cell_values(text.categories, form).values[text.codes]
    return times if np.isfinite(times).all() else None


def _time(text: str) -> tuple[float | None, bool]:
    """Returns the number that stands there, or the seconds of an ISO date, and whether it is a date; None for other
    texts."""
    try:
        return float(text), False
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None, False
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp(), True
