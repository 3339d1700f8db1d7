"""Where a batch is not what its rows give alone, or any gradient what it should be, in words: which rows and columns,
and how the numbers are related."""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from bpcli.family import Array
from bpcli.records.gradcheck import Finding
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.layer_laws.row_law import RowMismatch, groups
from bpcli.studies.gradcheck.layer_laws.single_layer import LayerInputs, SingleLayer
from bpcli.studies.mistakes.hypotheses import Sentence, axis_choices, listed, same

MAX_LISTED = 4  # rows or columns named one by one
MAX_SOLVED = 4096  # entries by which it is found out which rows are counted
RATIO_RTOL = 1e-6  # how far a ratio that counts as constant may vary


def describe_rows(tensor: str, found: RowMismatch, key: str) -> Finding:
    """Returns what is wrong with the rows of y or dx, with the sentence `key`."""
    wrong = found.wrong.reshape(found.rows, -1).any(1)
    rows = indices_in_words("row", np.flatnonzero(wrong).tolist(), found.rows)
    where = columns_in_words(found.wrong[wrong])
    are = "are" if rows.startswith(("rows", "all")) else "is"
    method = "forward" if found.name == "y" else "backward"
    how = relation(found.batch, found.alone, found.wrong)
    details = {"rows": rows, "name": found.name, "are": are, "where": where, "how": how, "method": method}
    return Finding(tensor, *sentence(f"rows {key}", **details))


def describe_sum(tensor: str, found: RowMismatch, layer: SingleLayer, inputs: LayerInputs) -> Finding:
    """Returns what is wrong with a parameter's gradient, which is not the sum of its rows'."""
    where = columns_in_words(found.wrong[None], "column")
    how = counted_rows(found, layer, inputs) or relation(found.batch, found.alone, found.wrong, found.rows)
    return Finding(tensor, *sentence("rows sum", name=found.name, rows=found.rows, where=where, how=how))


def indices_in_words(what: str, wrong: Sequence[int], count: int) -> str:
    """Returns which of `count` rows or columns, in words: rows 8 to 31."""
    if len(wrong) == count:
        return f"all {count} {what}s" if count > 1 else f"the only {what}"
    first, last = wrong[0], wrong[-1]
    if len(wrong) == 1:
        return f"{what} {first}"
    steps = set(np.diff(wrong).tolist())
    if steps == {1}:
        return f"{what}s {first} to {last}"
    if len(steps) == 1 and len(wrong) > 2:
        step = steps.pop()
        which = {2: "second", 3: "third"}.get(step, f"{step}th")
        return f"every {which} {what} from {first} on" + (f", to {last}" if last + step < count else "")
    listed = ", ".join(map(str, wrong[:MAX_LISTED]))
    more = len(wrong) - MAX_LISTED
    return f"{what}s {listed}" + (f" and {more} more" if more > 0 else "")


def columns_in_words(wrong: Array, last: str = "") -> str:
    """Returns in which columns or places the entries of some rows are wrong, (rows, ...); "" where in all of them.
    `last` is what the last axis is called: a column, or a channel where there are others."""
    last = last or ("column" if wrong.ndim == 2 else "channel")
    words = []
    for axis in range(1, wrong.ndim):
        others = tuple(a for a in range(wrong.ndim) if a != axis)
        at = np.flatnonzero(wrong.any(others)).tolist()
        if len(at) < wrong.shape[axis]:
            what = last if axis == wrong.ndim - 1 else f"index {axis} ="
            words.append(indices_in_words(what, at, wrong.shape[axis]).replace("=s", "="))
    return f", in {' and '.join(words)}" if words else ""


def block_in_words(wrong: Array, seen: Array, first: str) -> str:
    """Returns where a tensor is wrong, if that is all of it, as far as it was `seen`, in some rows, columns and places;
    else "". `first` is what its first axis is called, if that is known."""
    if not wrong.any():
        return ""
    words, block = [], seen.copy()
    for axis, size in enumerate(wrong.shape):
        others = tuple(k for k in range(wrong.ndim) if k != axis)
        hit = wrong.any(others)
        block &= np.expand_dims(hit, others)
        if not hit.all():
            what = (first if axis == 0 else "column" if axis == wrong.ndim - 1 else "") or f"index {axis} ="
            words.append("in " + indices_in_words(what, np.flatnonzero(hit).tolist(), size).replace("=s", "="))
    return "" if (wrong != block).any() or not (seen & ~wrong).any() else " and ".join(words)


def inputs_in_words(bad: Array, x: Array | None) -> str:
    """Returns " where x is" the number that inputs `x` are wherever a gradient is bad; "" where they are several."""
    if x is None or x.shape != bad.shape or np.ptp(x[bad]) > 0:
        return ""
    return f" where x is {float(x[bad][0]) + 0.0:g}"


def relation(batch: Array, alone: Array, wrong: Array, rows: int = 0) -> str:
    """Returns how the numbers of the batch are related to those of the rows alone; "" where no relation is simple."""
    a, b = batch[wrong], alone[wrong]
    if np.isnan(a).all():
        return "; these entries are never written"
    if not np.isfinite(a).all():
        return "; they are not finite"
    if not a.any():
        return "; they are 0 there"
    if not b.any():
        return "; alone they are 0"
    ratio = float(np.vdot(a, b) / np.vdot(b, b))
    if np.abs(a - ratio * b).max() <= RATIO_RTOL * np.abs(a).max():
        for value, words in ((rows, f"{rows}, the number of rows"), (1 / max(rows, 1), f"1/{rows}, a mean for a sum")):
            if rows and math.isclose(ratio, value, rel_tol=RATIO_RTOL):
                return f"; kernel / alone = {words}"
        return f"; kernel / alone = {ratio:.6g}"
    return ""


def counted_rows(found: RowMismatch, layer: SingleLayer, inputs: LayerInputs) -> str:
    """Returns which rows are counted in the sum, and how often, where that explains it; else ""."""
    spans = list(groups([found.rows], heavy=False))
    some = np.flatnonzero(found.wrong)[:MAX_SOLVED]
    terms = [layer.run(inputs, start, stop, found.train)[found.name].ravel()[some] for start, stop in spans]
    a, batch = np.stack(terms, 1), found.batch.ravel()[some]
    if not (np.isfinite(a).all() and np.isfinite(batch).all()):
        return ""
    for i in range(1, len(spans)):  # few entries: sums of the first rows alone
        if np.abs(a[:, :i].sum(1) - batch).max() <= RATIO_RTOL * np.abs(batch).max():
            return f"; only rows 0 to {spans[i][0] - 1} are counted"
    if len(a) < len(spans):
        return ""
    share, *_ = np.linalg.lstsq(a, batch, rcond=None)
    if np.abs(a @ share - batch).max() > RATIO_RTOL * np.abs(batch).max():
        return ""
    share = np.where(np.abs(share) < RATIO_RTOL, 0.0, share)
    off = [i for i, s in enumerate(share) if not math.isclose(s, 1, rel_tol=RATIO_RTOL)]
    if not off or len(off) == len(spans) or len({round(float(share[i]), 5) for i in off}) > 1:
        return ""
    rows = [row for i in off for row in range(*spans[i])]
    which = indices_in_words("row", rows, found.rows)
    times = float(share[off[0]])
    return f"; {which} {'is' if len(rows) == 1 else 'are'} " + (
        "not counted" if not times else f"counted {times:.6g} times"
    )


def describe_values(tensor: str, found: RowMismatch, key: str) -> Finding:
    """Returns what is wrong with an array that must be the same in both of two runs, with the sentence `key`."""
    rowwise = found.name in ("x", "y", "dy", "dx")
    wrong = found.wrong if rowwise else found.wrong[None]
    rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(1)).tolist()
    which = f"{indices_in_words('row', rows, len(wrong))} of {found.name}" if rowwise else found.name
    how = relation(found.batch, found.alone, found.wrong)
    where = columns_in_words(wrong[rows], "" if rowwise else "column")
    are = "are" if which.startswith(("rows", "all")) else "is"
    return Finding(tensor, *sentence(key, which=which, are=are, where=where, how=how, name=found.name))


# ------------------------------------------------------------------------------------- where any gradient is wrong
def zero_places(wrong: Array) -> Iterator[Sentence]:
    """Yields findings of a gradient that is 0 wherever it is wrong."""
    for axis in range(wrong.ndim):
        others = tuple(k for k in range(wrong.ndim) if k != axis)
        hit, full = np.atleast_1d(wrong.any(others)), np.atleast_1d(wrong.all(others))
        if hit.sum() == 1 and full[hit.argmax()]:
            at = int(hit.argmax())
            yield sentence("zero-slice last" if at == len(hit) - 1 else "zero-slice", axis=axis, at=at)
    yield sentence("zeros")


def moved_entries(a: Array, n: Array, rtol: float) -> Iterator[Sentence]:
    """Yields findings of shifted or permuted entries."""
    if a.size < 2:
        return
    for axes in axis_choices(a.ndim):
        if same(a, np.flip(n, axes), rtol=rtol):
            yield sentence("flipped", axes=listed(axes))
    for axes in [(i,) for i in range(a.ndim)] + list(combinations(range(a.ndim), 2)):
        for step in (1, -1):
            if any(a.shape[k] < 2 for k in axes):
                continue
            ours = a[_without_edge(a.ndim, axes, step)]
            if ours.any() and same(ours, n[_without_edge(a.ndim, axes, -step)], rtol=rtol):
                yield sentence("shifted", axes=listed(axes))


def _without_edge(ndim: int, axes: tuple[int, ...], step: int) -> tuple[Any, ...]:
    """Returns the index of all places but the first (of a `step` of 1) or the last along each of `axes`."""
    part = slice(1, None) if step > 0 else slice(None, -1)
    return tuple(part if k in axes else slice(None) for k in range(ndim))
