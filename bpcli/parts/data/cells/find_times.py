"""Whether a column of times holds times of day or durations, decided from all of its cells."""

from bpcli.family.cell_format import ColumnFormat
from bpcli.parts.data.cells.clock import hours_of, is_spelled, is_time_of_day
from bpcli.parts.data.cells.evidence import CellRules, FormatProblem, PresentCells


def time_format(present: PresentCells, rules: CellRules) -> ColumnFormat | FormatProblem:
    """Returns the format of a column whose cells are nearly all times: durations where one can be no time of day. A
    problem where some name their units and others do not: beside 3h 15m, 3:15 may be hours or minutes."""
    rows, first = [0, 0], ["", ""]
    times = present.only([hours_of(cell) for cell in present.cells])
    for cell, count in zip(times.cells, times.counts, strict=True):
        rows[is_spelled(cell)] += count
        first[is_spelled(cell)] = first[is_spelled(cell)] or cell
    if all(rows):
        usual, odd = first if rows[0] >= rows[1] else first[::-1]
        text = f"times are written in two formats here: `{usual}` and `{odd}`"
        return FormatProblem("two-formats", text, (odd, usual), help="write all times of the column in one way")
    of_day = all(map(is_time_of_day, times.cells))
    return ColumnFormat("number", "hours" if of_day else "durations", missing_values=rules.missing_values)
