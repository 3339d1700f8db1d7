"""A wrong gradient held against the equations: which single slip in them gives what the kernel computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from bpcli.family.plan import Array
from bpcli.notation import NotationError, Program
from bpcli.notation.evaluate import Grid
from bpcli.notation.syntax import Binary, Bind, Equation, Expr, Number, Reduce, reads, walk
from bpcli.notation.text import Ascii
from bpcli.studies.mistakes.rewrites import renamed, rewrites
from bpcli.studies.mistakes.single_mistakes import Slip, slips

SAME = 1e-9  # of the largest entry: two arrays that are the same number for number
SMALL = 20_000  # entries: in larger arrays sums are not tried term by term
CELLS = 1 << 21  # of a sum written out


@dataclass(frozen=True)
class Guess:
    """A mistake, in words, and what it would have made of the gradient."""

    code: str
    text: str
    value: Array


@dataclass(eq=False)
class Suspect:
    """The equations of one part at one point: what they read and compute (`known`), and the gradient in question.

    `forward` names the left sides of the forward pass; `params` are learned, with d<param> on left sides.
    """

    program: Program
    known: Mapping[str, Any]
    target: str
    params: Sequence[str]
    forward: str
    longer: Suspect | None = None  # the same by the long forms of the equations, where they have some

    def guesses(self) -> Iterator[Guess]:
        """What each slip would give, the likeliest first."""
        with np.errstate(all="ignore"):
            yield from self._elsewhere()
            for grid in self._chain():
                yield from self._slipped(grid)
            for grid in self._chain():
                yield from self._other_arrays(grid)
                for way in rewrites(grid, self._drawn):
                    yield from self._try(way.code, way.text, {}, self._with(grid, way.right, way.size))
                yield from self._sums(grid)
            yield from self._settings()
            yield from self._gathered()
            if self.longer is not None:
                for grid in self.longer._chain():
                    yield from self.longer._slipped(grid)

    def updated(self) -> Iterator[tuple[str, Array]]:
        """For each parameter, what the gradient gains where that parameter has moved by its own gradient: weights that
        were updated too early differ by a multiple of it."""
        for name in self.params:
            if f"d{name}" in self.known and any(name in reads(g.equation) for g in self._chain()):
                yield name, self._run({name: self.known[f"d{name}"]})

    def answer(self, name: str, value: Array) -> Array:
        """The gradient as it should be, for another array `name`."""
        given = {n: v for n, v in self.known.items() if n not in self.program.names}
        return self.program.run({**given, name: value}, [self.target])[self.target]

    def cut(self, a: Array) -> Iterator[tuple[str, str]]:
        """Where the gradient `a` would be that of the equations, but for one array cut off at a bound."""
        n = np.asarray(self.known[self.target])
        for name in sorted({n for g in self._chain()[:1] for n in reads(g.equation)}):
            v = np.asarray(self.known.get(name))
            if v.shape != n.shape or v.dtype.kind != "f":
                continue
            with np.errstate(all="ignore"):
                slope, twice = self._run({name: v + 1}) - n, self._run({name: v + 2}) - n
                would = np.where(a == n, v, v + (a - n) / slope)
            if not same(twice, 2 * slope) or not np.isfinite(would).all():
                continue
            for side, bound in (("below", would.min()), ("above", would.max())):
                limited = np.maximum(v, bound) if side == "below" else np.minimum(v, bound)
                close = 1e-7 * np.abs(limited).max()
                cuts_some = np.ptp(limited) > close and not same(v, limited)
                if cuts_some and bool((np.abs(would - limited) <= close).all()):
                    yield "cut", f"{name} is cut off {side} at {bound:.6g} in backward, and is not in forward"

    # ---------------------------------------------------------------------------------------------------- machinery
    def _chain(self) -> list[Grid]:
        """The equations that the gradient comes from, those of the forward pass left out; the last ones first."""
        needed = self.program.needed([self.target])
        ahead = self.program.needed([self.forward]) if self.forward in self.program.names else set()
        return [g for g in reversed(self.program.grids) if g.name in needed - ahead]

    def _run(self, changed: Mapping[str, Any], instead: Grid | None = None) -> Array:
        """The gradient with other arrays, or with one equation in place of that of the same name."""
        known = {**self.known, **changed}
        dirty = set(changed)
        needed = self.program.needed([self.target])
        ahead = self.program.needed([self.forward]) if self.forward in self.program.names else set()
        for grid in self.program.grids:
            if grid.name in changed or grid.name not in needed - ahead:
                continue
            own = instead if instead is not None and instead.name == grid.name else grid
            if own is instead or reads(grid.equation) & dirty:
                known[grid.name] = own.value(known)
                dirty.add(grid.name)
        return np.asarray(known[self.target])

    def _try(self, code: str, text: str, changed: Mapping[str, Any], instead: Grid | None = None) -> Iterator[Guess]:
        try:
            value = self._run(changed, instead)
        except (NotationError, ValueError, IndexError, KeyError):  # nobody could have computed that
            return
        yield Guess(code, text, value)

    def _with(self, grid: Grid, right: Expr, size: Mapping[str, int] | None = None) -> Grid:
        return Grid(Equation(grid.name, grid.equation.free, right, grid.equation.source), size or grid.size)

    def _drawn(self, piece: Expr) -> str:
        arrays = {n for n, v in self.known.items() if np.ndim(v)}
        return Ascii(frozenset(arrays | set(self.program.names))).draw(piece).text

    # ------------------------------------------------------------------------------------------------------- mistakes
    def _elsewhere(self) -> Iterator[Guess]:
        """The slope of an elementwise function forgotten, or taken at the wrong place."""
        x, y, dy = (self.known.get(name) for name in ("x", "y", "dy"))
        if self.target != "dx" or self.params or x is None or y is None or dy is None or np.shape(x) != np.shape(y):
            return
        yield Guess("no-slope", "the error is passed on as it arrives: the slope is forgotten", np.asarray(dy))
        text = "the slope is taken at the output y; it belongs at the input x"
        yield from self._try("slope-at-y", text, {"x": y, **self._forward_at(y)})
        yield from self._try("slope-at-x", "the slope is written by the output y, and the input x is put in", {"y": x})
        yield from self._try("from-gradient", "the slope is taken where the error dy is, not at the input x", {"x": dy})

    def _forward_at(self, x: Any) -> dict[str, Array]:
        """The forward pass at another input."""
        given = {n: v for n, v in self.known.items() if n not in self.program.names}
        return self.program.run({**given, "x": x}, [self.forward])

    def _slipped(self, grid: Grid) -> Iterator[Guess]:
        shapes = {name: np.shape(v) for name, v in self.known.items() if np.ndim(v)}
        large = np.size(self.known.get(grid.name, 0)) > SMALL
        size = dict.fromkeys(grid.size, SMALL) if large else grid.size
        found = list(slips(grid.equation.right, size, shapes))
        for slip in sorted(found, key=lambda s: s.term is not None):
            code, text = self._words(grid, slip)
            yield from self._try(code, text, {}, self._with(grid, slip.expression))

    def _words(self, grid: Grid, slip: Slip) -> tuple[str, str]:
        shown, of = self._drawn(slip.piece), f"in {grid.name}"
        letter = next((b.letter for n in walk(grid.equation.right) if isinstance(n, Reduce) for b in n.over
                       if isinstance(b, Bind)), "")  # fmt: skip
        at = "" if slip.term is None else f" where {letter} = {slip.term}"
        match slip.kind:
            case "factor":
                return "factor", f"the factor {shown} is left out{at} {of}"
            case "divisor":
                return "divisor", f"the division by {shown} is left out {of}"
            case "times":
                return "inverted", f"it is multiplied by {shown} and not divided {of}"
            case "term" if slip.term is not None:
                return "dropped-term", f"the term {letter} = {slip.term} of the sum is left out {of}"
            case "term" if isinstance(slip.piece, Number) and (whole := _sum_with(grid.equation.right, slip.piece)):
                return "term", f"{self._drawn(whole.left)} is taken where {self._drawn(whole)} is meant, {of}"
            case "term":
                return "term", f"the term {shown} is left out {of}"
            case "twice":
                return "twice", f"the term {shown} is counted twice {of}"
            case "plus" | "minus" | "minus-dropped":
                return "sign", f"a sign is mistaken in {shown}, {of}"
            case "power":
                return "power", f"the power is left out of {shown} {of}"
            case "function":
                return "function", f"{shown} lacks its function {of}"
            case "summed":
                return "divisor", f"{shown} is a sum where a mean is meant, {of}"
            case "averaged":
                return "averaged", f"a mean is taken where a sum is meant, {of}"
            case "diagonal":
                return "diagonal", "of the slopes only those of each output by its own input are counted"
            case "edge":
                return "edge", f"where both sides are equal the other branch is taken: {shown}"
            case "unbiased":
                return "unbiased", f"it is divided by {shown} - 1 and not by {shown}, {of}"
        return "transposed", f"{shown} is read transposed {of}"

    def _other_arrays(self, grid: Grid) -> Iterator[Guess]:
        """Another array of the same shape is read, or a parameter turned over."""
        arrays = {n: np.asarray(v) for n, v in self.known.items() if np.ndim(v)}
        named = sorted(reads(grid.equation) & arrays.keys())
        for name in named:
            for other, value in arrays.items():
                if other not in (name, grid.name) and value.shape == arrays[name].shape and value.any():
                    text = f"{other} is read where {name} is meant, in {grid.name}"
                    yield from self._try("other-array", text, {}, self._with(grid, renamed(grid, name, other)))
        for name in named:
            a = arrays[name]
            if name not in self.params or a.ndim < 2:
                continue
            if a.shape[0] == a.shape[1]:
                yield from self._try("transposed", f"{name} is read transposed", {name: np.swapaxes(a, 0, 1)})
            for k in range(1, a.ndim + 1):
                for axes in combinations(range(a.ndim), k):
                    text = f"{name} is read back to front along its axes {', '.join(map(str, axes))}"
                    yield from self._try("flipped", text, {name: np.flip(a, axes)})

    def _sums(self, grid: Grid) -> Iterator[Guess]:
        """One term of a sum kept in place of all: overwritten and not added, or left after the first."""
        node = grid.equation.right
        if not isinstance(node, Reduce) or node.fn != "sum" or grid.name != self.target:
            return
        letters = [b.letter for b in node.over if isinstance(b, Bind)]
        if np.prod([float(grid.size[k]) for k in (*grid.free, *letters)]) > CELLS:
            return
        try:
            body = grid.over(self.known, node.body, {}, [*grid.free, *letters])
        except (NotationError, ValueError):
            return
        free = len(grid.free)
        for k in range(1, len(letters) + 1):
            for chosen in combinations(range(len(letters)), k):
                rest = tuple(free + i for i in range(len(letters)) if i not in chosen)
                terms = body.sum(axis=rest, keepdims=False) if rest else body
                terms = terms.reshape(*terms.shape[:free], -1)
                names = ", ".join(letters[i] for i in chosen)
                text = f"the terms over {names} overwrite each other: one is kept, and they are to be added (+=)"
                yield Guess("overwritten", text, _last(terms))
                yield Guess("overwritten", text, _last(terms[..., ::-1]))
                yield Guess("first-only", f"only the first term over {names} is counted", terms[..., 0])

    def _gathered(self) -> Iterator[Guess]:
        """Another array of the pass, summed down to the shape of this one."""
        shape = np.shape(self.known[self.target])
        for name, value in self.known.items():
            v = np.asarray(value)
            if name == self.target or not len(shape) < v.ndim or v.dtype.kind != "f":
                continue
            for axes in combinations(range(v.ndim), v.ndim - len(shape)):
                if tuple(d for i, d in enumerate(v.shape) if i not in axes) == shape:
                    yield Guess("other-sum", f"it is {name} summed over axis {', '.join(map(str, axes))}", v.sum(axes))

    def _settings(self) -> Iterator[Guess]:
        """A setting that backward takes for 0 or 1."""
        for name, value in self.known.items():
            if np.ndim(value) or name in self.program.names or not isinstance(value, int | float | np.number):
                continue
            for other in (0, 1):
                if value != other:
                    yield from self._try("setting", f"{name} = {float(value):g} is taken for {other}", {name: other})


def _sum_with(node: Expr, number: Number) -> Binary | None:
    """The sum or difference whose second term is a number."""
    found = (n for n in walk(node) if isinstance(n, Binary) and n.op in "+-" and n.right is number)
    return next(found, None)


def same(a: Array, b: Array, reach: float = 0.0, near: float = SAME) -> bool:
    """Whether two arrays are the same numbers, to rounding or as `near` as they are known."""
    if np.shape(a) != np.shape(b) or not np.isfinite(b).all():
        return False
    largest = float(np.abs(b).max(initial=0.0))
    return bool((np.abs(a - b) <= near * max(largest, 1e-6 * reach)).all())


def _last(terms: Array) -> Array:
    """The last term that is not 0, along the last axis."""
    index = terms.shape[-1] - 1 - np.argmax((terms != 0)[..., ::-1], axis=-1)
    found: Array = np.take_along_axis(terms, index[..., None], -1)[..., 0]
    return found
