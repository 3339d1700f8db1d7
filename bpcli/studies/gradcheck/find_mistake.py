"""Which mistake made a gradient wrong: from its numbers alone, and from the equations that it should have followed.

What is said of each mistake stands in diagnosis_sentences.py.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from bpcli.family.plan import Array
from bpcli.notation import Program
from bpcli.records.gradcheck import Finding
from bpcli.studies.gradcheck.diagnosis_sentences import sentence
from bpcli.studies.gradcheck.layer_laws.row_sentences import (
    block_in_words,
    inputs_in_words,
    moved_entries,
    zero_places,
)
from bpcli.studies.mistakes.hypotheses import GradientHypotheses, Hypothesis, Sentence, same

CONSTANT_RATIO_RTOL = 1e-9  # how far a ratio that counts as constant may vary
ENTRY_RTOL = 1e-7  # share of the largest entry: an entry that is farther off is wrong
SAME_RATIO_RTOL = 1e-4  # between two constant ratios that are the same, by differences
GRADIENT_BEFORE = "the gradient before"  # the array's name: what stood there when a penalty was added
CONSTANT_GAP_RTOL = 0.1  # how far a difference of small numbers that counts as constant may vary
GAP_FACTOR = 10  # times less well than the numbers is their difference known
MAX_SHARE_LEFT = 0.01  # share of a difference that a mistake may leave unexplained and still be named
MAX_EXPLANATIONS = 3  # mistakes that explain the numbers equally well, named together

UNLIKELY = {"not-divided-{a} squared", "divided-{a} squared", "not-divided-{a} less one", "unbiased more",
            "unbiased less", "divided ratio"}  # fmt: skip
"""Ratios that are chance where the equations explain the numbers."""


@dataclass(eq=False)
class Clues:
    """What is known about the place of a wrong gradient.

    `counts` are numbers of rows and outputs, by the letter they are known by; `scalars` the part's settings; `arrays`
    what else has a name there; `hypotheses` come from the equations, where the part has them. `kernel` computes the
    gradient again, for another `by` (dy; of a loss its outputs x), which was `at`.
    """

    counts: Mapping[str, int]
    scalars: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    hypotheses: GradientHypotheses | None = None
    kernel: Callable[[Array], Array] | None = None
    by: str = "dy"
    at: Array | None = None
    forward_mismatch: str = ""  # what of its forward pass is not that of the equations, where its backward pass is
    moved_weights: Sequence[str] = ()  # weights that changed during the pass
    tied: bool = False  # wrong at ties only
    rtol: float = CONSTANT_RATIO_RTOL  # how well the expected numbers are known
    whole_network: bool = False  # whether it is that of the whole network, whose layers alone are right
    ratio_elsewhere: Callable[[str], float | None] | None = None  # kernel / expected where a count is another


def gradient_hypotheses(
    programs: Sequence[Program], env: Mapping[str, Any], target: str, params: Sequence[str], forward: str
) -> GradientHypotheses:
    """Returns what mistakes in the equations of a part make of its gradient `target`; of two programs, the second holds
    the long forms of the equations, and is the first where they have none."""
    first, *others = (GradientHypotheses(p, p.complete(env), target, sentence, params, forward) for p in programs)
    return replace(first, long_forms=next((other for other in others if other.program is not first.program), None))


def find_mistake(tensor: str, kernel: Array, expected: Array, clues: Clues) -> Finding:
    """Finds the likeliest mistake that turns the `expected` gradient into the kernel's; NaN was not looked at."""
    return Finding(tensor, *_found(np.asarray(kernel, np.float64), np.asarray(expected, np.float64), clues))


def _found(a: Array, n: Array, clues: Clues) -> Sentence:
    if not np.isfinite(a).all():
        return sentence("not-finite", where=inputs_in_words(~np.isfinite(a), clues.arrays.get("x")))
    if clues.forward_mismatch:
        return sentence("forward", tensor=clues.forward_mismatch)
    if clues.moved_weights:
        return sentence("updated-weights moved", weights=", ".join(clues.moved_weights))
    seen = np.isfinite(n)
    if (unsteady := _unsteady(n, clues)) is not None:
        return unsteady
    if not a.any():
        return sentence("missing")
    if (coarse := _coarse(a[seen], n[seen], clues.rtol)) is not None:
        return coarse
    whole = bool(seen.all())
    placed = _wrong_entries(a, n, clues.rtol) if whole else None
    if placed is not None and placed[0] != "one-entry":
        return placed
    hypotheses = _matching(a, n, clues.hypotheses) if whole and clues.hypotheses is not None else []
    if placed is not None and not (hypotheses and hypotheses[0].code == "edge"):
        return placed
    ratio = multiple(a[seen], n[seen], clues.rtol)
    constant = ratio is not None and abs(ratio - 1) >= max(1e-7, clues.rtol)
    key, plain = _in_words(ratio, clues) if ratio is not None and constant else ("", None)
    if ratio is not None and not _follows_counts(ratio, {"a": "N"}, clues):
        hypotheses = [h for h in hypotheses if h.code != "unbiased"]
    if plain is not None:
        hypotheses = [h for h in hypotheses if h.code != "cut"]
        plain = None if hypotheses and key in UNLIKELY else plain
    if hypotheses:
        text = "; or ".join(list(dict.fromkeys(h.text for h in hypotheses))[:MAX_EXPLANATIONS])
        return (hypotheses[0].code, text) if plain is None else (plain[0], f"{plain[1]}: {text}")
    if plain is not None:
        return plain
    if whole:
        for found in (*_mixed(n, clues), *_patterns(a, n, clues)):
            return found
    if clues.whole_network:
        return sentence("unknown between")
    for place in _place(a, n, clues, certain=False) if not whole else ():
        return place
    share = float(_wrong(a[seen], n[seen], clues.rtol).mean())
    return sentence("unknown" if clues.hypotheses is not None else "unknown without", share=share)


def _matching(a: Array, n: Array, possible: GradientHypotheses) -> list[Hypothesis]:
    """Returns the hypotheses that give the very numbers; else what comes near them."""
    reach = float(np.abs(a).max(initial=0.0))
    found: list[Hypothesis] = []
    nearest, least = None, MAX_SHARE_LEFT
    apart = float(np.abs(a - n).max(initial=0.0)) or 1.0  # 0 where another witness alone says that it is wrong
    for h in possible.all():
        if np.shape(h.value) != a.shape or same(n, h.value, reach):
            continue
        if same(a, h.value, reach):
            found.append(h)
            if len(found) == MAX_EXPLANATIONS:
                break
        left = float(np.abs(a - h.value).max(initial=0.0)) / apart
        if left < least:
            nearest, least = h, left
    if found:
        return found
    for name, gained in possible.by_updated_weights():
        rate = multiple((a - n).ravel(), gained.ravel())
        if rate is not None:
            return [Hypothesis(*sentence("updated-weights", weights=name, rate=-rate), a)]
    cut = list(possible.cut_off(a))
    if nearest is not None and not cut:
        return [Hypothesis(nearest.code, sentence("nearly", text=nearest.text, left=least)[1], a)]
    return cut


# --------------------------------------------------------------------------------------------- of another call or point
def _unsteady(n: Array, clues: Clues) -> Sentence | None:
    """Returns a finding where backward, called twice with the same arguments, gives different numbers."""
    if clues.kernel is None or clues.at is None:
        return None
    first, second = clues.kernel(clues.at), clues.kernel(clues.at)
    if np.array_equal(first, second, equal_nan=True):
        return None
    return sentence("accumulates" if same(second - first, n, rtol=clues.rtol) else "unsteady")


def _mixed(n: Array, clues: Clues) -> Iterator[Sentence]:
    """Yields findings where rows, or columns, depend on each other in the kernel alone or in the equations alone."""
    at, by, hypotheses = clues.at, clues.by, clues.hypotheses
    if clues.kernel is None or at is None or hypotheses is None or at.shape != n.shape:
        return
    lines = []
    for axis, line in ((0, "row"), (at.ndim - 1, "column")):
        if axis == at.ndim - 1 == 0 or at.shape[axis] < 2:
            continue
        other = at.copy()
        np.moveaxis(other, axis, 0)[0] *= -0.7
        ours, theirs = (
            float(np.abs(np.moveaxis(f(other) - f(at), axis, 0)[1:]).max())
            for f in (clues.kernel, lambda value: hypotheses.gradient_for(by, value))
        )
        least = 1e-9 * float(np.abs(n).max())
        if ours > least >= theirs:
            lines.append(sentence("axis leans", by=by, line=line)[1])
        elif theirs > least >= ours:
            lines.append(sentence("axis must lean", by=by, line=line)[1])
    if lines:
        yield sentence("axis mixed", lines="; ".join(lines))


# ------------------------------------------------------------------------------------------------------- of the numbers
def multiple(a: Array, n: Array, rtol: float = CONSTANT_RATIO_RTOL) -> float | None:
    """Returns the c of a = c n, other than 0; None where there is none."""
    largest = float(np.abs(n).max(initial=0.0))
    if not largest:
        return None
    ratio = float(np.vdot(a, n) / np.vdot(n, n))
    near = rtol * max(abs(ratio), 1e-3) * largest
    return ratio if ratio and np.abs(a - ratio * n).max(initial=0.0) <= near else None


def _coarse(a: Array, n: Array, rtol: float) -> Sentence | None:
    """Finds gradients that were only rounded."""
    largest, gap = float(np.abs(n).max(initial=0.0)), float(np.abs(a - n).max(initial=0.0))
    varied = multiple(a, n) is None  # rounding is no factor
    if a.size > 1 and gap < 1 and (a == np.rint(a)).all() and (n != np.rint(n)).any():
        return sentence("integers")
    for kind, most in ((np.float32, 1e-5), (np.float16, 1e-1)):
        with np.errstate(over="ignore"):
            if a.size > 1 and gap <= most * largest and (a == a.astype(kind)).all() and (n != n.astype(kind)).any():
                return sentence("precision type", type=np.dtype(kind))
    if (
        rtol <= CONSTANT_RATIO_RTOL
        and 1e-10 * largest < gap <= 2e-6 * largest
        and (np.abs(a - n) > 1e-10 * np.abs(n)).mean() > 0.5
        and varied
    ):
        return sentence("precision", gap=gap / largest)
    return None


def _in_words(ratio: float, clues: Clues) -> tuple[str, Sentence]:
    """Returns words a constant ratio by what it may be; returns the key of its sentence, too."""
    for r in (ratio, -ratio):
        for value, key, details in _known_ratios(clues):
            if math.isclose(r, value, rel_tol=max(1e-7, clues.rtol)) and _follows_counts(ratio, details, clues):
                words = sentence(key, **details)
                return key, words if r == ratio else sentence("sign and", text=words[1])
    if math.isclose(-ratio, 1.0, rel_tol=max(1e-7, clues.rtol)):
        return "sign", sentence("sign")
    return "ratio", sentence("ratio", ratio=_shown_ratio(ratio))


def _follows_counts(ratio: float, details: Mapping[str, Any], clues: Clues) -> bool:
    """Whether a ratio is another where each of the counts that it is put down to is another; True of one put down to
    none, or that cannot be tried."""
    for letter in (details.get("a", ""), details.get("b", "")):
        if letter in clues.counts and clues.ratio_elsewhere is not None:
            elsewhere = clues.ratio_elsewhere(letter)
            if elsewhere is not None and math.isclose(elsewhere, ratio, rel_tol=SAME_RATIO_RTOL):
                return False
    return True


def _shown_ratio(ratio: float) -> str:
    """Returns a ratio with as many digits as tell it from 1."""
    near = 0 < abs(ratio - 1) < 1e-4
    return f"1 {'+' if ratio > 1 else '-'} {abs(ratio - 1):.2g}" if near else f"{ratio:.6g}"


def _known_ratios(clues: Clues) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """Yields the ratios that have a meaning: their value, the key of their sentence and its details."""
    yield 2.0, "factor-2", {}
    yield 0.5, "factor-1/2", {}
    counts = {k: v for k, v in clues.counts.items() if v > 1}
    for a, m in counts.items():
        details = {"a": a, "m": m, "counted": {"N": "rows", "K": "outputs"}.get(a, "values")}
        for value, key in (
            (m, "not-divided-{a}"), (1 / m, "divided-{a}"), (m**2, "not-divided-{a} squared"),
            (1 / m**2, "divided-{a} squared"), (m - 1, "not-divided-{a} less one"), (m / (m - 1), "unbiased more"),
            ((m - 1) / m, "unbiased less"),
        ):  # fmt: skip
            yield value, key, details
    for one, two in combinations(counts, 2):
        both = counts[one] * counts[two]
        yield both, "not-divided", {"a": one, "b": two, "both": both}
        yield 1 / both, "divided twice", {"a": one, "b": two}
        for a, b in ((one, two), (two, one)):
            yield counts[a] / counts[b], "divided ratio", {"a": a, "b": b, "m": counts[a], "k": counts[b]}
    for name, value in clues.scalars.items():
        for r, shown in ((value, name), (1 / value if value else 0, f"1/{name}"), (1 - value, f"1 - {name}"),
                         (1 / (1 - value) if value != 1 else 0, f"1/(1 - {name})")):  # fmt: skip
            if r not in (0, 1):
                yield r, "setting", {"shown": shown, "setting": name, "value": value}


def _wrong(a: Array, n: Array, rtol: float) -> Array:
    """Returns which entries are wrong: by the largest of them; where none is, each by itself; at last by as little as
    they are known."""
    most, gap, sizes = max(ENTRY_RTOL, rtol), np.abs(a - n), np.abs(n)
    wrong = (gap > bar for bar in (most * sizes.max(initial=0.0), most * sizes, rtol * sizes))
    return next((some for some in wrong if some.any()), np.zeros(a.shape, bool))


def _wrong_entries(a: Array, n: Array, rtol: float) -> Sentence | None:
    """Returns the finding of a transposed gradient, a single wrong entry or a sum over all entries."""
    if a.ndim >= 2 and a.shape[0] == a.shape[1] and a.shape[0] > 1 and same(a, np.swapaxes(n, 0, 1), rtol=rtol):
        return sentence("transposed")
    wrong = _wrong(a, n, rtol)
    if a.size > 2 and wrong.sum() == 1:
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        where, value = ",".join(map(str, index)), float(a[index])
        if value and n[index]:
            return sentence("one-entry ratio", where=where, ratio=_shown_ratio(value / n[index]))
        return sentence("one-entry" if value else "one-entry zero", where=where, value=value)
    if a.size > 1 and same(a, np.full(a.shape, n.sum()), rtol=rtol):
        return sentence("summed-all")
    return None


def _patterns(a: Array, n: Array, clues: Clues) -> Iterator[Sentence]:
    """Yields patterns when no hypothesis fits."""
    wrong, gap = _wrong(a, n, clues.rtol), a - n
    for name, w in clues.arrays.items():
        if np.shape(w) == a.shape and np.any(w):
            c = multiple(gap.ravel(), np.asarray(w).ravel(), GAP_FACTOR * clues.rtol)
            if c is not None:
                if name == GRADIENT_BEFORE and abs(c + 1) < 1e-7:
                    yield sentence("overwrites")
                yield sentence("proportional", ratio=c, array=name)
    yield from _factors(a, n, clues)
    if wrong.any() and not a[wrong].any():
        yield from zero_places(wrong)
    if clues.tied:
        yield sentence("ties")
    if wrong.any() and not (np.abs(n[wrong]) > clues.rtol * np.abs(n).max()).any():
        yield sentence("mask")
    both = (a != 0) & (n != 0)
    if both.any() and not wrong[both].any() and (a[wrong] != 0).any() and (n[wrong] != 0).any():
        yield sentence("mask other")
    yield from moved_entries(a, n, clues.rtol)
    yield from _place(a, n, clues, certain=True)
    if a.size > 1 and np.ptp(gap) <= CONSTANT_GAP_RTOL * abs(float(gap.mean())):
        yield sentence("constant-gap all", gap=float(gap.mean()))
    for axis in range(a.ndim if a.ndim > 1 else 0):
        if a.shape[axis] > 1:
            yield from _along(axis, a, n, clues)
    yield from _place(a, n, clues, certain=False)
    zeros = int((a[wrong] == 0).sum())
    if zeros > 0.5 * wrong.sum() and n[wrong].all():
        yield sentence("zeros some", wrong=int(wrong.sum()), zeros=zeros)
    if 0 < wrong.mean() < 0.5:
        first = ", ".join(str([int(i) for i in k]) for k in np.argwhere(wrong)[:4])
        yield sentence("some", wrong=int(wrong.sum()), entries=wrong.size, first=first)


def _place(a: Array, n: Array, clues: Clues, certain: bool) -> Iterator[Sentence]:
    """Yields a finding where some rows, columns or channels alone are wrong, and all that was looked at there; where it
    is to be `certain`, by one factor or 0."""
    seen = np.isfinite(n)
    wrong = np.zeros(a.shape, bool)
    wrong[seen] = _wrong(a[seen], n[seen], clues.rtol)
    rows = a.ndim > 1 and len(a) == clues.counts.get("N")
    where = block_in_words(wrong, seen, "row" if rows else "")
    if not where or wrong.sum() < 2:
        return
    ratio = multiple(a[wrong], n[wrong], max(clues.rtol, ENTRY_RTOL))
    how = "; it is 0 there" if not a[wrong].any() else f"; kernel / expected = {_shown_ratio(ratio)}" if ratio else ""
    if how or not certain:
        yield sentence("place", where=where, how=how)


def _factors(a: Array, n: Array, clues: Clues) -> Iterator[Sentence]:
    """Yields arrays that are a factor too many or missing, and slopes of a sigmoid or a tanh."""
    for name, array in clues.arrays.items():
        v = np.asarray(array, np.float64)
        fits = all(d in (1, m) for d, m in zip(v.shape[::-1], a.shape[::-1], strict=False))
        if v.ndim > a.ndim or not v.any() or not fits:
            continue
        for shown, w in ((name, v), (f"{name} (1 - {name})", v * (1 - v)), (f"1 - {name}^2", 1 - v * v)):
            if same(a, n * w, rtol=clues.rtol):
                yield sentence("factor-twice", shown=shown)
            if same(a * w, n, rtol=clues.rtol):
                yield sentence("factor-missing", shown=shown)


def _along(axis: int, a: Array, n: Array, clues: Clues) -> Iterator[Sentence]:
    """Yields findings whose ratio or difference is constant along one axis."""
    with np.errstate(all="ignore"):
        ratio = np.where(n != 0, a / np.where(n != 0, n, 1), np.nan)
    high = np.where(np.isnan(ratio), -np.inf, ratio).max(axis)
    low = np.where(np.isnan(ratio), np.inf, ratio).min(axis)
    seen = high >= low
    high, low = high[seen], low[seen]
    flat = (high - low <= clues.rtol * np.maximum(np.abs(high), np.abs(low))).all()
    if seen.any() and flat and (np.abs(high - 1) > max(1e-7, clues.rtol)).any():
        values = np.full(seen.shape, np.nan)
        values[seen] = high
        yield _broadcast(axis, values.ravel(), clues)
    gap = a - n
    level = gap - gap.mean(axis, keepdims=True)
    if np.abs(level).max() <= clues.rtol * np.abs(n).max() and gap.any():
        yield sentence("constant-gap", axis=axis)


def _broadcast(axis: int, values: Array, clues: Clues) -> Sentence:
    """Returns the finding of a ratio that varies along one axis only, by an array that it equals."""
    for name, array in clues.arrays.items():
        flat = np.asarray(array, np.float64).ravel()
        if flat.size != values.size or not flat.all():
            continue
        for key, factor in (("broadcast twice", flat), ("broadcast missing", 1 / flat)):
            if np.allclose(values, factor, rtol=1e-7):
                return sentence(key, array=name, axis=axis)
    shown = ", ".join(f"{v:.4g}" for v in values[:6]) + (", ..." if values.size > 6 else "")
    return sentence("broadcast", axis=axis, values=shown)
