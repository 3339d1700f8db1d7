"""The search for mistakes: what one in the equations of a part would make of an array, to be held against a wrong one.

`bpcli gradcheck` asks it about gradients of kernels, `bpcli mark` about the numbers of a derivation made by hand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import numpy as np

from bpcli.family.plan import Array
from bpcli.notation import NotationError, Program
from bpcli.notation.evaluate import Grid
from bpcli.notation.syntax import Expr, Reduce, reads
from bpcli.notation.text import Ascii
from bpcli.studies.mistakes.single_mistakes import (
    Mistake,
    first_bound_index,
    larger_mistakes,
    reading_other,
    single_mistakes,
)

SAME_RTOL = 1e-9  # share of the largest entry that two arrays that are the same may be apart
CUT_RTOL = 1e-7  # share of the largest entry that a bound and the numbers cut off there may be apart
MAX_SUM_CELLS = 1 << 21  # cells of a sum written out, at most


@dataclass(frozen=True)
class Hypothesis:
    """A mistake in words, with a short stable code, and what it would have made of the array in question."""

    code: str
    text: str
    value: Array


Sentence = tuple[str, str]
"""The code and the sentence of a mistake."""


@dataclass(eq=False)
class Hypotheses(ABC):
    """What one mistake in the equations of a part would make of one of its arrays, the `target`.

    `known` is what the equations read and compute.
    """

    program: Program
    known: Mapping[str, Any]
    target: str
    words: Callable[..., Sentence]  # what is said of a mistake, from its kind, the pieces that it concerns and details
    max_entries_by_term: ClassVar[int]  # in larger arrays sums are not tried term by term
    terms_last: ClassVar[bool]  # whether mistakes in one term of a sum are tried after those in a whole equation
    in_term: ClassVar[str]  # says where in a sum a mistake is, from an index and its value

    @abstractmethod
    def all(self) -> Iterator[Hypothesis]:
        """Yields what each mistake would give."""

    @property
    @abstractmethod
    def searched(self) -> Sequence[Grid]:
        """The equations that the target comes from, in which mistakes are looked for; the last ones first."""

    def drawn(self, piece: Expr) -> str:
        """Returns an expression as a line of ASCII."""
        return (
            Ascii(frozenset({*(n for n, v in self.known.items() if np.ndim(v)), *self.program.names})).draw(piece).text
        )

    def describe(self, grid: Grid, mistake: Mistake) -> Sentence | None:
        """Returns what is said of a mistake in an equation; None where nobody makes it."""
        shown, index = [self.drawn(piece) for piece in mistake.pieces], first_bound_index(grid.equation.right)
        at = "" if mistake.term is None else self.in_term.format(index, mistake.term)
        return self.words(
            mistake.kind, *shown, all=" + ".join(shown), name=grid.name, index=index, term=mistake.term, at=at,
            letters=mistake.letters,
        )  # fmt: skip

    @property
    def is_elementwise(self) -> bool:
        """Whether y has the shape of x, as where an entry of it depends on the same entry of x alone."""
        return {"x", "y", "dy"} <= self.known.keys() and np.shape(self.known["x"]) == np.shape(self.known["y"])

    def slopes(self) -> Iterator[Hypothesis]:
        """Yields dx with the slope of an elementwise function forgotten, or taken at the wrong place."""
        x, y = self.known["x"], self.known["y"]
        yield Hypothesis(*self.words("no-slope"), np.asarray(self.known["dy"]))
        yield Hypothesis(*self.words("slope-at-y"), self.program.run({**self.known, "x": y}, ["dx"])["dx"])
        if any("y" in reads(grid.equation) for grid in self.searched):
            yield from self.computed(self.words("slope-at-x"), {"y": x})

    def single(self, grid: Grid) -> Iterator[Hypothesis]:
        """Yields one mistake in one place of an equation."""
        found = single_mistakes(grid, self.known, self.max_entries_by_term)
        for mistake in sorted(found, key=lambda m: self.terms_last and m.term is not None):
            yield from self.mistaken(grid, mistake)

    def mistaken(self, grid: Grid, mistake: Mistake) -> Iterator[Hypothesis]:
        """Yields a mistake in an equation, where it is one that is made."""
        words = self.describe(grid, mistake)
        if words is not None:
            yield from self.computed(words, {}, mistake.put_in(grid))

    def run(self, changed: Mapping[str, Any], instead: Grid | None = None) -> Array:
        """Returns the target with other arrays, or with one equation in place of that of the same name."""
        known = {**self.known, **changed}
        dirty = set(changed)
        for grid in reversed(self.searched):
            own = instead if instead is not None and instead.name == grid.name else grid
            if grid.name not in changed and (own is instead or reads(grid.equation) & dirty):
                known[grid.name] = own.value(known)
                dirty.add(grid.name)
        return np.asarray(known[self.target])

    def computed(
        self, words: Sentence, changed: Mapping[str, Any], instead: Grid | None = None
    ) -> Iterator[Hypothesis]:
        """Yields what `run` gives, where anybody can have computed it."""
        try:
            value = self.run(changed, instead)
        except (NotationError, ValueError, IndexError, KeyError):
            return
        yield Hypothesis(*words, value)


@dataclass(eq=False)
class GradientHypotheses(Hypotheses):
    """Mistakes that make a gradient of a part wrong.

    `forward` names the left side that the forward pass ends with; `params` are learned, with d<param> on left sides.
    """

    params: Sequence[str]
    forward: str
    long_forms: GradientHypotheses | None = None  # the same by the long forms of the equations, where they have some
    max_entries_by_term = 20_000
    terms_last = True
    in_term = " where {0} = {1}"

    def all(self) -> Iterator[Hypothesis]:
        """Yields what each mistake would give, the likeliest first."""
        with np.errstate(all="ignore"):
            if self.target == "dx" and not self.params and self.is_elementwise:
                yield from self.slopes()
                yield from self.computed(self.words("from-gradient"), {"x": self.known["dy"]})
            for grid in self.searched:
                yield from self.single(grid)
            for grid in self.searched:
                yield from self._other_arrays(grid)
                for mistake in larger_mistakes(grid):
                    yield from self.mistaken(grid, mistake)
                yield from self._sums(grid)
            yield from self._settings()
            yield from self._summed_down()
            if self.long_forms is not None:
                for grid in self.long_forms.searched:
                    yield from self.long_forms.single(grid)

    def by_updated_weights(self) -> Iterator[tuple[str, Array]]:
        """Yields, for each parameter, what the gradient gains where that parameter has moved by its own gradient:
        weights that were updated too early differ by a multiple of it."""
        for name in self.params:
            if f"d{name}" in self.known and any(name in reads(g.equation) for g in self.searched):
                yield name, self.run({name: self.known[f"d{name}"]})

    def gradient_for(self, name: str, value: Array) -> Array:
        """Returns the gradient as it should be, for another array `name`."""
        return self.program.run({**self.known, name: value}, [self.target])[self.target]

    def cut_off(self, kernel: Array) -> Iterator[Hypothesis]:
        """Yields where the gradient `kernel` would be that of the equations, but for one array cut off at a bound."""
        n = np.asarray(self.known[self.target])
        for name in sorted({n for g in self.searched[:1] for n in reads(g.equation)}):
            v = np.asarray(self.known.get(name))
            if v.shape != n.shape or v.dtype.kind != "f":
                continue
            with np.errstate(all="ignore"):
                slope, twice = self.run({name: v + 1}) - n, self.run({name: v + 2}) - n
                would = np.where(kernel == n, v, v + (kernel - n) / slope)
            if not same(twice, 2 * slope) or not np.isfinite(would).all():
                continue
            for side, bound in (("below", would.min()), ("above", would.max())):
                limited = np.maximum(v, bound) if side == "below" else np.minimum(v, bound)
                close = CUT_RTOL * np.abs(limited).max()
                cuts_some = np.ptp(limited) > close and not same(v, limited)
                if cuts_some and bool((np.abs(would - limited) <= close).all()):
                    yield Hypothesis(*self.words("cut", array=name, side=side, bound=bound), kernel)

    @cached_property
    def searched(self) -> list[Grid]:
        """The equations that the gradient comes from, those of the forward pass left out; the last ones first."""
        ahead = self.program.needed([self.forward]) if self.forward in self.program.names else set()
        backward = self.program.needed([self.target]) - ahead
        return [g for g in reversed(self.program.grids) if g.name in backward]

    def _other_arrays(self, grid: Grid) -> Iterator[Hypothesis]:
        """Yields what another array of the same shape gives in place of one, or a parameter turned over."""
        arrays = {n: np.asarray(v) for n, v in self.known.items() if np.ndim(v)}
        named = sorted(reads(grid.equation) & arrays.keys())
        for name in named:
            for other, value in arrays.items():
                if other not in (name, grid.name) and value.shape == arrays[name].shape and value.any():
                    words = self.words("other-array", other=other, array=name, name=grid.name)
                    right = reading_other(grid.equation.right, name, other)
                    yield from self.computed(words, {}, Mistake("other-array", right, ()).put_in(grid))
        for name in named:
            a = arrays[name]
            if name not in self.params or a.ndim < 2:
                continue
            if a.shape[0] == a.shape[1]:
                yield from self.computed(self.words("transposed parameter", array=name), {name: np.swapaxes(a, 0, 1)})
            for axes in axis_choices(a.ndim):
                words = self.words("flipped parameter", array=name, axes=listed(axes))
                yield from self.computed(words, {name: np.flip(a, axes)})

    def _sums(self, grid: Grid) -> Iterator[Hypothesis]:
        """Yields the terms of sums, one kept in place of all: overwritten and not added, or left after the first."""
        node = grid.equation.right
        if not isinstance(node, Reduce) or node.fn != "sum" or grid.name != self.target:
            return
        letters = node.letters
        if np.prod([float(grid.size[k]) for k in (*grid.free, *letters)]) > MAX_SUM_CELLS:
            return
        try:
            body = grid.over(self.known, node.body, {}, [*grid.free, *letters])
        except (NotationError, ValueError):
            return
        free = len(grid.free)
        for chosen in axis_choices(len(letters)):
            rest = tuple(free + i for i in range(len(letters)) if i not in chosen)
            terms = body.sum(axis=rest, keepdims=False) if rest else body
            terms = terms.reshape(*terms.shape[:free], -1)
            names = ", ".join(letters[i] for i in chosen)
            yield Hypothesis(*self.words("overwritten", indices=names), _last(terms))
            yield Hypothesis(*self.words("overwritten", indices=names), _last(terms[..., ::-1]))
            yield Hypothesis(*self.words("first-only", indices=names), terms[..., 0])

    def _summed_down(self) -> Iterator[Hypothesis]:
        """Yields other arrays of the pass, summed down to the shape of this one."""
        shape = np.shape(self.known[self.target])
        for name, value in self.known.items():
            v = np.asarray(value)
            if name == self.target or not len(shape) < v.ndim or v.dtype.kind != "f":
                continue
            for axes in combinations(range(v.ndim), v.ndim - len(shape)):
                if tuple(d for i, d in enumerate(v.shape) if i not in axes) == shape:
                    yield Hypothesis(*self.words("other-sum", array=name, axes=listed(axes)), v.sum(axes))

    def _settings(self) -> Iterator[Hypothesis]:
        """Yields what a setting gives that backward takes for 0 or 1."""
        for name, value in self.known.items():
            if np.ndim(value) or name in self.program.names or not isinstance(value, int | float | np.number):
                continue
            for other in (0, 1):
                if value != other:
                    words = self.words("setting taken", setting=name, value=float(value), other=other)
                    yield from self.computed(words, {name: other})


def same(a: Array, b: Array, reach: float = 0.0, rtol: float = SAME_RTOL) -> bool:
    """Whether two arrays are the same within `rtol` of the largest entry of `b`, or of a millionth of `reach`."""
    if np.shape(a) != np.shape(b) or not np.isfinite(b).all():
        return False
    largest = float(np.abs(b).max(initial=0.0))
    return bool((np.abs(a - b) <= rtol * max(largest, 1e-6 * reach)).all())


def axis_choices(count: int) -> Iterator[tuple[int, ...]]:
    """Yields every choice of at least one of so many axes, the smaller ones first."""
    for k in range(1, count + 1):
        yield from combinations(range(count), k)


def listed(axes: Sequence[int]) -> str:
    return ", ".join(map(str, axes))


def _last(terms: Array) -> Array:
    """Returns the last term that is not 0, along the last axis."""
    index = terms.shape[-1] - 1 - np.argmax((terms != 0)[..., ::-1], axis=-1)
    return np.asarray(np.take_along_axis(terms, index[..., None], -1)[..., 0])
