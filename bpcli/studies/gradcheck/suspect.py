"""A wrong gradient held against the equations: which single slip in them gives what the kernel computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from bpcli.numeric.notation import NotationError, Program
from bpcli.numeric.notation.evaluate import Grid
from bpcli.numeric.notation.slips import Slip, slips
from bpcli.numeric.notation.syntax import (
    Binary,
    Bind,
    Call,
    Compare,
    Equation,
    Expr,
    Name,
    Negate,
    Read,
    Reduce,
    reads,
    walk,
)
from bpcli.numeric.notation.text import Ascii
from bpcli.plan import Array

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
    part: str = "layer"

    def guesses(self) -> Iterator[Guess]:
        """What each slip would give, the likeliest first."""
        with np.errstate(all="ignore"):
            yield from self._elsewhere()
            for grid in self._chain():
                yield from self._slipped(grid)
            for grid in self._chain():
                yield from self._other_arrays(grid)
                yield from self._terms(grid)
                yield from self._sums(grid)
                yield from self._axes(grid)
            yield from self._settings()

    def updated(self) -> Iterator[tuple[str, Array]]:
        """For each parameter, what the gradient gains where that parameter has moved by its own gradient: weights that
        were updated too early differ by a multiple of it."""
        for name in self.params:
            if f"d{name}" in self.known and any(name in reads(g.equation) for g in self._chain()):
                yield name, self._run({name: self.known[f"d{name}"]})

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
                if other not in (name, grid.name) and value.shape == arrays[name].shape:
                    text = f"{other} is read where {name} is meant, in {grid.name}"
                    yield from self._try("other-array", text, {}, self._with(grid, _renamed(grid, name, other)))
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

    def _terms(self, grid: Grid) -> Iterator[Guess]:
        """Several terms of a sum left out at once."""
        terms = list(_added(grid.equation.right))
        for kept in range(1, len(terms) - 1):
            for chosen in combinations(terms, kept):
                right = chosen[0]
                for term in chosen[1:]:
                    right = Binary("+", right, term)
                shown = " + ".join(self._drawn(t) for t in chosen)
                yield from self._try("term", f"of {grid.name} only {shown} is counted", {}, self._with(grid, right))

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

    def _axes(self, grid: Grid) -> Iterator[Guess]:
        """A reduction over another axis than the one that is meant."""
        for node in dict.fromkeys(n for n in walk(grid.equation.right) if isinstance(n, Reduce)):
            letters = [b.letter for b in node.over if isinstance(b, Bind)]
            for letter in letters if len(letters) == 1 else ():
                for n in grid.free:
                    for k in grid.free:
                        if n == k or grid.size[k] != grid.size[letter]:
                            continue
                        turned = _relettered(node, {n: letter, letter: k})
                        right = _exchanged(grid.equation.right, node, turned)
                        size = {**grid.size, letter: grid.size[n]}
                        text = f"{self._drawn(node)} is taken along {n}, the wrong axis"
                        yield from self._try("axis", text, {}, self._with(grid, right, size))

    def _settings(self) -> Iterator[Guess]:
        """A setting that backward takes for 0 or 1."""
        for name, value in self.known.items():
            if np.ndim(value) or name in self.program.names or not isinstance(value, int | float | np.number):
                continue
            for other in (0, 1):
                if value != other:
                    yield from self._try("setting", f"{name} = {float(value):g} is taken for {other}", {name: other})


def same(a: Array, b: Array, reach: float = 0.0) -> bool:
    """Whether two arrays are the same numbers, to rounding."""
    if np.shape(a) != np.shape(b) or not np.isfinite(b).all():
        return False
    largest = float(np.abs(b).max(initial=0.0))
    return bool((np.abs(a - b) <= SAME * max(largest, 1e-6 * reach)).all())


def _last(terms: Array) -> Array:
    """The last term that is not 0, along the last axis."""
    index = terms.shape[-1] - 1 - np.argmax((terms != 0)[..., ::-1], axis=-1)
    found: Array = np.take_along_axis(terms, index[..., None], -1)[..., 0]
    return found


def _added(node: Expr) -> Iterator[Expr]:
    """The terms of a sum that is written out."""
    if isinstance(node, Binary) and node.op == "+":
        yield from _added(node.left)
        yield from _added(node.right)
    elif isinstance(node, Binary) and node.op == "-":
        yield from _added(node.left)
        yield Negate(node.right)
    else:
        yield node


def _renamed(grid: Grid, old: str, new: str) -> Expr:
    def go(node: Expr) -> Expr:
        return Read(new, node.index) if isinstance(node, Read) and node.array == old else _mapped(node, go)

    return go(grid.equation.right)


def _relettered(node: Expr, letters: Mapping[str, str]) -> Expr:
    """The body of a reduction with indices exchanged, its own bound letter as it is."""
    assert isinstance(node, Reduce)

    def go(inner: Expr) -> Expr:
        if isinstance(inner, Name):
            return Name(letters.get(inner.id, inner.id))
        if isinstance(inner, Read):
            return Read(inner.array, tuple(go(i) for i in inner.index))
        return _mapped(inner, go)

    return Reduce(node.fn, node.over, go(node.body), node.extra)


def _exchanged(node: Expr, old: Expr, new: Expr) -> Expr:
    return new if node == old else _mapped(node, lambda inner: _exchanged(inner, old, new))


def _mapped(node: Expr, go: Any) -> Expr:
    """An expression with `go` applied to what is inside it."""
    match node:
        case Negate(operand=operand):
            return Negate(go(operand))
        case Binary(op=op, left=left, right=right):
            return Binary(op, go(left), go(right))
        case Compare(op=op, left=left, right=right):
            return Compare(op, go(left), go(right))
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            return Reduce(fn, over, go(body), extra)
        case Call(fn=fn, args=args):
            return Call(fn, tuple(go(a) for a in args))
    return node
