"""What becomes of text columns of many categories, and whole numbers that may be names."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bpcli.family import Array, CodedText, Table
from bpcli.records.printable import shell_word
from bpcli.studies.dataset.fit import MAX_CATEGORIES, MAX_COUNTED
from bpcli.studies.dataset.judgement import Hazard, hazards

MAX_ONE_HOT_NUMBERS = 1 << 27  # zeros and ones of all text columns and rows together
FEW_CATEGORIES = 50  # of a text column, which have inputs of their own however many rows there are
MIN_ROWS_PER_MEMBER = 20  # on average, where the categories of a column seem to be who or what rows are of
MIN_CODES = 5  # different whole numbers of a column that may be names
MAX_CODES = 50  # likewise
MIN_ROWS_PER_CODE = 5  # on average
ORDER_DEGREE = 3  # of the polynomial that stands for what the order of the numbers says
MIN_GAIN = 0.1  # of the target's variance, explained by the single numbers beyond their order
MIN_F = 5.0  # of that gain, over what chance gives
MIN_ROUGHNESS = 0.5  # of the targets' means from number to number: 1 where their order is chance, 0 where it is smooth


@dataclass(frozen=True)
class Encoding:
    """What the categories of a text column become: in words, how many inputs, and settings of the column; `left_out`
    says why it is no input."""

    words: str
    width: int
    settings: dict[str, Any] = field(default_factory=dict)
    left_out: str = ""


def one_hot_limits(table: Table) -> dict[str, int]:
    """Returns how many one-hot inputs each text column of the table may become, so that those of all columns and rows
    together fit into memory; 0 where its categories seem to say who or what a row is of, each in a few rows: rows of
    others will come, and what is learned of these helps with none of them."""
    wide = {name for name, column in table.texts.items() if len(column.found) > FEW_CATEGORIES}
    limit = min(MAX_CATEGORIES, max(FEW_CATEGORIES, MAX_ONE_HOT_NUMBERS // max(1, table.rows * len(wide))))
    groups = {
        hazard.split[1]
        for hazard in (hazards(table) if wide else ())
        if hazard.split[0] == "group" and not hazard.by_class
    }
    few = {name for name in wide & groups if table.rows < MIN_ROWS_PER_MEMBER * len(table.texts[name].found)}
    return {name: 0 if name in few else limit for name in table.texts}


def choose_encoding(cells: CodedText, limit: int) -> Encoding:
    """Returns one-hot inputs of all categories where they are within the limit (see `one_hot_limits`); else of the most
    frequent ones, beside an input that says how often each occurs.

    What inputs of their own gain where each category has an effect, and lose where none has, is printed by
    `pytest -m slow -s tests/studies/init/test_categories.py`.
    """
    counts = sorted(cells.found.values(), reverse=True)
    if not limit:
        return Encoding("", 1, left_out="who or what a row is of")
    if len(counts) <= limit:
        return Encoding(f"one-hot, {len(counts)} inputs", len(counts))
    if len(counts) > MAX_COUNTED:
        return Encoding("", 1, left_out="too many to tell apart")
    least = counts[limit] + 1
    own = sum(n >= least for n in counts)
    settings: dict[str, Any] = {"encoding": "frequency"}
    if not own:
        return Encoding("frequency, 1 input", 1, settings)
    words = f"one-hot from {least:,} rows on, and frequency" if least > 1 else "one-hot, and frequency"
    return Encoding(words, own + 1, {**settings, "min_rows": least})


# Whole numbers that are names


def codes_remarks(table: Table, names: Collection[str], hazards: Sequence[Hazard]) -> tuple[str, ...]:
    """Returns a remark on each of the named columns of numbers whose few different whole numbers seem to be names: the
    target goes by the single numbers and not by their order. Nothing is said where the rows of one group are alike, or
    stand in the order of time: there, any few numbers do."""
    target = None if any(hazard.split[0] in ("group", "time") for hazard in hazards) else _target_values(table)
    found = []
    for name in table.order if target is not None else ():
        if name not in names or table.kind(name) != "number" or name not in table.at:
            continue
        values = table.numbers[:, table.at[name]].astype(np.float64)
        values += 0.0 if table.pivot is None else table.pivot[table.at[name]]
        known = ~np.isnan(values)
        gain = order_and_names(values[known], target[known])  # type: ignore[index]
        if gain is not None:
            ordered, named, count = gain
            text = f"`{name}`: {count} different whole numbers, whose order explains {ordered:.0%} of the target and "
            text += f"which one by one explain {named:.0%}: if they are names, `--text {shell_word(name)}`"
            found.append(text)
    return tuple(found)


def order_and_names(values: Array, target: Array) -> tuple[float, float, int] | None:
    """Returns which shares of the target's variance (n, K) a polynomial in the rank of the values (n,) explains, and
    their single values do, adjusted for what chance gives, and how many values there are; None where they are not whole
    numbers, too few or too many, or where names explain no more than the order, or the target changes but little from
    one number to the next, as by steps.

    Source    von Neumann 1941, "Distribution of the ratio of the mean square successive difference to the variance"
    """
    n = len(values)
    if n < MIN_CODES * MIN_ROWS_PER_CODE or (values[:1000] != np.floor(values[:1000])).any():
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
    powers = np.polynomial.legendre.legvander(np.linspace(-1, 1, k), min(ORDER_DEGREE, k - 2))
    fitted = powers @ np.linalg.lstsq(root * powers, root * means, rcond=None)[0]
    lost = float((counts[:, None] * (means - fitted) ** 2).sum())  # by the order, of what the names explain
    inside, more = total - between, k - powers.shape[1]
    if total <= 0 or n <= k:
        return None
    ordered = 1 - (inside + lost) / total * (n - 1) / (n - powers.shape[1])
    named = 1 - inside / total * (n - 1) / (n - k)
    rough = float((np.diff(means, axis=0) ** 2).mean(axis=0).sum() / (2 * means.var(axis=0, ddof=1).sum() or np.inf))
    chance = inside / (n - k)
    if named - ordered < MIN_GAIN or lost / more < MIN_F * chance or rough < MIN_ROUGHNESS:
        return None
    return max(0.0, ordered), named, k


def _target_values(table: Table) -> Array | None:
    """Returns the targets as numbers (N, K): values, or a column of 0 and 1 for each class; None where none are."""
    target = table.target
    if target is None:
        return None
    if target.ndim == 2:
        return target.astype(np.float64)
    classes, ids = np.unique(target.astype(str) if target.dtype == object else target, return_inverse=True)
    if len(classes) > MAX_CODES:
        return target[:, None].astype(np.float64) if target.dtype != object else None
    return np.eye(len(classes))[ids]
