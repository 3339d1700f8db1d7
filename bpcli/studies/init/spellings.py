"""Numbers that are written in two ways, 1.1 and 1.10, and may be names of sections or versions."""

import re
from collections.abc import Collection, Sequence

import numpy as np

from bpcli.family import Array, CodedText, ColumnFormat, Table
from bpcli.studies.init.codes import MIN_GAIN, MIN_ROWS_PER_CODE, targets_as_numbers
from bpcli.studies.init.options import option

MAX_SPELLINGS = 50  # different cells of a column
MIN_F = 15.0  # of the difference between two spellings, over what chance gives
MIN_NUMBERED = 10  # fractions 1, 2 ... 10 of one whole number, which are no tenths then
FRACTION = re.compile(r"(\d+)[.,](\d+)", re.ASCII)


def may_have_two_spellings(table: Table, names: Collection[str]) -> list[str]:
    """Returns those of the named columns of plain numbers that hold few different ones, of which some are tenths: only
    their cells, which are no more known, can show whether 1.1 is also written 1.10."""
    found = []
    for name in table.order:
        form = table.formats.get(name, ColumnFormat())
        is_plain = not (form.unit or form.thousands or form.are_times)
        if name in names and table.kind(name) == "number" and name in table.at and is_plain:
            values = table.numbers[:, table.at[name]].astype(np.float64)
            values = values[np.isfinite(values)]
            some = np.unique(values[:1000])
            if len(some) <= MAX_SPELLINGS and len(values) >= MIN_ROWS_PER_CODE * len(some):
                tenths = np.abs(some * 10 - np.round(some * 10)) < 1e-6
                found += [name] if (tenths & (some != np.floor(some))).any() else []
    return found


def spelled_codes(table: Table, names: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Returns those of the named columns, read as text, that are names by what the target does, with a remark that says
    so; and remarks on others in which one number stands in two ways that may be two names.

    They are names where the target differs between the spellings of a number by far more than within each, and where to
    merge them loses a share of its variance. Prices of 2.5 and 2.50 have one mean; 1.05 is no section's.
    """
    codes, remarks, target = {}, [], targets_as_numbers(table)
    for name in names:
        cells = table.texts[name]
        if len(cells.found) > MAX_SPELLINGS or not all(map(FRACTION.fullmatch, cells.found)):
            continue
        pair = _two_spellings([*cells.found])
        if pair is None or target is None:
            continue
        gain, f = gain_of_spellings(cells, target)
        zeros = any(_parts(cell)[1].startswith("0") and len(_parts(cell)[1]) > 1 for cell in cells.found)
        text = f"`{name}`: `{pair[0]}` and `{pair[1]}` are written, which are one number"
        if f >= MIN_F and gain >= MIN_GAIN and not zeros:
            codes[name] = f"{text}, and the target differs between them: they are names, and are read as text; if they "
            codes[name] += f"are amounts, `{option('--number', name)}`"
        elif (f >= MIN_F and not zeros) or _are_numbered([*cells.found]):
            remarks.append(f"{text}: if they are names, `{option('--text', name)}`")
    return codes, tuple(remarks)


def _parts(cell: str) -> tuple[str, str]:
    found = FRACTION.fullmatch(cell)
    assert found is not None
    return found[1], found[2]


def _number(cell: str) -> float:
    return float(cell.replace(",", "."))


def _two_spellings(cells: Sequence[str]) -> tuple[str, str] | None:
    """Returns two cells that are one number, None where there are none."""
    known: dict[float, str] = {}
    for cell in sorted(cells, key=lambda cell: (len(cell), cell)):
        other = known.setdefault(_number(cell), cell)
        if other != cell:
            return other, cell
    return None


def _are_numbered(cells: Sequence[str]) -> bool:
    """Whether the fractions of a whole number count from 0 or 1 to ten and more, each of them there."""
    fractions: dict[str, set[int]] = {}
    for cell in cells:
        whole, fraction = _parts(cell)
        if fraction[0] != "0" or fraction == "0":
            fractions.setdefault(whole, set()).add(int(fraction))
    return any(max(here) >= MIN_NUMBERED and {*range(1, max(here) + 1)} <= here for here in fractions.values())


def gain_of_spellings(cells: CodedText, target: Array) -> tuple[float, float]:
    """Returns which share of the target's variance (n, K) the spellings of each number explain beyond the number, and
    how many times as much as chance would."""
    known = ~cells.gaps
    texts = [*cells.found]
    place = {text: i for i, text in enumerate(texts)}
    spelled = np.array([place.get(text, -1) for text in cells.categories])[cells.codes[known]]
    numbers = np.unique([_number(text) for text in texts], return_inverse=True)[1][spelled]
    y = target[known] - target[known].mean(axis=0)
    between, inside = _lost(numbers, y), _lost(spelled, y)
    more, left = len(texts) - int(numbers.max()) - 1, len(y) - len(texts)
    total = float((y**2).sum())
    if total <= 0 or left <= 0 or more <= 0:
        return 0.0, 0.0
    return (between - inside) / total, (between - inside) / more / max(inside / left, 1e-12 * total)


def _lost(groups: Array, y: Array) -> float:
    """Returns the sum of squares about the means of groups (n,)."""
    counts = np.bincount(groups)
    means = np.stack([np.bincount(groups, column) / np.maximum(counts, 1) for column in y.T], axis=1)
    return float(((y - means[groups]) ** 2).sum())
