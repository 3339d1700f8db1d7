"""Equations as a list of array operations on memory that is there: what a formula needs to be trained with.

`lower` takes compiled equations apart once, for their shapes: every operation of a right side becomes one call that
writes into an array, a sum of products a matrix product. What is needed between the calls is said beforehand
(`Lowered.buffers`), so that nothing is allocated while they run. An equation that reads at computed places, or uses a
function that has no such call, is left to the evaluation of the notation (`Lowered.whole`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from bpcli.notation.evaluate import CONSTANTS, Grid, Program
from bpcli.notation.syntax import Binary, Call, Compare, Expr, Name, Negate, Number, Read, Reduce
from bpcli.numeric import stable
from bpcli.numeric.shapes import Array, Shape

Bound = Callable[[], None]
Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Buffer:
    """An array that is needed between two calls."""

    shape: Shape
    boolean: bool = False


@dataclass(frozen=True)
class Operand:
    """An array by its name and the index of each of its axes, or a number."""

    name: str = ""
    letters: tuple[str, ...] = ()
    number: float | None = None

    def view(self, arrays: Arrays, letters: tuple[str, ...]) -> Any:
        """Returns the array with an axis for each of these indices, in their order."""
        if self.number is not None:
            return self.number
        array = np.asarray(arrays[self.name])
        if not letters:
            return array
        order = [self.letters.index(k) for k in letters if k in self.letters]
        return array.transpose(order)[tuple(slice(None) if k in self.letters else None for k in letters)]


@dataclass(eq=False)
class Lowered:
    """The calls of a program in order. Each is bound to arrays once, and then runs on them as often as it is asked."""

    program: Program
    buffers: dict[str, Buffer] = field(default_factory=dict)
    calls: list[tuple[str, Callable[[Arrays], Bound]]] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)

    def bind(self, arrays: Arrays, without: Collection[str] = ()) -> list[Bound]:
        """Returns the calls on these arrays, inputs, left sides and buffers by name, and on the numbers: all but those
        of some left sides, which nothing else reads."""
        return [call(arrays) for name, call in self.calls if name not in without]


def lower(program: Program, prefix: str = "t") -> Lowered:
    """Returns a program's calls; its buffers are called by a prefix and a number."""
    out = Lowered(program)
    for grid in program.grids:
        writer = _Grid(grid, out, prefix)
        calls, buffers = len(out.calls), dict(out.buffers)
        try:
            writer.write()
        except _NotLoweredError:
            del out.calls[calls:]
            out.buffers = buffers
            out.whole.append(grid.name)
            out.calls.append((grid.name, partial(_whole, grid)))
    return out


class _NotLoweredError(Exception):
    pass


def _whole(grid: Grid, arrays: Arrays) -> Bound:
    def call() -> None:
        arrays[grid.name][...] = grid.value(dict(arrays))

    return call


UFUNCS: dict[str, np.ufunc] = {
    "log": np.log, "log1p": np.log1p, "expm1": np.expm1, "sqrt": np.sqrt, "abs": np.abs, "sign": np.sign,
    "floor": np.floor, "sin": np.sin, "cos": np.cos, "tanh": np.tanh, "sinh": np.sinh, "cosh": np.cosh,
    "min": np.minimum, "max": np.maximum,
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power, "//": np.floor_divide, "%": np.mod,
    ">": np.greater, "<": np.less, ">=": np.greater_equal, "<=": np.less_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
"""Functions and operations that are one call of NumPy's."""
FOLDS: dict[str, np.ufunc] = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
"""Reductions that are one call of NumPy's."""


class _Grid:
    """The calls of one equation."""

    def __init__(self, grid: Grid, out: Lowered, prefix: str) -> None:
        self.grid, self.out, self.prefix = grid, out, prefix
        self.free: dict[tuple[tuple[str, ...], bool], list[str]] = {}

    def write(self) -> None:
        found = self.value(self.grid.equation.right)
        self.emit(_copied, [found], Operand(self.grid.name, self.grid.free))

    # memory

    def buffer(self, letters: tuple[str, ...], boolean: bool = False) -> Operand:
        free = self.free.get((letters, boolean))
        if free:
            return Operand(free.pop(), letters)
        name = f"{self.prefix}{len(self.out.buffers)}"
        self.out.buffers[name] = Buffer(tuple(self.grid.size[k] for k in letters), boolean)
        return Operand(name, letters)

    def release(self, *operands: Operand) -> None:
        for o in operands:
            if o.name in self.out.buffers:
                self.free.setdefault((o.letters, self.out.buffers[o.name].boolean), []).append(o.name)

    def ordered(self, letters: set[str]) -> tuple[str, ...]:
        return tuple(k for k in self.grid.letters if k in letters)

    def emit(
        self, make: Callable[..., Bound], operands: Sequence[Operand], to: Operand, letters: tuple[str, ...] = ()
    ) -> None:
        over = letters or to.letters

        def call(arrays: Arrays) -> Bound:
            return make(to.view(arrays, to.letters), *(o.view(arrays, over) for o in operands))

        self.out.calls.append((self.grid.name, call))

    def apply(self, make: Callable[..., Bound], *operands: Operand, boolean: bool = False) -> Operand:
        """Returns where an operation entry by entry leaves its result; in an operand's place where that fits."""
        letters = self.ordered({k for o in operands for k in o.letters})
        same = [o for o in operands if o.name in self.out.buffers and o.letters == letters]
        reused = next((o for o in same if self.out.buffers[o.name].boolean == boolean), None)
        to = reused or self.buffer(letters, boolean)
        self.emit(make, operands, to)
        self.release(*(o for o in operands if o is not reused))
        return to

    # expressions

    def value(self, node: Expr) -> Operand:
        """Returns where the value of an expression is."""
        match node:
            case Number(value=value):
                return Operand(number=float(value))
            case Name(id=name):
                return self.name(name)
            case Read():
                return self.read(node)
            case Negate(operand=operand):
                inner = self.value(operand)
                return (
                    Operand(number=-inner.number)
                    if inner.number is not None
                    else self.apply(_ufunc(np.negative), inner)
                )
            case Binary(op="**", left=left, right=Number(value=2)):
                return self.apply(_square, self.value(left))
            case Binary(op="*"):
                return self.product(node)
            case Binary(op=op, left=left, right=right) | Compare(op=op, left=left, right=right):
                return self.apply(_ufunc(UFUNCS[op]), *self.pair(left, right))
            case Call(fn="where", args=(condition, then, other)):
                return self.cases(condition, then, other)
            case Call(fn="exp", args=(z,)):
                return self.apply(_exp, self.value(z))
            case Call(fn="log1pexp" | "softplus", args=(z,)):
                return self.apply(_softplus, self.value(z))
            case Call(fn="relu", args=(z,)):
                return self.apply(_relu, self.value(z))
            case Call(fn="sigmoid", args=(z,)):
                inner = self.value(z)
                if inner.number is None:
                    scratch = self.buffer(inner.letters)
                    to = self.buffer(inner.letters)
                    self.emit(_sigmoid, [inner, scratch], to)
                    self.release(inner, scratch)
                    return to
            case Call(fn="clip", args=(z, low, high)):
                raised = self.apply(_ufunc(np.maximum), *self.pair(z, low))
                return self.apply(_ufunc(np.minimum), raised, self.value(high))
            case Call(fn=fn, args=args) if fn in UFUNCS:
                return self.apply(_ufunc(UFUNCS[fn]), *map(self.value, args))
            case Reduce(fn="count"):
                return Operand(number=float(np.prod([self.grid.size[k] for k in node.letters])))
            case Reduce():
                return self.reduced(node)
        raise _NotLoweredError

    def pair(self, left: Expr, right: Expr) -> tuple[Operand, Operand]:
        return self.value(left), self.value(right)

    def name(self, name: str) -> Operand:
        if name in self.grid.axis:
            raise _NotLoweredError
        if name in CONSTANTS:
            return Operand(number=CONSTANTS[name])
        return Operand(name)

    def read(self, node: Read) -> Operand:
        letters = tuple(i.id for i in node.index if isinstance(i, Name) and i.id in self.grid.axis)
        shape = self.out.program.shapes.get(node.array) or self.shape(node.array)
        if len(letters) != len(node.index) or len(set(letters)) != len(letters):
            raise _NotLoweredError
        if shape is None or tuple(self.grid.size[k] for k in letters) != tuple(shape):
            raise _NotLoweredError
        return Operand(node.array, letters)

    def shape(self, name: str) -> Shape | None:
        return next((g.shape for g in self.out.program.grids if g.name == name), None)

    def cases(self, condition: Expr, then: Expr, other: Expr) -> Operand:
        holds = self.value(condition)
        mask = self.apply(_holds, holds, boolean=True)
        one, two = self.pair(then, other)
        letters = self.ordered({k for o in (mask, one, two) for k in o.letters})
        to = self.buffer(letters)
        self.emit(_where, [mask, one, two], to)
        self.release(mask, one, two)
        return to

    # sums

    def factors(self, node: Expr) -> list[Expr]:
        match node:
            case Binary(op="*", left=left, right=right):
                return self.factors(left) + self.factors(right)
        return [node]

    def product(self, node: Expr) -> Operand:
        """Returns a product, what depends on fewer indices multiplied first."""
        found = sorted(map(self.value, self.factors(node)), key=lambda o: len(o.letters))
        whole = found[0]
        for operand in found[1:]:
            whole = self.apply(_ufunc(np.multiply), whole, operand)
        return whole

    def reduced(self, node: Reduce) -> Operand:
        match node.fn:
            case "sum":
                return self.sum(node.body, node.letters)
            case "mean":
                whole = self.sum(node.body, node.letters)
                count = float(np.prod([self.grid.size[k] for k in node.letters]))
                return self.apply(_ufunc(np.divide), whole, Operand(number=count))
            case "norm":
                squares = self.fold("sum", self.apply(_square, self.value(node.body)), node.letters)
                return self.apply(_ufunc(np.sqrt), squares)
            case "logsumexp":
                body = self.value(node.body)
                top = self.fold("max", body, node.letters, keep=True)
                powers = self.buffer(self.ordered({*body.letters, *top.letters}))
                self.emit(_ufunc(np.subtract), [body, top], powers)
                total = self.fold("sum", self.apply(_exp, powers), node.letters)
                return self.apply(_ufunc(np.add), self.apply(_ufunc(np.log), total), top)
            case "prod" | "max" | "min":
                return self.fold(node.fn, self.value(node.body), node.letters)
        raise _NotLoweredError

    def fold(self, fn: str, body: Operand, over: Sequence[str], *, keep: bool = False) -> Operand:
        """Returns a reduction over indices; of one that the body does not depend on, its value so many times."""
        if body.number is not None or not set(over) <= set(body.letters):
            raise _NotLoweredError
        letters = self.ordered(set(body.letters))
        to = self.buffer(tuple(k for k in letters if k not in over))
        axes = tuple(i for i, k in enumerate(letters) if k in over)
        self.emit(_fold(FOLDS[fn], axes), [body], to, letters)
        if not keep:
            self.release(body)
        return to

    def sum(self, body: Expr, over: Sequence[str]) -> Operand:
        """Returns a sum: of a product of two, a matrix product where it is one."""
        found = [self.value(f) for f in self.factors(body)]
        scale = [o for o in found if not set(o.letters) & set(over)]
        inside = sorted((o for o in found if o not in scale), key=lambda o: -len(o.letters))
        joined: list[Operand] = []
        for operand in inside:
            at = next((i for i, o in enumerate(joined) if set(operand.letters) <= set(o.letters)), None)
            if at is None:
                joined.append(operand)
            else:
                joined[at] = self.apply(_ufunc(np.multiply), joined[at], operand)
        if not joined:
            raise _NotLoweredError
        whole = joined[0]
        if len(joined) > 1:
            whole = self.contracted(joined, over)
        else:
            whole = self.fold("sum", whole, over)
        for operand in scale:
            whole = self.apply(_ufunc(np.multiply), whole, operand)
        return whole

    def contracted(self, operands: Sequence[Operand], over: Sequence[str]) -> Operand:
        every = {k for o in operands for k in o.letters}
        if not set(over) <= every:
            raise _NotLoweredError
        to = self.buffer(self.ordered(every - set(over)))
        a, b = operands[0], operands[1]
        common = set(a.letters) & set(b.letters)
        if len(operands) == 2 and len(a.letters) == len(b.letters) == 2 and common == set(over) and len(common) == 1:
            k = next(iter(common))
            left = next(c for c in a.letters if c != k)
            if to.letters[0] != left:
                a, b = b, a
            rows, columns = (next(c for c in o.letters if c != k) for o in (a, b))
            one, two = a, b

            def matmul(arrays: Arrays) -> Bound:
                x, y, out = one.view(arrays, (rows, k)), two.view(arrays, (k, columns)), to.view(arrays, to.letters)
                multiply = arrays.get("matmul", np.matmul)
                return lambda: multiply(x, y, out=out)

            self.out.calls.append((self.grid.name, matmul))
        else:
            number = {k: i for i, k in enumerate(self.grid.letters)}

            def einsum(arrays: Arrays) -> Bound:
                flat: list[Any] = []
                for o in operands:
                    flat += [o.view(arrays, o.letters), [number[k] for k in o.letters]]
                out, axes = to.view(arrays, to.letters), [number[k] for k in to.letters]
                return lambda: np.einsum(*flat, axes, out=out, optimize=len(operands) > 2)

            self.out.calls.append((self.grid.name, einsum))
        self.release(*operands)
        return to


# the calls


def _ufunc(fn: np.ufunc) -> Callable[..., Bound]:
    return lambda out, *args: lambda: fn(*args, out=out)


def _copied(out: Array, a: Any) -> Bound:
    return lambda: np.copyto(out, a)


def _square(out: Array, a: Any) -> Bound:
    return lambda: np.multiply(a, a, out=out)


def _exp(out: Array, a: Any) -> Bound:
    limit = 700.0 if out.dtype.itemsize == 8 else 88.0

    def call() -> None:
        np.minimum(a, limit, out=out)
        np.exp(out, out=out)

    return call


def _softplus(out: Array, a: Any) -> Bound:
    return lambda: np.logaddexp(a, 0, out=out)


def _relu(out: Array, a: Any) -> Bound:
    return lambda: np.maximum(a, 0, out=out)


def _sigmoid(out: Array, a: Array, scratch: Array) -> Bound:
    return lambda: stable.sigmoid(a, out, scratch)  # type: ignore[return-value]


def _holds(out: Array, a: Any) -> Bound:
    return lambda: np.not_equal(a, 0, out=out)


def _where(out: Array, mask: Array, then: Any, other: Any) -> Bound:
    def call() -> None:
        np.copyto(out, other)
        np.copyto(out, then, where=mask)

    return call


def _fold(fn: np.ufunc, axes: tuple[int, ...]) -> Callable[..., Bound]:
    return lambda out, a: lambda: fn.reduce(a, axis=axes, out=out)
