"""Predictions as CSV or JSON."""

import csv
import json
import re

from bpcli.records.plain import plain
from bpcli.records.printable import printable
from bpcli.records.training import Predictions

FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What a cell begins with that spreadsheets take for a formula, in the wide forms of East Asian texts too."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")


def as_csv(predictions: Predictions, *, escape_formulas: bool = False, shown: bool = False) -> str:
    """Returns a header and a line for each row; numbers in full, so that they read back exactly. With
    `escape_formulas` a `'` stands before a text that a spreadsheet would run; where it is `shown` on a terminal, what
    does not print is an escape."""

    def cell(value: object) -> object:
        if not isinstance(value, str):
            return repr(value) if isinstance(value, float) else value
        value = printable(value) if shown else value
        return _not_a_formula(value) if escape_formulas else value

    out = _Lines()
    writer = csv.writer(out)  # which ends lines by "\r\n" so that it puts a cell with either of them in quotes
    writer.writerow(map(cell, predictions.columns))
    writer.writerows(map(cell, row) for row in predictions.rows)
    return "".join(line.removesuffix("\r\n") + "\n" for line in out)


class _Lines(list[str]):
    """What a csv writer writes, line by line."""

    write = list.append


def _not_a_formula(text: str) -> str:
    """Returns a text, with `'` before it where a spreadsheet would take it for a formula; a number stays one."""
    begins = text[:1] in FORMULA_SIGNS or text.lstrip()[:1] in FORMULA_SIGNS
    return f"'{text}" if text and begins and not NUMBER.fullmatch(text.strip()) else text


def as_json(predictions: Predictions) -> str:
    """Returns a list with one object for each row."""
    rows = [dict(zip(predictions.columns, plain(row), strict=True)) for row in predictions.rows]
    lines = ",\n  ".join(json.dumps(r, ensure_ascii=False) for r in rows)
    return f"[\n  {lines}\n]\n" if rows else "[]\n"
