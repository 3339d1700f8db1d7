"""Whole numbers that may be names, and are no amounts then: told by how they look, and by what the target does."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from bpcli.config.dump import flow
from bpcli.family import Array, Table
from bpcli.parts.data.cells import usual_sentinels
from bpcli.parts.data.cells.codes import are_names, is_called_code
from bpcli.studies.dataset.coded_columns import CodedColumn, some_rows
from bpcli.studies.dataset.judgement import MAX_ROWS_OF_GROUP, MIN_GROUPS, Hazard
from bpcli.studies.init.options import option

MIN_CODES = 5  # different whole numbers of a column that may be names
MAX_CODES = 1000  # likewise
FEW_CODES = 50  # of numbers that look like names, which are read so whatever the target says
MAX_CLASSES = 50  # of a target whose whole numbers count as classes here
MIN_ROWS_PER_CODE = 5  # on average
ORDER_DEGREE = 3  # of the polynomial that stands for what the order of the numbers says
MIN_GAIN = 0.1  # of the target's variance, explained by the single numbers beyond their order
MIN_F = 5.0  # of that gain, over what chance gives
MIN_SHARED = 3  # different values of a column that is the same in all rows of one person
MIN_ROUGHNESS = 0.5  # of the targets' means from number to number: 1 where their order is chance, 0 where it is smooth


def find_codes(table: Table, names: Collection[str], hazards: Sequence[Hazard]) -> dict[str, str]:
    """Returns those of the named columns of numbers that are read as text, since their whole numbers look like names,
    with a remark that says so. Many whose column is not called a code have to be told from amounts by the target, too:
    it goes by the single numbers and not by their order, and not since the rows of one group are alike."""
    grouped = any(hazard.split[0] == "group" for hazard in hazards)
    found = {}
    for name, values, known in _whole_numbers(table, names):
        numbers, counts = np.unique(values, return_counts=True)
        if usual_sentinels(values) or not are_names(numbers, counts, name):
            continue
        if len(numbers) > FEW_CODES and not is_called_code(name):
            target = None if grouped else targets_as_numbers(table)
            if target is None or order_and_names(values, target[known]) is None:
                continue
        shortest, longest = len(f"{numbers[0]:.0f}"), len(f"{numbers[-1]:.0f}")
        digits = f"{longest} digits" if shortest == longest else f"{shortest} to {longest} digits"
        remark = f"`{name}`: {len(numbers):,} different numbers of {digits} that come back look like names, and are "
        found[name] = f"{remark}read as text; if they are amounts, `{option('--number', name)}`{_of_whom(table, name)}"
    return found


def codes_remarks(table: Table, names: Collection[str], hazards: Sequence[Hazard]) -> tuple[str, ...]:
    """Returns a remark on each of the named columns of numbers whose whole numbers, not very many, seem to be names:
    the target goes by the single numbers and not by their order. Nothing is said where the rows of one group are alike,
    or stand in the order of time: there, any few numbers do."""
    target = None if any(hazard.split[0] in ("group", "time") for hazard in hazards) else targets_as_numbers(table)
    if target is None:
        return ()
    found = []
    for name, values, known in _whole_numbers(table, names):
        gain = order_and_names(values, target[known])
        if gain is not None:
            ordered, named, count = gain
            text = f"`{name}`: {count:,} different whole numbers, whose order explains {ordered:.0%} of the target and "
            text += f"which one by one explain {named:.0%}: if they are names, `{option('--text', name)}`"
            found.append(text + _of_whom(table, name))
    return tuple(found)


def _of_whom(table: Table, name: str) -> str:
    """Returns what to write where the numbers of a column may say who or what its rows are of: in several rows of each,
    something else is the same, such as the years that a person went to school."""
    rows = some_rows(table)
    column = CodedColumn.of(table, name, rows)
    if column.count < MIN_GROUPS or not 2 * column.count <= len(column.codes) <= MAX_ROWS_OF_GROUP * column.count:
        return ""
    others = (CodedColumn.of(table, other, rows) for other in table.order if other != name)
    same = next((c.name for c in others if MIN_SHARED <= c.count < column.count and column.fixes(c)), None)
    if same is None:
        return ""
    line = f"`split: {flow({'group': name})}`"
    return f"; if each is a person or a thing, since `{same}` is the same in all rows of one, write {line} under `data`"


def _whole_numbers(table: Table, names: Collection[str]) -> Iterator[tuple[str, Array, Array]]:
    """Yields those of the named columns of numbers that hold no fractions, with their values (n,) and where they are
    known (N,)."""
    for name in table.order:
        if name in names and table.kind(name) == "number" and name in table.at:
            values = table.numbers[:, table.at[name]].astype(np.float64)
            values += 0.0 if table.pivot is None else table.pivot[table.at[name]]
            known = ~np.isnan(values)
            if known.any() and (values[known] == np.floor(values[known])).all():
                yield name, values[known], known


def order_and_names(values: Array, target: Array) -> tuple[float, float, int] | None:
    """Returns which shares of the target's variance (n, K) a polynomial in the values (n,) or their ranks explains, and
    their single values do, adjusted for what chance gives, and how many values there are; None where they are not whole
    numbers, too few or too many, or where names explain no more than the order, or the target changes but little from
    one number to the next, as by steps.

    Source    von Neumann 1941, "Distribution of the ratio of the mean square successive difference to the variance"
    """
    n = len(values)
    if n < MIN_CODES * MIN_ROWS_PER_CODE:
        return None
    codes, ranks = np.unique(values, return_inverse=True)
    k = len(codes)
    if not MIN_CODES <= k <= min(MAX_CODES, n // MIN_ROWS_PER_CODE) or (codes != np.floor(codes)).any():
        return None
    centered = target - target.mean(axis=0)
    total = float((centered**2).sum())
    counts = np.bincount(ranks, minlength=k).astype(np.float64)
    means = np.stack([np.bincount(ranks, column, k) / counts for column in centered.T], axis=1)
    between = float((counts[:, None] * means**2).sum())
    root = np.sqrt(counts)[:, None]
    places = np.linspace(-1, 1, k), 2 * (codes - codes[0]) / (codes[-1] - codes[0]) - 1
    bases = [np.polynomial.legendre.legvander(at, min(ORDER_DEGREE, k - 2)) for at in places]
    powers, fits = bases[0], [b @ np.linalg.lstsq(root * b, root * means, rcond=None)[0] for b in bases]
    lost = min(float((counts[:, None] * (means - fit) ** 2).sum()) for fit in fits)  # by the order, of what names say
    inside, more = total - between, k - powers.shape[1]
    if total <= 0 or n <= k:
        return None
    ordered = 1 - (inside + lost) / total * (n - 1) / (n - powers.shape[1])
    named = 1 - inside / total * (n - 1) / (n - k)
    weights = counts[1:] * counts[:-1] / (counts[1:] + counts[:-1])  # a mean of few rows is mostly chance
    steps = float((weights[:, None] * np.diff(means, axis=0) ** 2).sum() / weights.sum())
    rough = steps / (2 * between / n * k / (k - 1) or np.inf)
    chance = inside / (n - k)
    if named - ordered < MIN_GAIN or lost / more < MIN_F * chance or rough < MIN_ROUGHNESS:
        return None
    return max(0.0, ordered), named, k


def targets_as_numbers(table: Table) -> Array | None:
    """Returns the targets as numbers (N, K): values, or a column of 0 and 1 for each class; None where none are."""
    target = table.target
    if target is None:
        return None
    if target.ndim == 2:
        return target.astype(np.float64)
    classes, ids = np.unique(target.astype(str) if target.dtype == object else target, return_inverse=True)
    if len(classes) > MAX_CLASSES:
        return target[:, None].astype(np.float64) if target.dtype != object else None
    return np.eye(len(classes))[ids]
