"""Predictions as CSV or JSON, part after part: a table of many rows and classes is larger than the memory."""

import csv
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from bpcli.records.plain import plain
from bpcli.records.printable import printable
from bpcli.records.training import Predictions

FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
"""What a cell begins with that spreadsheets take for a formula, in the wide forms of East Asian texts too."""
CELLS_PER_PART = 1 << 16  # of the text that is in memory at a time
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?%?")


def csv_parts(predictions: Predictions, *, escape_formulas: bool = False, shown: bool = False) -> Iterator[str]:
    """Yields a header and a line for each row, some at a time; numbers in full, so that they read back exactly. With
    `escape_formulas` a `'` stands before a text that a spreadsheet would run; where it is `shown` on a terminal, what
    does not print is an escape."""

    def cell(value: object) -> object:
        if not isinstance(value, str):
            return value
        value = printable(value) if shown else value
        return _not_a_formula(value) if escape_formulas else value

    lines = _Lines()
    writer = csv.writer(lines)  # which ends lines by "\r\n" so that it puts a cell with either of them in quotes
    writer.writerow(map(cell, predictions.columns))
    for part in _parts(predictions):
        texts = len(part[0]) - _numbers_at_end(part[0])
        for row in part:  # the first number too, beside which an empty text is nothing, where alone it is `""`
            writer.writerow(map(cell, row[: texts + 1]))
            lines[-1] = ",".join([lines[-1].removesuffix("\r\n"), *map(repr, row[texts + 1 :])])
        yield "\n".join([*(line.removesuffix("\r\n") for line in lines), ""])
        lines.clear()
    if lines:
        yield lines[0].removesuffix("\r\n") + "\n"


def _numbers_at_end(row: Sequence[object]) -> int:
    """Returns how many cells at the end of a row are numbers: in all rows as many."""
    return next((i for i, cell in enumerate(reversed(row)) if isinstance(cell, str)), len(row))


def _parts(predictions: Predictions) -> Iterator[list[tuple[Any, ...]]]:
    """Yields the rows, as many at a time as are written at once."""
    rows, step = iter(predictions.rows), max(1, CELLS_PER_PART // len(predictions.columns))
    while part := list(islice(rows, step)):
        yield part


class _Lines(list[str]):
    """What a csv writer writes, line by line."""

    write = list.append


def _not_a_formula(text: str) -> str:
    """Returns a text, with `'` before it where a spreadsheet would take it for a formula; a number stays one."""
    begins = text[:1] in FORMULA_SIGNS or text.lstrip()[:1] in FORMULA_SIGNS
    return f"'{text}" if text and begins and not NUMBER.fullmatch(text.strip()) else text


def json_parts(predictions: Predictions) -> Iterator[str]:
    """Yields a list with one object for each row, some of them at a time."""
    before = "[\n  "
    for part in _parts(predictions):
        yield before + ",\n  ".join(_object(predictions.columns, row) for row in part)
        before = ",\n  "
    yield "[]\n" if before[0] == "[" else "\n]\n"


def _object(columns: Sequence[str], row: Sequence[Any]) -> str:
    """Returns a row as a JSON object; nan and infinities are null."""
    try:
        return json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(dict(zip(columns, plain(row), strict=True)), ensure_ascii=False)
