"""What an equation means: its value over arrays, one axis of a grid for each index.

`compile_equations` reads off every range once for the shapes at hand and puts the equations in the order of what they
read; `Program.run` evaluates them. A sum of a product of plain reads goes to einsum (so to the BLAS); all else is
broadcast over the grid of its indices, cut into slabs along the indices of the left side so that no grid passes
MAX_GRID_CELLS. All of it is safe for complex arrays, which is how derivatives are taken by complex steps.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from bpcli.notation.functions import POINTWISE, REDUCTIONS, floor_divide, real, remainder
from bpcli.notation.ranges import Ranges, apart
from bpcli.notation.syntax import (
    Binary,
    Call,
    Compare,
    Dots,
    Eq,
    Equation,
    Expr,
    Name,
    Negate,
    NotationError,
    Number,
    Read,
    Reduce,
    letters_used,
    parse,
    reads,
    spell_out,
    walk,
)  # fmt: skip
from bpcli.notation.text import Ascii
from bpcli.numeric.shapes import Array, Shape

MAX_ENTRIES_UNORDERED = 256  # entries of all factors up to which einsum looks for no better order
MAX_GRID_CELLS = 1 << 21  # cells of a grid that are held at once
_LETTERS: dict[int, tuple[str, ...]] = {0: (), 1: ("i",), 2: ("h", "w"), 3: ("h", "w", "c"), 4: ("t", "h", "w", "c")}
_BINARY: dict[str, Callable[..., Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.float_power,
    "//": floor_divide, "%": remainder,
}  # fmt: skip
_COMPARE: dict[str, np.ufunc] = {
    ">": np.greater, "<": np.less, ">=": np.greater_equal, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
CONSTANTS = {"pi": math.pi, "inf": math.inf}


class Grid:
    """One equation whose ranges are known: `size` gives the number of values of each of its indices."""

    def __init__(self, equation: Equation, size: Mapping[str, int]) -> None:
        self.equation = equation
        self.free = equation.letters
        self.letters = (*self.free, *(k for k in size if k not in self.free))
        self.size = dict(size)
        self.axis = {k: i for i, k in enumerate(self.letters)}

    @property
    def name(self) -> str:
        return self.equation.name

    @property
    def shape(self) -> Shape:
        return tuple(self.size[k] for k in self.free)

    def value(self, env: Mapping[str, Any]) -> Array:
        """Returns the left side's array; float64, or complex128 where `env` holds complex numbers."""
        return self._slabs(env, self._spans({}))

    def at(self, env: Mapping[str, Any], node: Expr, index: Mapping[str, int]) -> Any:
        """Returns the value of a sub-expression where each of `index`'s letters has that one value."""
        out = np.asarray(_Evaluation(self, env, self._spans(index)).evaluate(node, None)).ravel()
        return out[0] if out.size == 1 else out

    def over(self, env: Mapping[str, Any], node: Expr, index: Mapping[str, int], letters: Sequence[str]) -> Array:
        """Returns the values of a sub-expression with one axis for each of `letters`, the other letters being as in
        `index`."""
        spans = self._spans(index)
        shape = [spans[k][1] if k in letters else 1 for k in self.letters]
        out = np.broadcast_to(np.asarray(_Evaluation(self, env, spans).evaluate(node, None)), shape)
        rest = [a for a, k in enumerate(self.letters) if k not in letters]
        return out.transpose([self.axis[k] for k in letters] + rest).reshape([self.size[k] for k in letters])

    def _spans(self, index: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        """Returns where each letter starts and how many values it takes: that of `index`, else all."""
        return {k: (0, n) for k, n in self.size.items()} | {k: (i, 1) for k, i in index.items()}

    def _slabs(self, env: Mapping[str, Any], spans: dict[str, tuple[int, int]]) -> Array:
        cells = math.prod(n for _, n in spans.values())
        evaluation = _Evaluation(self, env, spans)
        longest = max(self.free, key=lambda k: spans[k][1], default=None)
        if (
            cells <= MAX_GRID_CELLS
            or longest is None
            or spans[longest][1] == 1
            or evaluation.is_einsum(self.equation.right)
        ):
            return evaluation.result()
        start, n = spans[longest]
        halves = ((start, n // 2), (start + n // 2, n - n // 2))
        return np.concatenate(
            [self._slabs(env, {**spans, longest: half}) for half in halves], axis=self.free.index(longest)
        )


class _Evaluation:
    """One evaluation of a grid, or of a slab of it: every value is an array with one axis for each index (of size 1
    where it does not depend on the index)."""

    def __init__(self, grid: Grid, env: Mapping[str, Any], spans: Mapping[str, tuple[int, int]]) -> None:
        self.grid, self.env, self.spans = grid, env, spans

    def result(self) -> Array:
        out = np.asarray(self.evaluate(self.grid.equation.right, None))
        if not np.iscomplexobj(out):
            out = out.astype(np.float64)
        free = self.grid.free
        if not self.grid.letters:
            return out
        want = [self.spans[k][1] if k in free else 1 for k in self.grid.letters]
        return np.broadcast_to(out, want).reshape([self.spans[k][1] for k in free]).copy()

    def error(self, text: str) -> NotationError:
        source = self.grid.equation.source
        return NotationError(f"{source.left} = {source.right}: {text}")

    def evaluate(self, node: Expr, live: Array | None) -> Any:
        """Returns the value of `node`; reads are checked only where `live` (None: everywhere)."""
        match node:
            case Number(value=value):
                return value
            case Name(id=name):
                return self._name(name)
            case Negate(operand=operand):
                return np.negative(self.evaluate(operand, live))
            case Binary(op=op, left=left, right=right):
                return _BINARY[op](self.evaluate(left, live), self.evaluate(right, live))
            case Compare(op=op, left=left, right=right):
                return _COMPARE[op](real(self.evaluate(left, live)), real(self.evaluate(right, live))) * 1.0
            case Read():
                return self._read(node, live, None)
            case Call(fn="pad", args=args):
                outside = self.evaluate(args[1], live) if len(args) > 1 else 0.0
                read = args[0]
                return self._read(read, live, outside) if isinstance(read, Read) else self.evaluate(read, live)
            case Call(fn="where", args=(condition, then, other)):
                return self._where(condition, then, other, live)
            case Call(fn=fn, args=args):
                return POINTWISE[fn][0](*(self.evaluate(a, live) for a in args))
            case Reduce(fn="count"):
                return math.prod(self.grid.size[k] for k in node.letters)
            case Reduce():
                return self._reduce(node, live)
        raise self.error(f"{Ascii().draw(node).text} cannot be evaluated")

    def _name(self, name: str) -> Any:
        axis = self.grid.axis.get(name)
        if axis is not None:
            start, n = self.spans[name]
            return self._on_axes([axis], np.arange(start, start + n))
        if name in self.env:
            return self.env[name]
        if name in CONSTANTS:
            return CONSTANTS[name]
        raise self.error(f"{name} is not known")

    def _where(self, condition: Expr, then: Expr, other: Expr, live: Array | None) -> Array:
        taken = np.asarray(self.evaluate(condition, live)) != 0
        here = taken if live is None else taken & live
        there = ~taken if live is None else ~taken & live
        with np.errstate(all="ignore"):
            return np.asarray(np.where(taken, self.evaluate(then, here), self.evaluate(other, there)))

    def _read(self, node: Read, live: Array | None, outside: Any) -> Array:
        array = self.env[node.array]
        plain = self._plain(node)
        if plain is not None:
            view, axes = plain
            return self._on_axes(sorted(axes), view.transpose(np.argsort(axes)))
        index = [real(self.evaluate(i, live)).astype(np.intp) for i in node.index]
        inside: Any = True
        for k, d in zip(index, array.shape, strict=True):
            inside = inside & (k >= 0) & (k < d)
        if outside is None:
            bad = ~np.asarray(inside) if live is None else ~np.asarray(inside) & live
            if bad.any():
                raise self.error(f"reads {node.array} outside its shape {array.shape}; write pad({node.array}[...])")
        clipped = tuple(np.clip(k, 0, max(d - 1, 0)) for k, d in zip(index, array.shape, strict=True))
        found = array[clipped]
        return np.asarray(found if outside is None else np.where(inside, found, outside))

    def _on_axes(self, axes: Sequence[int], value: Array) -> Array:
        """Returns an array whose axes are these of the grid, in order, with an axis for every index."""
        sizes = dict(zip(axes, value.shape, strict=True))
        return np.asarray(value.reshape([sizes.get(i, 1) for i in range(len(self.grid.letters))]))

    def _plain(self, node: Read) -> tuple[Array, list[int]] | None:
        """Returns the slab of a read whose indices are different letters that run over whole axes, and these in the
        grid."""
        array = np.asarray(self.env[node.array])
        letters = [i.id for i in node.index if isinstance(i, Name) and i.id in self.grid.axis]
        if len(letters) != len(node.index) or len(set(letters)) != len(letters) or array.ndim != len(letters):
            return None
        if any(self.grid.size[k] != d for k, d in zip(letters, array.shape, strict=True)):
            return None
        slab = array[tuple(slice(self.spans[k][0], sum(self.spans[k])) for k in letters)]
        return slab, [self.grid.axis[k] for k in letters]

    def _reduce(self, node: Reduce, live: Array | None) -> Array:
        axes = tuple(self.grid.axis[k] for k in node.letters)
        if node.fn == "sum":
            factors = self._factors(node)
            if factors is not None:
                return self._einsum(*factors)
        body = np.asarray(self.evaluate(node.body, live))
        shape = [body.shape[i] if body.ndim else 1 for i in range(len(self.grid.letters))]
        for k in node.letters:
            shape[self.grid.axis[k]] = self.spans[k][1]
        body = np.broadcast_to(body, shape)
        extra = [float(real(self.evaluate(e, live)).ravel()[0]) for e in node.extra]
        return np.expand_dims(REDUCTIONS[node.fn](body, axes, *extra), tuple(sorted(axes)))

    def _is_number(self, name: str) -> bool:
        return name not in self.grid.axis and name in self.env and np.ndim(self.env[name]) == 0

    def is_einsum(self, node: Expr) -> bool:
        return isinstance(node, Reduce) and node.fn == "sum" and self._factors(node) is not None

    def _factors(self, node: Reduce) -> tuple[list[tuple[Array, list[int]]], Any] | None:
        """Returns the operands and the scale of a sum of a product of plain reads; None for any other body."""
        operands: list[tuple[Array, list[int]]] = []
        scale: Any = 1.0
        todo: list[Expr] = [node.body]
        while todo:
            match todo.pop():
                case Binary(op="*", left=left, right=right):
                    todo += [left, right]
                case Binary(op="**", left=left, right=Number(value=2)):
                    todo += [left, left]
                case Negate(operand=operand):
                    scale = -scale
                    todo.append(operand)
                case Number(value=value):
                    scale = scale * value
                case Name(id=name) if self._is_number(name):
                    scale = scale * self.env[name]
                case Read() as read if (plain := self._plain(read)) is not None:
                    operands.append(plain)
                case _:
                    return None
        stood = {axis for _, axes in operands for axis in axes}
        over = {self.grid.axis[k] for k in node.letters}
        if len(operands) < 2 or not over <= stood:
            return None
        self._over = over
        return operands, scale

    def _einsum(self, operands: list[tuple[Array, list[int]]], scale: Any) -> Array:
        out = sorted({axis for _, axes in operands for axis in axes} - self._over)
        flat = [item for pair in operands for item in pair]
        large = (
            sum(a.size for a, _ in operands) > MAX_ENTRIES_UNORDERED
        )  # for less, looking for the best order takes longest
        return self._on_axes(out, np.einsum(*flat, out, optimize=large) * scale)


class Program:
    """The equations of one part in the order of what they read, compiled for one set of shapes."""

    def __init__(self, grids: Sequence[Grid], shapes: Mapping[str, Shape]) -> None:
        self.grids = tuple(grids)
        self.shapes = dict(shapes)
        self.names = tuple(g.name for g in grids)
        self._reads = {g.name: reads(g.equation) & set(self.names) for g in grids}

    def run(self, env: Mapping[str, Any], want: Iterable[str] | None = None) -> dict[str, Array]:
        """Returns the left sides by name, evaluated from `env` (inputs only); `want` restricts to these and what they
        read.

        Raises NotationError where a name is missing, an array has another shape than it was compiled for, or a read
        lies outside its array.
        """
        known = self.complete(env, want)
        return {grid.name: known[grid.name] for grid in self.grids if grid.name in known}

    def complete(self, env: Mapping[str, Any], want: Iterable[str] | None = None) -> dict[str, Any]:
        """Returns what `run` returns, and what it was evaluated from."""
        for name, shape in self.shapes.items():
            if name in env and np.shape(env[name]) != shape:
                raise NotationError(f"{name} has shape {np.shape(env[name])}; the program was compiled for {shape}")
        inputs = env.keys() - set(self.names)
        known: dict[str, Any] = {k: _promote(env[k]) for k in env if k in inputs}
        needed = None if want is None else self.needed(want)
        for grid in self.grids:
            if needed is None or grid.name in needed:
                known[grid.name] = grid.value(known)
        return known

    def needed(self, want: Iterable[str]) -> set[str]:
        """Returns left sides that the wanted ones read, themselves included."""
        needed = set(want)
        for grid in reversed(self.grids):
            if grid.name in needed:
                needed |= self._reads[grid.name]
        return needed


def _promote(value: Any) -> Any:
    array = np.asarray(value)
    if array.dtype.kind == "f":
        array = array.astype(np.float64, copy=False)
    if array.dtype.kind == "b":
        array = array.astype(np.intp)
    return array if array.ndim else array[()]


def compile_equations(
    eqs: Iterable[Eq], env: Mapping[str, Any], results: Mapping[str, Shape] | None = None, *, detail: str = ""
) -> Program:
    """Returns the program of a part's equations for the arrays and numbers that they read.

    `env` holds these; `results` has the shapes of the engine's other arrays. `detail` takes the long forms of that name
    in place of the short ones.
    """
    shapes = {k: np.shape(v) for k, v in env.items() if np.ndim(v)} | dict(results or {})
    numbers = {k: int(v) for k, v in env.items() if np.ndim(v) == 0 and float(v).is_integer()}
    written = tuple(eqs)
    long = {parse(e).name for e in written if e.detail == detail}
    chosen = tuple(e for e in written if e.detail == detail or (not e.detail and parse(e).name not in long))
    return _compile(chosen, tuple(sorted(shapes.items())), tuple(sorted(numbers.items())))


@lru_cache(maxsize=1024)
def _compile(
    eqs: tuple[Eq, ...], shapes_: tuple[tuple[str, Shape], ...], numbers_: tuple[tuple[str, int], ...]
) -> Program:
    shapes, numbers = dict(shapes_), dict(numbers_)
    inputs = dict(shapes)
    parsed = [parse(e) for e in eqs]
    middle = _middle(parsed, shapes)
    spelled: dict[str, Equation] = {}
    for equation in parsed:
        if equation.name in spelled:
            raise NotationError(f"{equation.source.left}: {equation.name} is defined twice")
        spelled[equation.name] = spell_out(equation, middle) if middle is not None else equation
    known: dict[str, int] = {}
    ranks = {name: len(e.free) for name, e in spelled.items()} | {name: len(s) for name, s in shapes.items()}
    grids = []
    for equation in (apart(e, shapes) for e in ordered(spelled)):
        size = Ranges(equation, shapes, numbers, known, ranks).sizes()
        known = {**size, **known}
        grid = Grid(equation, size)
        shapes.setdefault(equation.name, grid.shape)
        grids.append(grid)
    return Program(grids, inputs)


def _middle(parsed: Sequence[Equation], shapes: Mapping[str, Shape]) -> tuple[str, ...] | None:
    """Returns what `...` stands for: read off the first array of the engine that is written with it."""
    used = {name for e in parsed for name in (letters_used(e) | reads(e) | {e.name})}
    for e in parsed:
        written = [(e.name, e.free)] + [(n.array, n.index) for n in walk(e.right) if isinstance(n, Read)]
        for name, index in written:
            if name in shapes and any(isinstance(i, Dots) for i in index):
                count = len(shapes[name]) - (len(index) - 1)
                if count < 0:
                    raise NotationError(f"{e.source.left}: {name} has {len(shapes[name])} axes, fewer than written")
                usual = _LETTERS.get(count, ())
                if len(usual) == count and not used & set(usual):
                    return usual
                return tuple(c for c in "hwcutvrsdpqe" if c not in used)[:count]
    return None


def ordered(equations: Mapping[str, Equation]) -> list[Equation]:
    """Returns the equations, each after those it reads, otherwise as written. Raises NotationError on a circle."""
    placed: dict[str, Equation] = {}
    waiting = list(equations.values())
    while waiting:
        ready = next((e for e in waiting if reads(e) & equations.keys() <= placed.keys()), None)
        if ready is None:
            names = ", ".join(e.name for e in waiting)
            raise NotationError(
                f"these equations read each other in a circle: {names}",
                "an equation reads what others compute, and never its own result; a new value takes a new name",
            )
        placed[ready.name] = ready
        waiting.remove(ready)
    return list(placed.values())
