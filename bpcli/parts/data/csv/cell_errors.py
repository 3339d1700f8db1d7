"""What is wrong with a cell of a comma-separated file, and what to do about it."""

from bpcli.family import ColumnFormat
from bpcli.family.cell_format import ORDER_WORDS
from bpcli.parts.data.cells import FormatProblem, is_meant_as_number, is_missing, number_of
from bpcli.parts.data.cells.dress import dressed_number, is_usual_unit, unit_text
from bpcli.parts.data.columns.formats import format_help
from bpcli.parts.data.csv.file import CsvLayout, with_position
from bpcli.parts.data.files import visible, yaml_name
from bpcli.records.training import Failure, Problem

SHOWN = 40  # characters of a cell


def format_failure(layout: CsvLayout, line: int, cells: list[str], index: int, problem: FormatProblem) -> Failure:
    """Returns the failure of a column for which no format fits, at a cell that shows it."""
    name = layout.names[index]
    text = f"column `{visible(name)}`: {visible(problem.text)}"
    said = Problem(text, code=problem.code, help=format_help(problem, name))
    return Failure(with_position(layout, said, line, cells, index))


def wrong_cell(layout: CsvLayout, line: int, cells: list[str], index: int, form: ColumnFormat, advice: str) -> Failure:
    """Returns the failure of a cell that is not what its column holds; `advice` is what to do about a missing value."""
    cell, name, typed = cells[index].strip(), visible(layout.names[index]), yaml_name(layout.names[index])
    value = visible(cell if len(cell) <= SHOWN else f"{cell[:SHOWN]}...")
    leave_out = f"to leave the column out, write `drop: [{typed}]`"
    text_is_meant = f"if the column holds text, write `text: [{typed}]`; {leave_out}"
    if "\0" in cell:
        code, text = "nul", f"column `{name}` holds a NUL character"
        help = "the file is damaged, or written in UTF-16: save it as UTF-8 text"
    elif form.kind == "text" or (is_missing(cell, form.kind, form.missing_values) and cell.lower() != "nan"):
        code, text = "missing-value", f"column `{name}` has no value here ({f'`{value}`' if cell else 'an empty cell'})"
        help = advice
    elif form.kind == "boolean":
        code, text = "not-a-boolean", f"column `{name}`: `{value}` is neither yes nor no"
        help = f"write yes or no, true or false, 1 or 0; {text_is_meant}"
    elif form.kind == "date":
        code, text = "not-a-date", f"column `{name}`: `{value}` is not a date"
        text += f" ({ORDER_WORDS[form.date_order]})" if form.date_order else ""
        help = "" if form.date_order else "dates are written as 2024-01-31 or 2024-01-31T12:30; "
        help += text_is_meant
    elif number_of(cell, form.decimal) is not None and not (form.unit or form.form == "hours"):
        code, text = "not-finite", f"column `{name}`: `{value}` is not a finite number"
        help = f"numbers go up to 1.8e308: correct the cell or remove the row; {leave_out}"
        if cell.lower() == "nan":
            help = advice
    else:
        code, text, help = "not-a-number", f"column `{name}`: `{value}` is not a number", text_is_meant
        words = form.words()
        if form.form == "hours":
            text = f"column `{name}`: `{value}` is not a time or a duration"
        elif form.form == "dressed" and words:
            text += f" as the others of the column ({words})"
        if not any(map(str.isalnum, cell)) or cell.isalpha():
            help = f"if it stands for no value, leave the cell empty, or write `missing_values: [{_flow(value)}]`; "
            help += text_is_meant
        elif form.unit and (number := dressed_number(cell)) is not None and not unit_text(number):
            help = f'if it means the same without {form.unit}, write `columns: {{{typed}: {{unit: "{form.unit}"}}}}`'
        elif form.form == "plain" and (is_meant_as_number(cell) or _is_dressed(cell)):
            help = _undress(cell, form)
            help += f"; {leave_out}"
    return Failure(with_position(layout, Problem(text, code=code, help=help), line, cells, index))


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


def _flow(value: str) -> str:
    return value if value.isalpha() else f'"{value}"'
