"""Whether a column of times holds times of day or durations, decided from all of its cells."""

from typing import Literal

from bpcli.family.cell_format import ColumnFormat
from bpcli.parts.data.cells.clock import MINUTES_AND_FRACTION, hours_of, is_spelled, is_time_of_day, places_of
from bpcli.parts.data.cells.evidence import CellRules, FormatProblem, PresentCells

MOST_HOURS = 23
"""Of a time of day."""


def time_format(present: PresentCells, rules: CellRules) -> ColumnFormat | FormatProblem:
    """Returns the format of a column whose cells are nearly all times: durations where one can be no time of day. A
    problem where some name their units and others do not: beside 3h 15m, 3:15 may be hours or minutes. Beside 1:18:35
    and 36:15:00 it may, too; 58:53, where none has 60 and more before the colon, is minutes."""
    rows, first = [0, 0], ["", ""]
    times = present.only([hours_of(cell) for cell in present.cells])
    for cell, count in zip(times.cells, times.counts, strict=True):
        rows[is_spelled(cell)] += count
        first[is_spelled(cell)] = first[is_spelled(cell)] or cell
    if all(rows):
        usual, odd = first if rows[0] >= rows[1] else first[::-1]
        return _two_formats(usual, odd)
    if all(map(is_time_of_day, times.cells)):
        return ColumnFormat("number", "hours", missing_values=rules.missing_values)
    form: Literal["durations", "minutes"] = "durations"
    if any(map(MINUTES_AND_FRACTION.fullmatch, times.cells)):
        form = "minutes"
    else:
        places = {cell: places_of(cell) for cell in times.cells}
        long, short = ([cell for cell in places if places[cell][0] == count] for count in (3, 2))
        halves = (cell for cell in places if not places[cell][0] and not is_spelled(cell) and is_time_of_day(cell))
        if long and short and not any(halves):
            most = max(short, key=lambda cell: places[cell][1])
            if not MOST_HOURS < places[most][1] < 60:
                return _two_formats(long[0], most)
            form = "minutes"
    return ColumnFormat("number", form, missing_values=rules.missing_values)


def later_times(present: PresentCells, known: ColumnFormat) -> ColumnFormat | FormatProblem:
    """Returns how the times of a later file are written: as they are `known` from training, where 3:15 was hours. A
    problem where they mix formats, or 3:15 is minutes here."""
    found = time_format(present, CellRules())
    short = [cell for cell in present.cells if places_of(cell)[0] == 2]
    if isinstance(found, ColumnFormat) and found.form == "minutes" and short:
        is_long = (cell for cell in present.cells if places_of(cell)[0] == 3 or MINUTES_AND_FRACTION.fullmatch(cell))
        return _two_formats(next(is_long), short[0])
    return found if isinstance(found, FormatProblem) else known


def _two_formats(usual: str, odd: str) -> FormatProblem:
    """Returns the problem of times of which some may be hours and others minutes."""
    text = f"times are written in two formats here: `{usual}` and `{odd}`"
    return FormatProblem("two-formats", text, (odd, usual), help="write all times of the column in one way")
