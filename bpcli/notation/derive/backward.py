"""Backward equations of a formula, and its Jacobian: what the rest of the program asks for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from bpcli.notation.derive.algebra import ONE
from bpcli.notation.derive.letters import bound_in
from bpcli.notation.derive.reverse import BackwardEquations, Reverse
from bpcli.notation.derive.source import typed_equation
from bpcli.notation.evaluate import CONSTANTS, Program, compile_equations, ordered
from bpcli.notation.syntax import (
    Eq,
    Equation,
    Expr,
    Name,
    NotationError,
    Read,
    children,
    letters_used,
    parse,
    reads,
    spell_out,
    walk,
)  # fmt: skip
from bpcli.numeric.shapes import Array, Shape


def derive_backward(
    forward: Iterable[Eq],
    by: Sequence[str] | None = None,
    env: Mapping[str, Any] | None = None,
    results: Mapping[str, Shape] | None = None,
) -> BackwardEquations:
    """Returns the backward equations of forward ones, the last of which is the output.

    `by` are the arrays and numbers to differentiate by: by default every array that is read and not computed, or every
    number where there is no array. An output with indices hands down what arrives at it, `dy[...]`; for one without,
    the equations are the derivatives of that number. `env` has arrays and numbers for which the equations are derived
    (their indices may then be known to stay in range), `results` shapes of left sides that nothing else tells; without
    `env`, `...` is taken for one axis.

    Raises NotationError where the equations do not say anything, or have no derivative.
    """
    return derived_within_limits(lambda: reverse(forward, by, env, results).derive())


def derive_jacobian(
    forward: Iterable[Eq],
    by: Sequence[str] | None = None,
    env: Mapping[str, Any] | None = None,
    results: Mapping[str, Shape] | None = None,
) -> BackwardEquations:
    """Returns the derivatives of every entry of the output by every entry of an array: `dy_dx[n,i,m,k]` is the
    derivative of y[m,k] by x[n,i]. Arguments and errors as of `derive_backward`."""
    return derived_within_limits(lambda: reverse(forward, by, env, results).jacobian())


def derived_within_limits(derivation: Callable[[], BackwardEquations]) -> BackwardEquations:
    """Returns a derivation. Raises NotationError where it is nested too deep, or has a number too large for a float."""
    try:
        return derivation()
    except RecursionError:
        text = "an expression is nested too deep to be derived"
        raise NotationError(text, "give names to quantities on the way: an equation of its own for each") from None
    except ArithmeticError:
        text = "a number in it is too large or too small for a float, which reaches from 1e-308 to 1e308"
        raise NotationError(text, "write numbers in between") from None


def reverse(
    forward: Iterable[Eq],
    by: Sequence[str] | None,
    env: Mapping[str, Any] | None,
    results: Mapping[str, Shape] | None,
) -> Reverse:
    """Returns a derivation about to begin."""
    written = tuple(forward)
    if not written:
        raise NotationError("there is no equation to derive from")
    output = parse(written[-1])
    sizes: list[Mapping[str, int]] = []
    if env is not None:
        program = compile_equations(written, env, results)
        grids = [g for g in program.grids if g.name in program.needed({output.name})]
        equations, sizes = [g.equation for g in grids], [g.size for g in grids]
    else:
        equations = spelled(written)
    wanted = list(dict.fromkeys(by if by is not None else inputs(equations)))
    ranks = {n.array: len(n.index) for e in equations for n in walk(e.right) if isinstance(n, Read)}
    ranks |= {name: np.ndim(env[name]) for name in wanted if env is not None and name in env}
    shapes = {} if env is None else {name: np.shape(env[name]) for name in wanted if name in env}
    numbers = {} if env is None else {k: int(v) for k, v in env.items() if np.ndim(v) == 0 and float(v).is_integer()}
    seeds: dict[str, Expr | None] = {output.name: None if output.free else ONE}
    return Reverse(equations, seeds, {name: ranks.get(name, 0) for name in wanted}, numbers, sizes, shapes)


def inputs(equations: Sequence[Equation]) -> list[str]:
    """Returns arrays that equations read and do not compute, in order; numbers where there is none."""
    computed, indices = {e.name for e in equations}, {k for e in equations for k in bound_in(e)}
    nodes = [n for e in equations for n in values(e.right)]
    arrays = [n.array for n in nodes if isinstance(n, Read) and n.array not in computed]
    numbers = [n.id for n in nodes if isinstance(n, Name) and n.id not in {*computed, *indices, *CONSTANTS}]
    return list(dict.fromkeys(arrays or numbers))


def values(node: Expr) -> Iterator[Expr]:
    """Yields the expressions inside one that its value is computed from; no indices and no ranges."""
    yield node
    for child in () if isinstance(node, Read) else children(node):
        yield from values(child)


def spelled(written: Sequence[Eq]) -> list[Equation]:
    """Returns equations in the order of what they read, `...` being one axis."""
    parsed = [parse(e) for e in written]
    used = {k for e in parsed for k in letters_used(e) | reads(e) | {e.name}}
    letter = next(k for k in "icdefhklm" if k not in used)
    return ordered({e.name: spell_out(e, (letter,)) for e in parsed})


def derived_gradients(
    program: Program, env: Mapping[str, Any], output: str, by: Mapping[str, Shape], most: float = math.inf
) -> dict[str, Array]:
    """Returns gradients by arrays, `dx` by `x`, from equations that are derived from a program's forward ones.

    `env` has what the program reads, and what arrives at an output with indices, `d<output>`. Returns nothing where the
    equations have no derivative, or where computing them takes more than `most` cells of grids.
    """
    derived = derived_program(program, env, output, by)
    if derived is None or cells(derived) > most:
        return {}
    found = derived.run(env)
    return {f"d{name}": found[f"d{name}"] for name in by}


def derived_program(program: Program, env: Mapping[str, Any], output: str, by: Mapping[str, Shape]) -> Program | None:
    """Returns a program's forward equations with the backward ones that are derived from them, by arrays of these
    shapes; None where they have no derivative. `env` has the numbers that the program reads."""
    numbers = {k: int(v) for k, v in env.items() if np.ndim(v) == 0 and float(np.real(v)).is_integer()}
    return _derived_program(program, output, tuple(by.items()), tuple(sorted(numbers.items())))


def most_cells(stated: Program) -> float:
    """Returns how many cells the derived equations of a part may have, by those of the ones that its author states."""
    return 2 * cells(stated) + 1_000_000


def cells(program: Program) -> float:
    """Returns how many cells the grids of a program have."""
    return sum(math.prod(float(n) for n in g.size.values()) for g in program.grids)


@lru_cache(maxsize=1024)
def _derived_program(
    program: Program, output: str, by: tuple[tuple[str, Shape], ...], numbers: tuple[tuple[str, int], ...]
) -> Program | None:
    needed = program.needed({output})
    grids = [g for g in program.grids if g.name in needed]
    shapes = dict(by)
    seeds: dict[str, Expr | None] = {output: None if grids[-1].free else ONE}
    ranks = {name: len(shape) for name, shape in by}
    try:
        found = Reverse(
            [g.equation for g in grids], seeds, ranks, dict(numbers), [g.size for g in grids], shapes
        ).derive()
    except (NotationError, RecursionError, ArithmeticError):  # the last of a number too large for a float
        return None
    results = {f"d{name}": shape for name, shape in by} | program.shapes
    results |= {name: g.shape for g in grids for name in (g.name, f"d{g.name}")}  # an adjoint has its quantity's shape
    forward = [typed_equation(g.equation) for g in grids]
    return compile_equations([*forward, *found.equations], dict(numbers), results)
