"""What is wrong with a gradient: from the numbers alone, and from the equations that it should have followed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from bpcli.family.plan import Array
from bpcli.records.gradcheck import Finding
from bpcli.studies.mistakes.hypotheses import Guess, Suspect, same

FLAT = 1e-9  # how far a ratio that counts as constant may vary
BEFORE = "the gradient before"  # what stood there when a penalty was added
GAP = 10  # times less well than the numbers is their difference known
NEARLY = 0.01  # of a difference is what one slip may leave, to be told as its greater part
FARFETCHED = re.compile(r"[NK]\^2|[NK] - 1|[NK]/[NK(]")
MOST_TIES = 3  # mistakes that explain the numbers equally well, told together


@dataclass(eq=False)
class Clues:
    """What is known about the place of a wrong gradient.

    `counts` are numbers of rows and outputs, by the letter they are known by; `scalars` the part's settings; `arrays`
    what else has a name there; `suspect` the equations, where the part has them. `kernel` computes the gradient again,
    for another `by` (dy; of a loss its outputs x), which was `at`.
    """

    counts: Mapping[str, int]
    scalars: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    suspect: Suspect | None = None
    kernel: Callable[[Array], Array] | None = None
    by: str = "dy"
    at: Array | None = None
    misled: str = ""  # what of its forward pass is not that of the equations, where its backward pass is
    moved: Sequence[str] = ()  # weights that changed during the pass
    tied: bool = False  # wrong at ties only
    near: float = FLAT  # how well the expected numbers are known
    whole: bool = False  # of the whole network, whose layers alone are right


def blame(tensor: str, a: Array, n: Array, clues: Clues) -> Finding:
    """The likeliest mistake that turns the gradient `n` into `a`; entries of `n` that are NaN were not looked at."""
    a, n = np.asarray(a, np.float64), np.asarray(n, np.float64)
    if not np.isfinite(a).all():
        return Finding(tensor, "not-finite", "the kernel's gradient holds numbers that are not finite")
    if clues.misled:
        text = f"backward is that of the equations, and forward is not the same function: {clues.misled} is wrong"
        return Finding(tensor, "forward", text)
    if clues.moved:
        text = f"the pass backward moves {', '.join(clues.moved)}, and what comes after sees updated weights"
        return Finding(tensor, "updated-weights", text)
    seen = np.isfinite(n)
    if (unsteady := _unsteady(n, clues)) is not None:
        return Finding(tensor, *unsteady)
    ratio = _constant(a[seen], n[seen], clues.near)
    if not a.any():
        return Finding(tensor, "missing", "it is all 0: backward never writes it, or nothing arrives")
    if clues.near <= FLAT and (coarse := _coarse(a[seen], n[seen])) is not None:
        return Finding(tensor, *coarse)
    plain = _in_words(ratio, clues) if ratio is not None else None
    whole = bool(seen.all())
    placed = _places(a, n, clues.near) if whole else None
    if placed is not None and placed[0] != "one-entry":
        return Finding(tensor, *placed)
    guesses = _matching(a, n, clues.suspect) if whole and clues.suspect is not None else []
    if placed is not None and not (guesses and guesses[0].code == "edge"):
        return Finding(tensor, *placed)
    if plain is not None:  # a ratio of a count less one, or squared, is chance where the equations explain it
        guesses = [g for g in guesses if g.code != "cut"]
        plain = None if guesses and FARFETCHED.search(plain[1]) else plain
    if guesses:
        texts = list(dict.fromkeys(g.text for g in guesses))[:MOST_TIES]
        told = texts[0] + "".join(f"; or {t}" for t in texts[1:])
        return Finding(tensor, guesses[0].code if plain is None else plain[0], _joined(plain, told))
    if plain is not None:
        return Finding(tensor, *plain)
    if whole:
        for found in (*_mixed(n, clues), *_patterns(a, n, clues)):
            return Finding(tensor, *found)
    share = float((np.abs(a - n)[seen] > 1e-7 * np.abs(n[seen]).max(initial=0.0)).mean())
    text = f"{share:.0%} of the entries are wrong, and no single slip in the equations gives these numbers"
    if clues.whole:
        text = "each layer alone is right: what is wrong lies between them, in what one hands to the next"
    return Finding(tensor, "unknown", text)


def _joined(plain: tuple[str, str] | None, told: str) -> str:
    return told if plain is None else f"{plain[1]}: {told}"


def _matching(a: Array, n: Array, suspect: Suspect) -> list[Guess]:
    reach = float(np.abs(a).max(initial=0.0))
    found: list[Guess] = []
    nearest, least = None, NEARLY
    apart = float(np.abs(a - n).max(initial=0.0))
    for guess in suspect.guesses():
        if np.shape(guess.value) != a.shape or same(n, guess.value, reach):
            continue
        if same(a, guess.value, reach):
            found.append(guess)
            if len(found) == MOST_TIES:
                break
        left = float(np.abs(a - guess.value).max(initial=0.0)) / apart
        if left < least:
            nearest, least = guess, left
    if found:
        return found
    for name, gained in suspect.updated():
        rate = _multiple((a - n).ravel(), gained.ravel())
        if rate is not None:
            text = f"it is computed with a {name} that was updated already (by {-rate:.3g} times its gradient)"
            return [Guess("updated-weights", text, a)]
    cut = [Guess(code, text, a) for code, text in suspect.cut(a)]
    if nearest is not None and not cut:
        text = f"nearly: {nearest.text}; what is left of the difference is {least:.0e} of it, something else"
        return [Guess(nearest.code, text, a)]
    return cut


# --------------------------------------------------------------------------------------------- of another call or point
def _unsteady(n: Array, clues: Clues) -> tuple[str, str] | None:
    """Whether backward, called twice with the same, says the same."""
    if clues.kernel is None or clues.at is None:
        return None
    first, second = clues.kernel(clues.at), clues.kernel(clues.at)
    if np.array_equal(first, second, equal_nan=True):
        return None
    if same(second - first, n, near=clues.near):
        return "accumulates", "it is added to what stood there before (+=): a second call gives it twice"
    return "unsteady", "it is another when computed a second time: backward draws by chance, or changes what it reads"


def _mixed(n: Array, clues: Clues) -> Iterator[tuple[str, str]]:
    """Rows, or columns, that lean on each other in the kernel and not in the equations, or the other way round."""
    at, by = clues.at, clues.by
    if clues.kernel is None or at is None or clues.suspect is None or at.shape != n.shape:
        return
    told = []
    for axis, word in ((0, "row"), (at.ndim - 1, "column")):
        if axis == at.ndim - 1 == 0 or at.shape[axis] < 2:
            continue
        other = at.copy()
        np.moveaxis(other, axis, 0)[0] *= -0.7
        ours, theirs = (
            float(np.abs(np.moveaxis(f(other) - f(at), axis, 0)[1:]).max())
            for f in (clues.kernel, lambda value: clues.suspect.answer(by, value))
        )
        least = 1e-9 * float(np.abs(n).max())
        if ours > least >= theirs:
            told.append(f"{by} of one {word} moves what stands in the others, and must not")
        elif theirs > least >= ours:
            told.append(f"{by} of one {word} must move what stands in the others, and does not")
    if told:
        yield "axis", f"{'; '.join(told)}: a sum or a mean goes along the wrong axis, or over one too many or too few"


# ------------------------------------------------------------------------------------------------------- of the numbers
def _constant(a: Array, n: Array, flat: float = FLAT) -> float | None:
    """The ratio a / n where it is the same everywhere, other than 1; None where it varies."""
    ratio = _multiple(a, n, flat)
    return None if ratio is None or abs(ratio - 1) < max(1e-7, flat) else ratio


def _multiple(a: Array, n: Array, flat: float = FLAT) -> float | None:
    """The c of a = c n, other than 0; None where there is none."""
    largest = float(np.abs(n).max(initial=0.0))
    if not largest:
        return None
    ratio = float(np.vdot(a, n) / np.vdot(n, n))
    near = flat * max(abs(ratio), 1e-3) * largest
    return ratio if ratio and np.abs(a - ratio * n).max(initial=0.0) <= near else None


def _coarse(a: Array, n: Array) -> tuple[str, str] | None:
    """Numbers that are right but for their digits."""
    largest, gap = float(np.abs(n).max(initial=0.0)), float(np.abs(a - n).max(initial=0.0))
    if a.size > 1 and gap < 1 and (a == np.rint(a)).all() and (n != np.rint(n)).any():
        return "integers", "it holds whole numbers only: a buffer of integers"
    for kind, most in ((np.float32, 1e-5), (np.float16, 1e-1)):
        with np.errstate(over="ignore"):
            if a.size > 1 and gap <= most * largest and (a == a.astype(kind)).all() and (n != n.astype(kind)).any():
                return "precision", f"its numbers are rounded to {np.dtype(kind)}: a buffer or a cast is of that type"
    if 1e-10 * largest < gap <= 2e-6 * largest and (np.abs(a - n) > 1e-10 * np.abs(n)).mean() > 0.5:
        return "precision", f"it is right to {gap / largest:.0e} only: somewhere on the way numbers are float32"
    return None


def _in_words(ratio: float, clues: Clues) -> tuple[str, str]:
    """A constant ratio, by what it may be."""
    for r, sign in ((ratio, ""), (-ratio, "the sign is turned, and ")):
        for value, code, text in _named(clues):
            if math.isclose(r, value, rel_tol=max(1e-7, clues.near)):
                return ("sign" if sign else code), f"{sign}{text}"
        if sign and math.isclose(r, 1.0, rel_tol=max(1e-7, clues.near)):
            return "sign", "the sign is turned: kernel / expected = -1 everywhere"
    return "ratio", f"kernel / expected = {ratio:.6g} everywhere: a factor is missing or one too many"


def _named(clues: Clues) -> Iterator[tuple[float, str, str]]:
    yield 2.0, "factor-2", "kernel / expected = 2 everywhere: a factor 2 too many, or a 1/2 forgotten"
    yield 0.5, "factor-1/2", "kernel / expected = 1/2 everywhere: a factor 2 forgotten, or a 1/2 too many"
    counts = {k: v for k, v in clues.counts.items() if v > 1}
    words = {"N": "rows", "K": "outputs"}
    for letter, count in counts.items():
        what, times = words.get(letter, "values"), f"{letter} = {count}"
        yield count, f"not-divided-{letter}", f"kernel / expected = {letter} ({times}): it is not divided by the {what}"
        yield (
            1 / count,
            f"divided-{letter}",
            (f"kernel / expected = 1/{letter} ({times}): it is divided by the {what} once too often"),
        )
        yield count**2, f"not-divided-{letter}", f"kernel / expected = {letter}^2 ({times})"
        yield 1 / count**2, f"divided-{letter}", f"kernel / expected = 1/{letter}^2 ({times})"
        yield count - 1, f"not-divided-{letter}", f"kernel / expected = {letter} - 1 ({times})"
        yield count / (count - 1), "unbiased", f"kernel / expected = {letter}/({letter} - 1) ({times})"
        yield (count - 1) / count, "unbiased", f"kernel / expected = ({letter} - 1)/{letter} ({times})"
    for one, two in combinations(counts, 2):
        both = counts[one] * counts[two]
        yield (
            both,
            "not-divided",
            f"kernel / expected = {one} {two} = {both}: it is not divided by the number of values",
        )
        yield 1 / both, "divided", f"kernel / expected = 1/({one} {two}): it is divided by the number of values twice"
        for a, b in ((one, two), (two, one)):
            yield counts[a] / counts[b], "divided", f"kernel / expected = {a}/{b} ({counts[a]}/{counts[b]})"
    for name, value in clues.scalars.items():
        for r, shown in ((value, name), (1 / value if value else 0, f"1/{name}"), (1 - value, f"1 - {name}"),
                         (1 / (1 - value) if value != 1 else 0, f"1/(1 - {name})")):  # fmt: skip
            if r not in (0, 1):
                yield r, "setting", f"kernel / expected = {shown} ({name} = {value:g}) everywhere"


def _places(a: Array, n: Array, near: float) -> tuple[str, str] | None:
    """Mistakes that show in where the numbers stand."""
    if a.ndim >= 2 and a.shape[0] == a.shape[1] and a.shape[0] > 1 and same(a, np.swapaxes(n, 0, 1), near=near):
        return "transposed", "it is transposed: what belongs to [i,j] stands at [j,i]"
    wrong = np.abs(a - n) > max(1e-7, near) * np.abs(n).max(initial=0.0)
    if a.size > 2 and wrong.sum() == 1:
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = ",".join(map(str, index))
        value = float(a[index])
        how = "it is 0" if value == 0 else f"kernel / expected = {value / n[index]:.6g}" if n[index] else f"{value:.6g}"
        return "one-entry", f"only the entry [{where}] is wrong: {how}, all others are right"
    if a.size > 1 and same(a, np.full(a.shape, n.sum()), near=near):
        return "summed-all", "every entry is the sum over all of them: it is summed over one axis too many"
    return None


def _patterns(a: Array, n: Array, clues: Clues) -> Iterator[tuple[str, str]]:
    """What is left to say where no equation explains the numbers."""
    wrong = np.abs(a - n) > max(1e-7, clues.near) * np.abs(n).max(initial=0.0)
    gap = a - n
    for name, w in clues.arrays.items():
        if np.shape(w) == a.shape and np.any(w):
            c = _multiple(gap.ravel(), np.asarray(w).ravel(), GAP * clues.near)
            if c is not None:
                if name == BEFORE and abs(c + 1) < 1e-7:
                    yield "overwrites", "what stood in the gradient before is overwritten, and must be added to (+=)"
                yield "proportional", f"kernel - expected = {c:.6g} times {name}: is a penalty on it added or left out?"
    yield from _factors(a, n, clues)
    if wrong.any() and not a[wrong].any():
        yield from _zeros(wrong)
    if clues.tied:
        yield "ties", "it is wrong where inputs are equal only: several largest ones win, or the other branch is taken"
    if not (np.abs(n[wrong]) > clues.near * np.abs(n).max()).any():
        yield "mask", "it is not 0 where it must be: a mask or a gate is missing"
    both = (a != 0) & (n != 0)
    if both.any() and not wrong[both].any() and (a[wrong] != 0).any() and (n[wrong] != 0).any():
        yield "mask", "it is 0 in other places than it must be, and right elsewhere: another mask than that of forward"
    with np.errstate(all="ignore"):
        ratio = np.where(n != 0, a / np.where(n != 0, n, 1), np.nan)
    for axis in range(a.ndim if a.ndim > 1 else 0):
        if a.shape[axis] < 2:
            continue
        high = np.where(np.isnan(ratio), -np.inf, ratio).max(axis)
        low = np.where(np.isnan(ratio), np.inf, ratio).min(axis)
        seen = high >= low
        high, low = high[seen], low[seen]
        flat = (high - low <= clues.near * np.maximum(np.abs(high), np.abs(low))).all()
        if seen.any() and flat and (np.abs(high - 1) > max(1e-7, clues.near)).any():
            values = np.full(seen.shape, np.nan)
            values[seen] = high
            yield "broadcast", _broadcast(axis, values, clues)
        level = gap - gap.mean(axis, keepdims=True)
        if np.abs(level).max() <= clues.near * np.abs(n).max() and gap.any():
            yield "constant-gap", f"kernel - expected is the same all along axis {axis}: a term summed over it is wrong"
    yield from _moved(a, n, clues.near)
    zeros = int((a[wrong] == 0).sum())
    if zeros > 0.5 * wrong.sum() and n[wrong].all():
        told = f"of {int(wrong.sum())} wrong entries {zeros} are 0"
        text = f"{told}: not everything is written, as by a loop that ends early"
        yield "zeros", text
    if wrong.mean() < 0.5:
        first = ", ".join(str([int(i) for i in k]) for k in np.argwhere(wrong)[:4])
        yield "some", f"{int(wrong.sum())} of {wrong.size} entries are wrong, the others right: {first} ..."


def _factors(a: Array, n: Array, clues: Clues) -> Iterator[tuple[str, str]]:
    """An array that is one time too many in a product, or missing; or the slope of a sigmoid or a tanh."""
    for name, array in clues.arrays.items():
        v = np.asarray(array, np.float64)
        fits = all(d in (1, m) for d, m in zip(v.shape[::-1], a.shape[::-1], strict=False))
        if v.ndim > a.ndim or not v.any() or not fits:
            continue
        for shown, w in ((name, v), (f"{name} (1 - {name})", v * (1 - v)), (f"1 - {name}^2", 1 - v * v)):
            if same(a, n * w, near=clues.near):
                yield "factor-twice", f"kernel = expected times {shown}: that factor is one too many"
            if same(a * w, n, near=clues.near):
                yield "factor-missing", f"expected = kernel times {shown}: that factor is missing"


def _broadcast(axis: int, values: Array, clues: Clues) -> str:
    """A ratio that varies along one axis only, by an array that it equals."""
    for name, array in clues.arrays.items():
        flat = np.asarray(array, np.float64).ravel()
        if flat.size != values.size or not flat.all():
            continue
        if np.allclose(values.ravel(), flat, rtol=1e-7):
            return f"kernel / expected = {name}, the same all along axis {axis}: {name} is one time too many"
        if np.allclose(values.ravel(), 1 / flat, rtol=1e-7):
            return f"expected / kernel = {name}, the same all along axis {axis}: the factor {name} is missing"
    shown = ", ".join(f"{v:.4g}" for v in values.ravel()[:6]) + (", ..." if values.size > 6 else "")
    return f"kernel / expected is the same all along axis {axis}: ({shown}); a factor of that shape is missing"


def _zeros(wrong: Array) -> Iterator[tuple[str, str]]:
    for axis in range(wrong.ndim):
        others = tuple(k for k in range(wrong.ndim) if k != axis)
        hit, full = np.atleast_1d(wrong.any(others)), np.atleast_1d(wrong.all(others))
        if hit.sum() == 1 and full[hit.argmax()]:
            at = int(hit.argmax())
            last = ", the last: a slice ends one too early" if at == len(hit) - 1 else ""
            yield "zero-slice", f"it is 0 wherever index {axis} is {at}{last}"
    yield "zeros", "where it is wrong it is 0: not everything is written"


def _moved(a: Array, n: Array, near: float) -> Iterator[tuple[str, str]]:
    """The right numbers in another place."""
    if a.size < 2:
        return
    for k in range(1, a.ndim + 1):
        for axes in combinations(range(a.ndim), k):
            if same(a, np.flip(n, axes), near=near):
                yield "flipped", f"the right numbers, back to front along axes {', '.join(map(str, axes))}"
    for axes in [(i,) for i in range(a.ndim)] + list(combinations(range(a.ndim), 2)):
        for step in (1, -1):
            if any(a.shape[k] < 2 for k in axes):
                continue
            ours = a[_cut(a.ndim, axes, step)]
            if ours.any() and same(ours, n[_cut(a.ndim, axes, -step)], near=near):
                yield "shifted", f"the right numbers, moved by one place along axes {', '.join(map(str, axes))}"


def _cut(ndim: int, axes: tuple[int, ...], step: int) -> tuple[Any, ...]:
    part = slice(1, None) if step > 0 else slice(None, -1)
    return tuple(part if k in axes else slice(None) for k in range(ndim))
