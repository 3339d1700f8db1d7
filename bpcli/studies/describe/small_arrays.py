"""Small random arrays for a formula: as large as its indices reach, so that it can be computed once with numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bpcli.notation.derive.letters import bound_in
from bpcli.notation.evaluate import CONSTANTS, Program
from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Equation,
    Expr,
    Name,
    Negate,
    NotationError,
    Number,
    Read,
    Reduce,
    walk,
)

USUAL_SIZES = (2, 3, 2, 4)  # values of the first, the second ... index that no range is written with
USUAL_COUNT = 2  # value of a name that ranges and indices are computed with
MAX_ENTRIES = 1_000_000
MAX_TERMS = 500_000_000  # of all sums, and entries of all arrays
DECIMALS = 1  # of random numbers, so that a line of them can be followed by hand


def small_arrays(equations: Sequence[Equation], seed: int = 0) -> dict[str, Any]:
    """Returns an array or a number for every name that the equations read and do not compute.

    Raises NotationError where an index is computed from an array, so that nothing tells how far it reaches.
    """
    rng = np.random.default_rng(seed)
    computed = {e.name for e in equations}
    letters = list(dict.fromkeys(k for e in equations for k in bound_in(e)))
    counts = {n: USUAL_COUNT for e in equations for n in _counting(e)} if equations else {}
    counts = {name: n for name, n in counts.items() if name not in letters}
    sizes = _sizes(equations, letters, counts)
    shapes: dict[str, list[int]] = {}
    for e in equations:
        for n in walk(e.right):
            if isinstance(n, Read) and n.array not in computed:
                reach = [_reach(i, sizes, counts) + 1 for i in n.index]
                known = shapes.setdefault(n.array, reach)
                shapes[n.array] = [max(a, b) for a, b in zip(known, reach, strict=False)]
    env: dict[str, Any] = dict(counts)
    for name, shape in shapes.items():
        if math.prod(shape) > MAX_ENTRIES:
            text = (
                f"{name} would have {' x '.join(f'{d:,}' for d in shape)} numbers, and {MAX_ENTRIES:,} are small enough"
            )
            raise NotationError(text, "write smaller ranges")
        env[name] = np.round(rng.normal(size=shape), DECIMALS)
    for e in equations:
        for n in walk(e.right):
            if isinstance(n, Name) and n.id not in {*computed, *letters, *CONSTANTS, *env}:
                env[n.id] = float(np.round(rng.uniform(0.5, 1.5), DECIMALS))
    return env


def require_few_terms(program: Program) -> None:
    """Raises NotationError where equations have so many terms that to go over them takes minutes."""
    terms = sum(math.prod(map(float, g.size.values())) for g in program.grids)
    if terms > MAX_TERMS:
        text = f"the equations have {terms:,.0f} terms; the most is {MAX_TERMS:,}"
        raise NotationError(text, "smaller ranges, fewer rows or a smaller network")


def _counting(equation: Equation) -> set[str]:
    """Returns names that ranges and indices are computed with: strides, numbers of groups."""
    inside: list[Expr] = [b.size for b in equation.free if isinstance(b, Bind) and b.size is not None]
    for n in walk(equation.right):
        if isinstance(n, Read):
            inside += n.index
        elif isinstance(n, Reduce):
            inside += [b.size for b in n.over if isinstance(b, Bind) and b.size is not None]
    return {n.id for e in inside for n in walk(e) if isinstance(n, Name)} - set(CONSTANTS)


def _sizes(equations: Sequence[Equation], letters: Sequence[str], counts: Mapping[str, int]) -> dict[str, int]:
    first = _first_of_their_axis(equations, letters)
    sizes = {k: USUAL_SIZES[letters.index(first[k]) % len(USUAL_SIZES)] for k in letters}
    for e in equations:
        reductions = [n for n in walk(e.right) if isinstance(n, Reduce)]
        for b in [*e.free, *(b for n in reductions for b in n.over)]:
            if isinstance(b, Bind) and b.size is not None:
                sizes[b.letter] = _reach(b.size, {}, counts)
    return sizes


def _first_of_their_axis(equations: Sequence[Equation], letters: Sequence[str]) -> dict[str, str]:
    """Returns for each letter the first that reads the same axes of arrays: x[i] A[i,j] x[j] needs i and j alike."""
    first = {k: k for k in letters}
    axes: dict[tuple[str, int], str] = {}
    for n in (n for e in equations for n in walk(e.right) if isinstance(n, Read)):
        for axis, index in enumerate(n.index):
            if isinstance(index, Name) and index.id in first:
                one = first[axes.setdefault((n.array, axis), index.id)]
                two = first[index.id]
                kept = min(one, two, key=letters.index)
                first = {k: kept if f in (one, two) else f for k, f in first.items()}
    return first


def _reach(node: Expr, sizes: Mapping[str, int], counts: Mapping[str, int]) -> int:
    """Returns the largest value of an index."""
    match node:
        case Number(value=value):
            return int(value)
        case Name(id=name):
            return sizes[name] - 1 if name in sizes else counts[name]
        case Negate() | Call():
            return 0
        case Binary(op=op, left=left, right=right):
            a, b = _reach(left, sizes, counts), _reach(right, sizes, counts)
            found = {"+": a + b, "-": a, "*": a * b, "//": a // max(b, 1), "%": max(b, 1) - 1}
            if op in found:
                return found[op]
    raise NotationError("an index is computed from numbers of an array", "leave --numbers out")
