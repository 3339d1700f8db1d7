"""What is wrong with a cell of a comma-separated file, and what to do about it."""

import json
from collections.abc import Sequence

from bpcli.family import ColumnFormat
from bpcli.family.cell_format import ORDER_WORDS
from bpcli.parts.data.cells import FormatProblem, days_of, is_gap, is_meant_as_number, number_of
from bpcli.parts.data.cells.dates import DATE_ORDERS
from bpcli.parts.data.cells.dress import STYLES, NumberStyle, dressed_number, is_usual_unit, unit_key, unit_text
from bpcli.parts.data.columns.formats import format_help
from bpcli.parts.data.columns.loading import GapRules
from bpcli.parts.data.csv.file import CsvLayout, with_position
from bpcli.parts.data.files import visible, yaml_name
from bpcli.records.training import Failure, Problem

SHOWN = 40  # characters of a cell
BOUNDS = "<>≤≥~≈"  # before a number that was not measured itself
EMPTY_IT = ", or leave it empty as training has a rule for that"


def format_failure(
    layout: CsvLayout, line: int, cells: list[str], index: int, problem: FormatProblem, lines: Sequence[int]
) -> Failure:
    """Returns the failure of a column for which no format fits, at the first of the cells that show it; the others
    stand in `lines`."""
    name, text = layout.names[index], problem.text
    for cell, other in zip(problem.cells[1:], lines, strict=True):
        text = text.replace(f"`{cell}`", f"`{cell}` (line {other})")
    text = f"column `{visible(name)}`: {visible(text)}"
    said = Problem(text, code=problem.code, help=format_help(problem, name))
    return Failure(with_position(layout, said, line, cells, index))


def wrong_cell(
    layout: CsvLayout, line: int, cells: list[str], index: int, form: ColumnFormat, rules: GapRules
) -> Failure:
    """Returns the failure of a cell that is not what its column holds."""
    cell, name, typed = cells[index].strip(), visible(layout.names[index]), yaml_name(layout.names[index])
    value = visible(cell if len(cell) <= SHOWN else f"{cell[:SHOWN]}...")
    leave_out = f"to leave the column out, write `drop: [{typed}]`"
    text_is_meant = f"if the column holds text, write `text: [{typed}]`; {leave_out}"
    if rules.is_trained:
        correct = "correct the cell" + EMPTY_IT * rules.allow(layout.names[index])
        text_is_meant, leave_out = (f"{correct}; {other}" for other in (text_is_meant, leave_out))
    gap_is_meant = f"if it stands for no value, leave the cell empty, or write `missing_values: [{yaml_name(cell)}]`; "
    if rules.is_trained and not rules.allow(layout.names[index]):
        gap_is_meant = ""
    if "\0" in cell:
        code, text = "nul", f"column `{name}` holds a NUL character"
        help = "the file is damaged, or written in UTF-16: save it as UTF-8 text"
    elif form.kind == "text" or (is_gap(cell, form) and cell.lower() != "nan"):
        code, text = "missing-value", f"column `{name}` has no value here ({f'`{value}`' if cell else 'an empty cell'})"
        help = rules.advice(layout.names[index])
    elif form.kind == "boolean":
        code, text = "not-a-boolean", f"column `{name}`: `{value}` is neither yes nor no"
        help = f"write yes or no, true or false, 1 or 0; {text_is_meant}"
    elif form.kind == "date":
        code, text = "not-a-date", f"column `{name}`: `{value}` is not a date"
        text += f" ({ORDER_WORDS[form.date_order]})" if form.date_order else ""
        help = "" if form.date_order else "dates are written as 2024-01-31 or 2024-01-31T12:30; "
        help += _other_orders(cell, form, typed) if rules.is_trained else ""
        help += gap_is_meant + text_is_meant
    elif number_of(cell, form.decimal) is not None and not (form.unit or form.are_times):
        code, text = "not-finite", f"column `{name}`: `{value}` is not a finite number"
        help = "numbers go up to 1.8e308: correct the cell or remove the row; "
        help += gap_is_meant * (not any(map(str.isdigit, cell))) + leave_out
        if cell.lower() == "nan":
            help = rules.advice(layout.names[index])
    else:
        code, text = "not-a-number", f"column `{name}`: `{value}` is not a number"
        words = form.words()
        if form.are_times:
            text = f"column `{name}`: `{value}` is not a time or a duration"
        elif form.form == "dressed" and words:
            text += f" as the others of the column ({words})"
        help = _as_meant(cell, form, typed, leave_out, rules.is_trained)
        if not help and gap_is_meant and (cell[0] in BOUNDS or not any(map(str.isdigit, cell))):
            help = gap_is_meant + text_is_meant.replace(EMPTY_IT, "")
        help = help or "times are written as 14:30, durations as 1h 30m; " * form.are_times + text_is_meant
    return Failure(with_position(layout, Problem(text, code=code, help=help), line, cells, index))


def _as_meant(cell: str, form: ColumnFormat, typed: str, leave_out: str, is_trained: bool) -> str:
    """Returns what to do about a cell that is meant as a number; "" about any other."""
    if is_trained:
        other = _other_writing(cell, form)
        return f"if the file is written so, write `columns: {{{typed}: {other}}}`; {leave_out}" if other else ""
    number = dressed_number(cell) if form.unit else None
    if number is not None and not unit_text(number):
        return f'if it means the same without {form.unit}, write `columns: {{{typed}: {{unit: "{form.unit}"}}}}`'
    if form.form == "plain" and (is_meant_as_number(cell) or _is_dressed(cell)):
        return f"{_undress(cell, form)}; {leave_out}"
    return ""


def _is_dressed(cell: str) -> bool:
    number = dressed_number(cell)
    return number is not None and (not unit_text(number) or is_usual_unit(unit_text(number)))


def _undress(cell: str, form: ColumnFormat) -> str:
    """Returns what to do about a number in dress among plain ones."""
    if not is_meant_as_number(cell.strip("$€£¥% ")) or is_meant_as_number(cell):
        help = f"write numbers as 1234{form.decimal}5: nothing between thousands"
        may_be_fraction = form.decimal == "." and "," in cell
        return help + '; if the file writes 1,5 for one and a half, add `decimal: ","`' * may_be_fraction
    return "write numbers without a unit, or all with one"


def _other_writing(cell: str, form: ColumnFormat) -> str:
    """Returns the settings of a column by which a number is read that is not written as in training; "" where there are
    none, or it has another unit."""
    number = dressed_number(cell, form.unit) if not form.are_times else None
    unit = unit_text(number) if number is not None else ""
    is_other = unit_key(unit) != unit_key(form.unit)
    if number is None or (is_other and unit and (form.unit or not is_usual_unit(unit))):
        return ""
    settings = {"unit": form.unit or unit} if is_other else {}
    styles = [style for i, style in enumerate(STYLES) if number.styles >> i & 1]
    if not NumberStyle(form.thousands, form.decimal).pattern.fullmatch(number.digits):
        known = [style.thousands for style in styles if style.decimal == form.decimal]
        settings |= {"thousands": known[0]} if known else {"decimal": styles[0].decimal}
    return (
        f"{{{', '.join(f'{key}: {json.dumps(value, ensure_ascii=False)}' for key, value in settings.items())}}}"
        if settings
        else ""
    )


def _other_orders(cell: str, form: ColumnFormat, typed: str) -> str:
    """Returns what to do about a date that is written in another order than in training."""
    orders = [order for order in DATE_ORDERS if order != form.date_order and days_of(cell, order) is not None]
    ways = [f"`columns: {{{typed}: {{date_order: {order}}}}}` ({ORDER_WORDS[order]})" for order in orders]
    return f"if the file is written so, write {' or '.join(ways)}; " if ways else ""
