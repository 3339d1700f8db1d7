"""How each column of a text file is written: as the settings say, or as its cells show."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from bpcli.family import ColumnFormat, Kind, Treatment
from bpcli.family.cell_format import DecimalMark
from bpcli.parts.data.cells import CellRules, FormatProblem, cell_values, find_format, present_cells
from bpcli.parts.data.cells.evidence import FEW_VALUES
from bpcli.parts.data.cells.find_times import later_times
from bpcli.parts.data.cells.missing import value_and_gap
from bpcli.parts.data.files import yaml_name

Role = Literal["input", "target", "label", "value", "weight"]
"""What a column is read for: a target is a name of a class (`label`), a `value`, or may be either."""


def column_format(
    cells: Sequence[str],
    counts: Sequence[int],
    treatment: Treatment,
    kind: Kind | None,
    role: Role,
    file_decimal: DecimalMark,
    for_all: bool,
) -> ColumnFormat | FormatProblem:
    """Returns how a column is written, by its different cells and how many rows have each.

    `treatment` is what the settings say of it, those for all columns put in; `kind` is what it is known to hold;
    `file_decimal` is what stands before fractions elsewhere in the file, and `for_all` whether its marks and order of
    dates are said for all columns. A target is numbers or labels: labels may be
    dates, words for yes and no, or a few numbers in dress, and stay as they stand.
    """
    rules = CellRules(
        kind="number" if role == "weight" else kind,
        decimal=treatment.decimal,
        thousands=treatment.thousands,
        date_order=treatment.date_order,
        unit=treatment.unit,
        missing_values=treatment.missing_values,
        file_decimal=file_decimal,
        for_all=for_all,
    )
    found = find_format(cells, counts, rules)
    if role not in ("target", "label", "value"):
        return found
    is_label = found.kind != "number" or (role == "label" and isinstance(found, FormatProblem))
    if isinstance(found, ColumnFormat) and found.form != "plain" and kind is None and treatment.unit is None:
        few = len(cells) <= FEW_VALUES and sum(counts) >= 2 * len(cells)
        is_label = is_label or role == "label" or (role == "target" and few)
    return ColumnFormat("text", missing_values=rules.missing_values) if is_label else found


def later_format(
    cells: Sequence[str],
    counts: Sequence[int],
    known: ColumnFormat,
    said: Treatment,
    file_decimal: DecimalMark,
    for_all: bool,
) -> ColumnFormat | FormatProblem:
    """Returns how a column of a later file is written: as it is `known` from training, but for what is `said` of this
    file. Marks and an order of dates that are said `for_all` columns hold where all cells can be read by them."""
    known = replace(known, missing_values=tuple(dict.fromkeys((*known.missing_values, *said.missing_values))))
    if known.are_times:
        rules = CellRules(missing_values=known.missing_values)
        return known if known.form == "minutes" else later_times(present_cells(cells, counts, rules), known)
    if known.kind not in ("number", "date"):
        return known
    if known.kind == "number" and said.unit is not None:
        known = replace(known, form="dressed", unit=said.unit, bare=True)
    found: ColumnFormat | FormatProblem = known
    if known.kind == "date" and said.date_order:
        found = replace(known, date_order=said.date_order)
    elif known.kind == "number" and (said.decimal or said.thousands):
        treatment = said.model_copy(update={"unit": known.unit, "missing_values": known.missing_values})
        found = column_format(cells, counts, treatment, "number", "input", file_decimal, False)
        if isinstance(found, ColumnFormat):
            found = replace(known, form="dressed", decimal=found.decimal, thousands=found.thousands)
    if for_all and (isinstance(found, FormatProblem) or len(cell_values(cells, found).wrong)):
        return known
    return found


def value_declared_missing(cells: Sequence[str], form: ColumnFormat) -> FormatProblem | None:
    """Returns the problem of a number that the settings name as missing although it lies among the values of a column;
    None where there is none."""
    if form.kind != "number" or not form.missing_values:
        return None
    values = cell_values(cells, replace(form, missing_values=())).values
    number = value_and_gap(values, form.missing_values)
    if number is None:
        return None
    cell = next(cell for cell, value in zip(cells, values.tolist(), strict=True) if value == number)
    text = f"`{cell}` is said to stand for no value, and lies among the values of the column"
    return FormatProblem("missing-and-value", text, (cell,))


def format_help(problem: FormatProblem, name: str) -> str:
    """Returns what to type about a column for which no format fits."""
    if problem.code == "missing-and-value":
        one = f"`columns: {{{yaml_name(name)}: {{missing_values: [{problem.cells[0]}]}}}}`"
        return f"name it for single columns, where nothing else is meant by it: {one}"
    ways = []
    for key, value in problem.settings:
        written = value if value.isalnum() else f'"{value}"'
        own = f"`columns: {{{yaml_name(name)}: {{{key}: {written}}}}}`"
        ways.append(own if key == "unit" else f"`{key}: {written}`")
    found = [problem.help] if problem.help else []
    found += [f"{'where they mean the same, ' * bool(found)}write {' or '.join(ways)}"] if ways else []
    return "; ".join([*found, f"to read the column as text, write `text: [{yaml_name(name)}]`"])
