"""The marks, the unit and the signs of a column of numbers in dress, decided from all of its cells."""

from collections.abc import Sequence
from dataclasses import dataclass

from bpcli.family.cell_format import ColumnFormat
from bpcli.parts.data.cells.dress import (
    ALL_STYLES,
    CURRENCIES,
    MAGNITUDES,
    STYLES,
    DressedNumber,
    NumberStyle,
    dressed_number,
    is_usual_unit,
    unit_key,
    unit_text,
)
from bpcli.parts.data.cells.evidence import CellRules, FormatProblem, PresentCells
from bpcli.parts.data.cells.plain import number_of

Numbers = Sequence[DressedNumber | None]
"""For each cell the number in dress that it is."""


@dataclass
class _Unit:
    """A unit of a column: how many rows have it, the first cell with it, and its text there."""

    rows: int
    cell: str
    text: str


def read_numbers(cells: Sequence[str], rules: CellRules) -> list[DressedNumber | None]:
    """Returns the parts of each cell that is a number in dress, None for any other."""
    found = [dressed_number(cell, rules.unit or "") for cell in cells]
    if any(n is not None and n.currency and cell[0].islower() for cell, n in zip(cells, found, strict=True)):
        return [n or dressed_number(cell, rules.unit or "", glued=True) for cell, n in zip(cells, found, strict=True)]
    return found


def number_format(present: PresentCells, numbers: Numbers, rules: CellRules) -> ColumnFormat | FormatProblem | None:
    """Returns the format of a column whose cells are nearly all numbers; a problem where its unit or its marks change,
    or where they are ambiguous; None where what stands beside the numbers is no unit: the column is text."""
    units = _units(present, numbers)
    unit, bare, magnitudes = rules.unit or "", rules.unit is not None, False
    if rules.unit is None and len({n.digits for n in numbers if n}) == 1 and not _have_usual_units(units):
        return None  # `5 or more` and gaps
    if rules.unit is None and units:
        usual = max(units, key=lambda key: units[key].rows)
        unit = units[usual].text
        magnitudes = len(units) > 1 and _are_magnitudes(numbers)
        if magnitudes:
            unit, bare = next((n.currency for n in numbers if n), ""), True
        elif len(units) > 1:
            codes = "" in units and any(len(key) == 1 and key.isalpha() for key in units)  # 207 and 207b
            known = {""} if codes else {key for key in units if key == usual or is_usual_unit(units[key].text)} | {""}
            fits = [n if n and unit_key(unit_text(n)) in known else None for n in numbers]
            if not present.nearly_all(fits):
                return None
            numbers = fits  # others are typing errors
            units = {key: units[key] for key in known if key in units}
            unit = "" if codes else unit
            if len(units) > 1:
                return _two_units(units, usual)
    marks = number_marks(present, numbers, rules)
    if isinstance(marks, FormatProblem):
        return marks
    plain = all(n is None or number_of(cell) is not None for cell, n in zip(present.cells, numbers, strict=True))
    if plain and marks.decimal == "." and not unit and not marks.thousands:
        return ColumnFormat("number", missing_values=rules.missing_values)
    return ColumnFormat(
        "number", "dressed", marks.decimal, marks.thousands, unit, bare, magnitudes,
        missing_values=rules.missing_values,
    )  # fmt: skip


def _units(present: PresentCells, numbers: Numbers) -> dict[str, _Unit]:
    """Returns the units of a column by their keys. A zero without one has any."""
    found: dict[str, _Unit] = {}
    for cell, count, number in zip(present.cells, present.counts, numbers, strict=True):
        if number is not None:
            text = unit_text(number)
            if text or number.digits.strip("0.,"):
                here = found.setdefault(unit_key(text), _Unit(0, cell, text))
                here.rows += count
    return found


def _have_usual_units(units: dict[str, _Unit]) -> bool:
    return all(not unit.text or is_usual_unit(unit.text) for unit in units.values())


def _are_magnitudes(numbers: Numbers) -> bool:
    """Whether K, M and the like stand behind numbers of one currency, or of none: several of them, or K or M behind
    some numbers (207b is a code)."""
    known = [n for n in numbers if n is not None and (n.unit or n.digits.strip("0.,"))]
    found = {n.unit for n in known} - {""}
    several = len({unit.casefold() for unit in found}) > 1 or found <= {"K", "k", "M"}
    return (
        bool(found)
        and several
        and len({n.currency for n in known}) == 1
        and all(unit.casefold() in MAGNITUDES for unit in found)
    )


def _two_units(units: dict[str, _Unit], usual: str) -> FormatProblem:
    """Returns the problem of a column with several units, of which one is usual."""
    main = units[usual]
    odd = max((unit for key, unit in units.items() if key != usual), key=lambda unit: unit.rows)
    settings: tuple[tuple[str, str], ...] = ()
    if odd.text in CURRENCIES and main.text in CURRENCIES:
        code, text = "currency-mix", f"amounts of two currencies: `{main.cell}` and `{odd.cell}`"
        help = "convert them to one currency"
    elif not odd.text or not main.text:
        code, text = (
            "two-formats",
            f"numbers with `{main.text or odd.text}` and without: `{main.cell}` and `{odd.cell}`",
        )
        settings = (("unit", main.text or odd.text),)
        help = "write all in one way"
    else:
        code, text = "unit-change", f"the unit changes: `{main.cell}` and `{odd.cell}`"
        help = "convert them to one unit"
    return FormatProblem(code, text, (odd.cell, main.cell), settings, help)


def number_marks(present: PresentCells, numbers: Numbers, rules: CellRules) -> NumberStyle | FormatProblem:
    """Returns what stands between thousands ("" where nothing does) and before fractions.

    Where the column holds only the like of `1,234`, the comma may be either: unless the file's other columns have
    decimal commas, or numbers below 1,000 have no fraction at all, as hardly any would among those of three digits.
    """
    found = [n for n in numbers if n is not None]
    marked = [n for n in found if n.styles != ALL_STYLES]
    said = rules.thousands is not None or rules.decimal is not None
    if said and not rules.for_all:
        return _declared(marked, rules)
    if not marked:
        return NumberStyle("", rules.file_decimal)
    possible = _common(marked)
    if not possible:
        return _two_marks(present, numbers)
    if said and any(_is_said(style, rules) for style in possible):
        return _used(next(style for style in possible if _is_said(style, rules)), marked)
    joined = "".join(n.digits for n in marked)
    comma, point = "," in joined, "." in joined
    if not (comma or point) or len({style.decimal for style in possible}) == 1:
        return _used(possible[0], marked)
    if point and not comma and rules.file_decimal == ".":
        return NumberStyle("", ".")
    if comma and not point:
        if rules.file_decimal == ",":
            return NumberStyle("", ",")
        if _has_no_fractions([n.digits for n in found if n.styles == ALL_STYLES]):
            return NumberStyle(",", ".")
    return _ambiguous(*next((c, n.digits) for c, n in zip(present.cells, numbers, strict=True) if n in marked))


def _common(numbers: Sequence[DressedNumber]) -> list[NumberStyle]:
    """Returns the styles in which all numbers may be written."""
    common = ALL_STYLES
    for number in numbers:
        common &= number.styles
    return [style for i, style in enumerate(STYLES) if common >> i & 1]


def _used(style: NumberStyle, numbers: Sequence[DressedNumber]) -> NumberStyle:
    """Returns the style, with nothing between thousands where no number has that."""
    return style if any(style.thousands in n.digits for n in numbers) else NumberStyle("", style.decimal)


def _is_said(style: NumberStyle, rules: CellRules) -> bool:
    return rules.thousands in (None, style.thousands) and rules.decimal in (None, style.decimal)


def _declared(marked: Sequence[DressedNumber], rules: CellRules) -> NumberStyle:
    """Returns the style that the settings name, what they leave open as most numbers have it."""
    allowed = [(sum(n.styles >> i & 1 for n in marked), -i) for i, style in enumerate(STYLES) if _is_said(style, rules)]
    if not allowed:
        return NumberStyle(rules.thousands or "", rules.decimal or ".")
    style = STYLES[-max(allowed)[1]]
    return style if rules.thousands else _used(style, marked)


def _has_no_fractions(digits: Sequence[str]) -> bool:
    """Whether numbers below 1,000 (other than 0) stand beside those with a mark, and none above."""
    return len({d for d in digits if d.strip("0")}) > 1 and all(len(d) < 4 for d in digits)


def _ambiguous(cell: str, digits: str) -> FormatProblem:
    mark = "," if "," in digits else "."
    text = f"`{digits}` may be {digits.replace(mark, '')} or {digits.replace(mark, '.')}, and no cell says which"
    return FormatProblem("ambiguous-numbers", text, (cell,), (("thousands", mark), ("decimal", mark)))


def _two_marks(present: PresentCells, numbers: Numbers) -> FormatProblem:
    """Returns the problem of numbers with different marks: the style that most have, and a cell that does not."""
    rows = [0] * len(STYLES)
    for count, number in zip(present.counts, numbers, strict=True):
        for i in range(len(STYLES) if number is not None else 0):
            rows[i] += count * (number.styles >> i & 1)  # type: ignore[union-attr]
    usual = rows.index(max(rows))
    known = [(cell, n.styles) for cell, n in zip(present.cells, numbers, strict=True) if n is not None]
    odd, odd_styles = next((cell, styles) for cell, styles in known if not styles >> usual & 1)
    main = next(c for c, styles in known if styles >> usual & 1 and not styles & odd_styles)
    text = f"numbers are written in two formats here: `{main}` and `{odd}`"
    return FormatProblem("two-formats", text, (odd, main), help="write all numbers of the column in one way")
