"""Equations with one mistake in them: what somebody may have computed in place of an equation's right side."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import combinations, count
from typing import Any

import numpy as np

from bpcli.notation.evaluate import Grid
from bpcli.notation.syntax import (
    Binary,
    Call,
    Compare,
    Equation,
    Expr,
    Name,
    Negate,
    Number,
    Read,
    Reduce,
    changed,
    children,
    walk,
)  # fmt: skip

MAX_SUM_TERMS = 16  # terms of a sum; of a longer one no single term is left out

EDGES = {">": ">=", ">=": ">", "<": "<=", "<=": "<"}
"""Comparisons that differ where both sides are equal only."""


@dataclass(frozen=True)
class Mistake:
    """The right side of an equation with one mistake in it.

    `kind` names the mistake, `pieces` are the expressions that it concerns, and `letters` the indices.
    """

    kind: str
    right: Expr
    pieces: tuple[Expr, ...]
    term: int | None = None  # of a sum, where the mistake is in one term only
    letters: tuple[str, ...] = ()
    size: Mapping[str, int] | None = None  # number of values of each index, where the equation's own does not hold

    def put_in(self, grid: Grid) -> Grid:
        """Returns the equation of `grid`, ready to be evaluated with the mistake in it."""
        e = grid.equation
        return Grid(Equation(grid.name, e.free, self.right, e.source), self.size or grid.size)


def single_mistakes(grid: Grid, known: Mapping[str, Any], max_entries: int) -> Iterator[Mistake]:
    """Yields every way to make one mistake in one place of an equation; `known` holds the arrays that it reads.

    Where its array has more than `max_entries` entries, the terms of its sums are not tried one by one.
    """
    shapes = {name: np.shape(v) for name, v in known.items() if np.ndim(v)}
    large = np.size(known.get(grid.name, 0)) > max_entries
    yield from _inside(grid.equation.right, dict.fromkeys(grid.size, max_entries) if large else grid.size, shapes)


def larger_mistakes(grid: Grid) -> Iterator[Mistake]:
    """Yields mistakes in a whole equation, the likeliest first: branches exchanged, bounds forgotten, several terms
    left out at once, a reduction along another axis."""
    for mistakes in (_branches, _bounds, _several_terms, _own_terms, _other_axes):
        yield from mistakes(grid)


def first_bound_index(node: Expr) -> str:
    """Returns the index that the first reduction of an expression runs over."""
    return next((k for n in walk(node) if isinstance(n, Reduce) for k in n.letters), "")


def reading_other(node: Expr, old: str, new: str) -> Expr:
    """Returns the expression with another array read in place of `old`."""
    if isinstance(node, Read) and node.array == old:
        return Read(new, node.index)
    return _mapped(node, lambda inner: reading_other(inner, old, new))


# ----------------------------------------------------------------------------------------------------- in one place
def _inside(node: Expr, size: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Mistake]:
    yield from _here(node, size, shapes)
    for i, part in enumerate(_parts(node)):
        for mistake in _inside(part, size, shapes):
            yield replace(mistake, right=_with_part(node, i, mistake.right))


def _here(node: Expr, size: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> Iterator[Mistake]:
    match node:
        case Binary(op="*", left=left, right=right):
            for factor, rest in ((left, right), (right, left)):
                if not (isinstance(factor, Binary) and factor.op == "*"):
                    yield Mistake("factor", rest, (factor,))
        case Binary(op="/", left=left, right=right):
            yield Mistake("divisor", left, (right,))
            yield Mistake("inverted", Binary("*", left, right), (right,))
            if not isinstance(left, Number):
                yield Mistake("factor", Binary("/", Number(1), right), (left,))
        case Binary(op="+" | "-", left=left, right=right):
            if isinstance(right, Number):
                yield Mistake("term number", left, (right, left, node))
            else:
                yield Mistake("term", left, (right,))
            yield Mistake("term", right if node.op == "+" else Negate(right), (left,))
            if node.op == "-":
                yield Mistake("sign plus", Binary("+", left, right), (node,))
            else:
                yield Mistake("sign minus", Binary("-", left, right), (node,))
                for each in (left, right):
                    if isinstance(each, Read):
                        yield Mistake("twice", Binary("+", node, each), (each,))
        case Binary(op="**", left=left):
            yield Mistake("power", left, (node,))
        case Negate(operand=operand):
            yield Mistake("sign lost", operand, (node,))
        case Call(fn=fn, args=(argument,)) if fn != "pad":
            yield Mistake("function", argument, (node,))
        case Compare(op=op, left=left, right=right) if op in EDGES:
            yield Mistake("edge", Compare(EDGES[op], left, right), (node,))
        case Reduce(fn="count"):
            yield Mistake("unbiased", Binary("-", node, Number(1)), (node,))
        case Reduce(fn="mean"):
            yield Mistake("divisor summed", replace(node, fn="sum"), (node,))
        case Reduce(fn="sum"):
            yield from _in_sum(node, size)
        case Read(array=array, index=(Name(id=a), Name(id=b))):
            rows, columns = shapes.get(array, (0, 1))[:2]
            if rows == columns and a != b:
                yield Mistake("transposed read", Read(array, (Name(b), Name(a))), (node,))


def _in_sum(node: Reduce, size: Mapping[str, int]) -> Iterator[Mistake]:
    letters = node.letters
    yield Mistake("averaged", replace(node, fn="mean"), (node,))
    for read in walk(node.body):
        if isinstance(read, Read) and len(read.index) > 2:  # a derivative of several outputs by several inputs
            others = [i.id for i in read.index if isinstance(i, Name) and i.id not in letters]
            for letter in letters:
                for other in others:
                    if size.get(letter) == size.get(other) and Name(letter) in read.index:
                        body = Binary("*", node.body, Compare("==", Name(letter), Name(other)))
                        yield Mistake("diagonal", replace(node, body=body), (read,))
    for letter in letters:
        if not 1 < size[letter] <= MAX_SUM_TERMS:
            continue
        for i in range(size[letter]):
            here = Compare("==", Name(letter), Number(i))
            rest = Binary("*", node.body, Compare("!=", Name(letter), Number(i)))
            yield Mistake("dropped-term", replace(node, body=rest), (node.body,), i)
            for read in dict.fromkeys(n for n in walk(node.body) if isinstance(n, Read) and Name(letter) in n.index):
                one = _exchanged(node.body, read, Call("where", (here, Number(1), read)))
                yield Mistake("factor", replace(node, body=one), (read,), i)


# -------------------------------------------------------------------------------------------- in the whole equation
def _branches(grid: Grid) -> Iterator[Mistake]:
    right = grid.equation.right
    for node in _calls(right, "where"):
        condition, then, other = node.args
        exchanged = Call("where", (condition, other, then))
        for kind, new in (("exchanged", exchanged), ("not asked", then), ("never true", other)):
            yield Mistake(f"branches {kind}", _exchanged(right, node, new), (condition,))


def _bounds(grid: Grid) -> Iterator[Mistake]:
    """Yields equations with a clipping bound removed."""
    right = grid.equation.right
    for node in (*_calls(right, "min"), *_calls(right, "max")):
        nested = [
            inner for arg in node.args if isinstance(arg, Call) and arg.fn in ("min", "max") for inner in arg.args
        ]
        for each in dict.fromkeys((*node.args, *nested)):
            yield Mistake("bound", _exchanged(right, node, each), (node,))


def _calls(right: Expr, name: str) -> list[Call]:
    return [n for n in dict.fromkeys(walk(right)) if isinstance(n, Call) and n.fn == name]


def _several_terms(grid: Grid) -> Iterator[Mistake]:
    terms = list(_added(grid.equation.right))
    for kept in range(1, len(terms) - 1):
        for chosen in combinations(terms, kept):
            yield Mistake("term only", reduce(partial(Binary, "+"), chosen), chosen)


def _own_terms(grid: Grid) -> Iterator[Mistake]:
    """Yields sums over all places of which only the place itself is counted."""
    right = grid.equation.right
    for node, letter in _over_one_index(right):
        for k in grid.free:
            if grid.size[k] == grid.size[letter] and node.fn == "sum":
                one = _with_letters(node.body, {letter: k})
                yield Mistake("diagonal term", _exchanged(right, node, one), (node,), letters=(letter, k))


def _other_axes(grid: Grid) -> Iterator[Mistake]:
    """Yields reductions over another axis than the one that is meant."""
    right = grid.equation.right
    for node, letter in _over_one_index(right):
        for n in grid.free:
            for k in grid.free:
                if n == k or grid.size[k] != grid.size[letter]:
                    continue
                turned = Reduce(node.fn, node.over, _with_letters(node.body, {n: letter, letter: k}), node.extra)
                size = {**grid.size, letter: grid.size[n]}
                yield Mistake("axis", _exchanged(right, node, turned), (node,), letters=(n,), size=size)


def _over_one_index(right: Expr) -> Iterator[tuple[Reduce, str]]:
    """Yields the reductions over one index, with it."""
    for node in dict.fromkeys(n for n in walk(right) if isinstance(n, Reduce)):
        if len(node.letters) == 1:
            yield node, node.letters[0]


# ------------------------------------------------------------------------------------------------------ expressions
def _added(node: Expr) -> Iterator[Expr]:
    """Yields the terms of a sum that is written out."""
    if isinstance(node, Binary) and node.op in "+-":
        yield from _added(node.left)
        yield from _added(node.right) if node.op == "+" else (Negate(node.right),)
    else:
        yield node


def _with_letters(node: Expr, letters: Mapping[str, str]) -> Expr:
    """Returns an expression with its indices exchanged."""
    if isinstance(node, Name):
        return Name(letters.get(node.id, node.id))
    if isinstance(node, Read):
        return Read(node.array, tuple(_with_letters(i, letters) for i in node.index))
    return _mapped(node, lambda inner: _with_letters(inner, letters))


def _exchanged(node: Expr, old: Expr, new: Expr) -> Expr:
    """Returns an expression with `new` wherever `old` stands."""
    return new if node == old else _mapped(node, lambda inner: _exchanged(inner, old, new))


def _parts(node: Expr) -> tuple[Expr, ...]:
    """Returns the expressions inside one, in which mistakes are made: not the indices of a read, nor the ranges of a
    sum."""
    if isinstance(node, Read) or (isinstance(node, Reduce) and node.fn == "count"):
        return ()
    return (node.body,) if isinstance(node, Reduce) else children(node)


def _with_part(node: Expr, i: int, part: Expr) -> Expr:
    """Returns an expression with another part at place `i`."""
    place = count()
    return _mapped(node, lambda old: part if next(place) == i else old)


def _mapped(node: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Returns an expression with each of its parts changed."""
    if isinstance(node, Reduce):
        return node if node.fn == "count" else replace(node, body=change(node.body))
    return changed(node, change)
