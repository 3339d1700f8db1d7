"""What a formula computes, forward and backward, for the shapes at hand."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from bpcli.family import ShapeError, near
from bpcli.notation import Eq, NotationError, Program, compile_equations
from bpcli.notation.derive.algebra import ONE
from bpcli.notation.derive.backward import derived_within_limits
from bpcli.notation.derive.reverse import BackwardEquations, Reverse
from bpcli.notation.derive.source import typed_equation
from bpcli.notation.evaluate import CONSTANTS
from bpcli.notation.syntax import Binary, Dots, Expr, Name, Read, Reduce, children, letters_used, parse, reads, walk
from bpcli.numeric.shapes import Shape
from bpcli.parts.formula.lowered import Lowered, lower

Pairs = tuple[tuple[str, float], ...]
DERIVED = "derived"  # the first word about an equation that no author states
Shapes = tuple[tuple[str, Shape], ...]


@dataclass(frozen=True, eq=False)
class FormulaProgram:
    """Forward equations compiled and lowered for the shapes of what they read, and the backward ones that follow from
    them."""

    forward: Lowered
    backward: Lowered
    equations: tuple[Eq, ...]

    @property
    def lowered(self) -> tuple[Lowered, Lowered]:
        """Both."""
        return self.forward, self.backward

    @property
    def multiply_adds(self) -> int:
        """How many products the sums of products of the forward pass add up."""
        sums = [(g, n) for g in self.forward.program.grids for n in walk(g.equation.right) if isinstance(n, Reduce)]
        return sum(
            math.prod(g.size[k] for k in {*g.free, *n.letters})
            for g, n in sums
            if n.fn == "sum" and isinstance(n.body, Binary) and n.body.op == "*"
        )

    def shape(self, name: str) -> Shape:
        """Returns the shape of a left side."""
        return next(g.shape for p in self.lowered for g in p.program.grids if g.name == name)


@lru_cache(maxsize=512)
def formula_program(
    eqs: tuple[Eq, ...], output: str, shapes: Shapes, numbers: Pairs, by: tuple[str, ...], buffers: str = "t"
) -> FormulaProgram:
    """Returns a formula compiled; what it needs between its calls is named by `buffers` and a number.

    Raises NotationError where it says nothing, or has no derivative.
    """
    known = dict(shapes)
    env: dict[str, Any] = dict(numbers)
    _check_names(eqs, {*known, *env})
    program = compile_equations(eqs, env, known)
    needed = program.needed({output})
    grids = [g for g in program.grids if g.name in needed]
    whole = {k: int(v) for k, v in numbers if float(v).is_integer()}
    found = _derived(program, output, {name: known[name] for name in by}, whole)
    gradients = {f"d{name}": known[name] for name in by}
    results = gradients | {name: g.shape for g in grids for name in (g.name, f"d{g.name}")}
    derived = compile_equations(
        [*(typed_equation(g.equation) for g in grids), *found.equations], env, {**known, **results}
    )
    names = {e.name for e in found.backward}
    backward = Program([g for g in derived.grids if g.name in names], {})
    shapes_of = known | {g.name: g.shape for g in (*grids, *backward.grids)} | results
    forward = lower(Program(grids, known), f"{buffers}_forward_")
    back = lower(Program(backward.grids, shapes_of), f"{buffers}_backward_")
    return FormulaProgram(forward, back, (*eqs, *(replace(e, why=_rules(e, found)) for e in found.equations)))


def _check_names(eqs: Sequence[Eq], known: set[str]) -> None:
    """Raises NotationError where an equation reads what is nowhere."""
    computed = {parse(e).name for e in eqs}
    for equation in map(parse, eqs):
        for name in sorted(reads(equation) - letters_used(equation) - computed - known - set(CONSTANTS)):
            where = f"{equation.source.left} = {equation.source.right}"
            if len(name) == 1 and not any(isinstance(n, Read) and n.array == name for n in walk(equation.right)):
                help = f"sum over it, sum({name}, ...), or let the left side have it"
                raise NotationError(f"{where}: the index {name} does not run over anything", help)
            guess = near(name, known | computed)
            help = f"did you mean `{guess}`? " if guess else ""
            raise NotationError(
                f"{where}: {name} is not known",
                f"{help}what is learned stands in `params`, a number among the settings",
            )


def _rules(eq: Eq, found: BackwardEquations) -> str:
    """Returns by which rules a backward equation follows: those of the operations between what it is the adjoint of and
    the left sides that are computed from that."""
    name = parse(eq).name.removeprefix("d")
    readers = {e.name for e in found.forward if name in reads(e)}
    rules = dict.fromkeys(s.rule for s in found.steps if s.of in readers and s.rule != "entry")
    return f"{DERIVED} by {', '.join(rules)}" if rules else f"{DERIVED}: the adjoint of what is read"


def _derived(program: Program, output: str, by: Mapping[str, Shape], whole: Mapping[str, int]) -> BackwardEquations:
    needed = program.needed({output})
    grids = [g for g in program.grids if g.name in needed]
    seeds = {output: None if grids[-1].free else ONE}
    ranks = {name: len(shape) for name, shape in by.items()}
    equations, sizes = [g.equation for g in grids], [g.size for g in grids]
    return derived_within_limits(lambda: Reverse(equations, seeds, ranks, whole, sizes, by).derive())


def keeps_rows_apart(eqs: Sequence[Eq]) -> bool:
    """Whether row n of each left side depends on row n of x alone: nothing is reduced over n, and what has rows is read
    at n only."""
    parsed = [parse(e) for e in eqs]
    with_rows = {"x", *(e.name for e in parsed if e.letters[:1] == ("n",))}

    def apart(node: Expr) -> bool:
        match node:
            case Read(array=array, index=(first, *others)) if array in with_rows:
                return first == Name("n") and all(map(apart, others))
            case Name(id="n"):
                return False
            case Reduce() if "n" in node.letters:
                return False
        return all(map(apart, children(node)))

    return all(apart(e.right) for e in parsed)


def row_that_fits(eqs: Sequence[Eq]) -> Shape:
    """Returns a small row of x, of as many axes as equations read it with."""
    read = (n for e in map(parse, eqs) for n in walk(e.right) if isinstance(n, Read) and n.array == "x")
    axes = next((len(n.index) - 1 for n in read if not any(isinstance(i, Dots) for i in n.index)), 1)
    return (2,) * max(1, axes)


# shapes of parameters, by the letters of the equations


def parameter_shapes(eqs: Sequence[Eq], x: Shape, declared: Mapping[str, tuple[int | str, ...]]) -> dict[str, Shape]:
    """Returns the shape of every parameter for rows of shape `x`.

    Raises ShapeError where a letter has no size, or two, and where no equation reads a parameter.
    """
    parsed = [parse(e) for e in eqs]
    sizes: dict[str, int] = {}
    for name in declared:
        if not any(name in reads(e) for e in parsed):
            raise ShapeError(f"no equation reads the parameter `{name}`", "use it, or leave it out of `params`")
    middle = _middle(parsed, x)
    found: dict[str, Shape] = {}
    _learn(parsed, "x", (0, *x), sizes)
    while True:
        before = len(found)
        for name, sizes_ in declared.items():
            if name not in found and all(not isinstance(s, str) or s in sizes or s == "..." for s in sizes_):
                shape: list[int] = []
                for s in sizes_:
                    shape += middle if s == "..." else [s if isinstance(s, int) else sizes[s]]
                found[name] = tuple(shape)
                _learn(parsed, name, found[name], sizes)
        if len(found) == len(declared):
            return found
        if len(found) == before:
            waiting = ((n, s) for n, ss in declared.items() if n not in found for s in ss)
            name, letter = next((n, s) for n, s in waiting if isinstance(s, str) and s not in sizes)
            raise ShapeError(
                f"`{letter}` in the shape of `{name}` has no size: no array is read along it whose size is known",
                f"write a number in its place: params: {{{name}: {{shape: [...]}}}}",
            )


def _middle(parsed: Sequence[Any], x: Shape) -> list[int]:
    """Returns the sizes that `...` stands for, by how x is read."""
    for e in parsed:
        for n in walk(e.right):
            if isinstance(n, Read) and n.array == "x" and any(isinstance(i, Dots) for i in n.index):
                at = next(k for k, i in enumerate(n.index) if isinstance(i, Dots))
                behind = len(n.index) - at - 1
                return list((0, *x)[at : len(x) + 1 - behind])
    return list(x)


def _learn(parsed: Sequence[Any], name: str, shape: Shape, sizes: dict[str, int]) -> None:
    """Records the sizes of letters at which an array stands alone."""
    for e in parsed:
        for n in walk(e.right):
            if isinstance(n, Read) and n.array == name and not any(isinstance(i, Dots) for i in n.index):
                if len(n.index) != len(shape):
                    help = (
                        f"write {name}[{','.join('nijklm'[: len(shape)])}]" if name != "x" else "rows are n: x[n,...]"
                    )
                    raise ShapeError(f"{name} has {len(shape)} axes and is written with {len(n.index)}", help)
                for index, size in zip(n.index, shape, strict=True):
                    if isinstance(index, Name) and len(index.id) == 1 and size:
                        sizes.setdefault(index.id, size)


def fans(eqs: Sequence[Eq], name: str, shape: Shape) -> tuple[int, int]:
    """Returns how many inputs and outputs a parameter connects: the product of its sizes over letters that a reduction
    runs over, and over letters of the left side; 0 for none of a kind."""
    for e in map(parse, eqs):
        for n in walk(e.right):
            if isinstance(n, Read) and n.array == name and not any(isinstance(i, Dots) for i in n.index):
                reduced = {k for r in walk(e.right) if isinstance(r, Reduce) for k in r.letters}
                letters = [i.id if isinstance(i, Name) else "" for i in n.index]
                ins = [d for k, d in zip(letters, shape, strict=False) if k in reduced]
                outs = [d for k, d in zip(letters, shape, strict=False) if k in e.letters]
                return (math.prod(ins) if ins else 0), (math.prod(outs) if outs else 0)
    return 0, 0


def spelled_elementwise(text: str) -> str:
    """Returns a right side in which a bare x or t stands for the entry at hand: `x / (1 + abs(x))`."""
    return re.sub(r"\bx\b(?!\s*\[)", "x[n,...]", text)
