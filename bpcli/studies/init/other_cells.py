"""Columns most of whose cells are numbers, times or dates: what is said of the others."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from bpcli.config.dump import flow
from bpcli.family import Table
from bpcli.parts.data.cells import NearlyMeasured, nearly_measured
from bpcli.records.printable import shell_word
from bpcli.records.training import Failure, Problem
from bpcli.studies.init.options import option

MAX_TYPED = 12  # other cells that a command names as missing values


def nearly_measured_columns(table: Table, names: Collection[str]) -> dict[str, NearlyMeasured]:
    """Returns those of the named columns of text, most of whose cells are numbers, times or dates; of a target, which
    could not be dates, no such one."""
    counted: dict[str, Mapping[str, int]] = {n: cells.found for n, cells in table.texts.items() if n in names}
    if table.target is not None and table.target.dtype == object and {*table.target_names} & {*names}:
        counted[table.target_names[0]] = Counter(table.target.tolist())
    found = {name: nearly_measured([*counts], [*counts.values()]) for name, counts in counted.items()}
    return {name: nearly for name, nearly in found.items()
            if nearly is not None and not (nearly.what == "dates" and name in table.target_names)}  # fmt: skip


def other_cells_remarks(
    table: Table, found: Mapping[str, NearlyMeasured], source: Mapping[str, Any]
) -> tuple[str, ...]:
    """Returns a remark on each column of which most cells are numbers, times or dates: one of the others with its line,
    and what to type; `source` is how the source is spelled out."""
    return tuple(f"{_what(table, name, each)}: {_help(table, name, each, source)}" for name, each in found.items())


def refuse_other_cells(table: Table, source: Mapping[str, Any]) -> None:
    """Raises Failure where a target is text that hardly comes back, and most of its cells are numbers."""
    for name, nearly in nearly_measured_columns(table, table.target_names).items():
        assert table.target is not None
        if 2 * len(set(table.target.tolist())) > table.rows:
            text = f"the target {_what(table, name, nearly)}"
            raise Failure(Problem(text, code="not-numbers", help=_help(table, name, nearly, source)))


def _what(table: Table, name: str, nearly: NearlyMeasured) -> str:
    cells = table.texts[name].array() if name in table.texts else table.target
    assert cells is not None
    row = [cell.strip() for cell in cells.tolist()].index(nearly.others[0])
    line = table.locate(Problem(""), row, name).line if table.locate is not None else 0
    text = f"`{name}`: {nearly}, and `{nearly.others[0]}` ({f'line {line}' if line else f'row {row}'}) is not"
    more = len(nearly.others) - 1
    return f"{text}, nor {'are' if more > 1 else 'is'} {more:,} other{'s' * (more > 1)}" if more else text


def _help(table: Table, name: str, nearly: NearlyMeasured, source: Mapping[str, Any]) -> str:
    text = f"if the column holds text, `{option('--text', name)}`; to leave it out, `{option('--drop', name)}`"
    text = "or name another column with --target" if name in table.target_names else text
    if len(nearly.others) > MAX_TYPED:
        return f"write them alike in the file, or leave these cells empty; {text}"
    named = {**source, "missing_values": [*source.get("missing_values", ()), *nearly.others]}
    target = " ".join(option("--target", name) for name in table.target_names)
    return f"if they stand for no value, `bpcli init {shell_word(flow(named))} {target}`; {text}"
