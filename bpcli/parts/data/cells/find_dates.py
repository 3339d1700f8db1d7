"""The order of day and month in a column of dates, decided from all of its cells."""

from collections.abc import Sequence

import numpy as np

from bpcli.family.cell_format import ORDER_WORDS, ColumnFormat, DateOrder
from bpcli.parts.data.cells.dates import DATE_ORDERS, SHORT_MONTH, WrittenDate, written_date
from bpcli.parts.data.cells.evidence import CellRules, FormatProblem, PresentCells

DAYS_SEEN = 20
"""Different numbers of 1 to 31 behind the names of months from which on they are days: Jan-15 is a day then."""


def read_dates(cells: Sequence[str]) -> list[WrittenDate | None]:
    """Returns the parts of each cell that is a date in some order, None for any other."""
    found = [w if w is not None and _is_day(w) else None for w in map(written_date, cells)]
    years = {w.third for w in found if w is not None and w.layout == SHORT_MONTH}
    if len(years) >= DAYS_SEEN and max(years) <= 31 and min(years) > 0:  # days of months, of no year
        return [w if w is None or w.layout != SHORT_MONTH else None for w in found]
    return found


def _is_day(written: WrittenDate) -> bool:
    orders = (written.order,) if written.order else DATE_ORDERS
    return any(written.days(order) is not None for order in orders)


def date_format(
    present: PresentCells, dates: Sequence[WrittenDate | None], rules: CellRules
) -> ColumnFormat | FormatProblem:
    """Returns the format of a column whose cells are nearly all dates; a problem where two layouts stand in it, or
    where both orders of day and month are possible and differ."""
    layouts: dict[str, tuple[int, str]] = {}
    for cell, count, written in zip(present.cells, present.counts, dates, strict=True):
        if written is not None:
            rows, first = layouts.get(written.layout, (0, cell))
            layouts[written.layout] = rows + count, first
    if len(layouts) > 1:
        (_, usual), (_, odd), *_ = sorted(layouts.values(), key=lambda found: -found[0])
        return _two_formats(odd, usual)
    known = [w for w in dates if w is not None]
    cells = [cell for cell, w in zip(present.cells, dates, strict=True) if w is not None]
    if not known or known[0].order:
        return ColumnFormat("date", missing_values=rules.missing_values)
    if rules.date_order is not None and not rules.for_all:
        return ColumnFormat("date", date_order=rules.date_order, missing_values=rules.missing_values)
    return _by_order(cells, known, rules)


def _by_order(cells: Sequence[str], dates: Sequence[WrittenDate], rules: CellRules) -> ColumnFormat | FormatProblem:
    """Returns the format of dates whose order their numbers alone do not say."""
    days = {order: [w.days(order) for w in dates] for order in DATE_ORDERS}
    two: tuple[DateOrder, ...] = ("dmy", "mdy")
    possible = [order for order in two if None not in days[order]]
    if None not in days["ymd"]:
        varied = [len({w[part] for w in dates}) for part in (1, 3)]  # the first numbers, and the last
        if varied[0] < varied[1] or not possible:  # 20-01-31: a year varies less than a day does
            possible.append("ymd")
    if not possible:
        odd, usual = sorted(two, key=lambda order: -days[order].count(None))
        return _two_formats(*(cells[days[order].index(None)] for order in (usual, odd)))
    if rules.date_order in possible:
        possible = [rules.date_order]
    first, *others = possible
    for order in others:
        differ = [i for i, (a, b) in enumerate(zip(days[first], days[order], strict=True)) if a != b]
        if differ:
            cell = cells[differ[0]]
            readings = [(each, days[each][differ[0]]) for each in (first, order)]
            said = " or ".join(f"{_day(day)} ({ORDER_WORDS[each]})" for each, day in readings)
            text = f"`{cell}` may be {said}, and no cell says which"
            settings = tuple(("date_order", each) for each in (first, order))
            return FormatProblem("ambiguous-dates", text, (cell,), settings, kind="date")
    return ColumnFormat("date", date_order=first, missing_values=rules.missing_values)


def _day(days: float | None) -> str:
    return str(np.datetime64(int(days or 0), "D"))


def _two_formats(odd: str, usual: str) -> FormatProblem:
    text = f"dates are written in two formats here: `{usual}` and `{odd}`"
    return FormatProblem(
        "two-formats", text, (odd, usual), help="write all dates of the column in one way", kind="date"
    )
