"""The computational graph of equations: one node for each array, number and operation, none of them twice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bpcli.notation.derive.source import typed, typed_equation
from bpcli.notation.derive.trees import names, replaced
from bpcli.notation.evaluate import CONSTANTS, Grid
from bpcli.notation.syntax import (
    Binary,
    Bind,
    Call,
    Eq,
    Equation,
    Expr,
    Name,
    NotationError,
    Number,
    Read,
    Reduce,
    changed,
    walk,
)  # fmt: skip
from bpcli.numeric.shapes import Shape

MAX_NODES = 400
"""Nodes of a graph, above which nobody can follow it."""


@dataclass(frozen=True)
class FormulaNode:
    """An array or a number that is read (`right` is None), or an operation on the nodes that `right` reads.

    `letters` are the indices of an operation's result and `shape` its sizes. `own` says whether the equations call it
    by this name; otherwise it is a quantity on the way, v1, v2 ...
    """

    name: str
    letters: tuple[str, ...] = ()
    shape: Shape = ()
    right: Expr | None = None
    own: bool = True

    @property
    def read(self) -> Expr:
        """Its entry as it is read."""
        return Read(self.name, tuple(map(Name, self.letters))) if self.letters else Name(self.name)

    @property
    def operands(self) -> tuple[str, ...]:
        """The names of what its operation reads, in order; constants and indices are among them."""
        found = [] if self.right is None else list(walk(self.right))
        return tuple(
            dict.fromkeys(n.array if isinstance(n, Read) else n.id for n in found if isinstance(n, Read | Name))
        )

    @property
    def equation(self) -> Eq:
        """Its operation as it is typed."""
        assert self.right is not None, "an input has no operation"
        free = tuple(map(Bind, self.letters))
        return typed_equation(Equation(self.name, free, self.right, Eq("", "")))


def graph_nodes(
    grids: Sequence[Grid], shapes: Mapping[str, Shape], constants: Collection[str] = ()
) -> tuple[FormulaNode, ...]:
    """Returns the nodes of compiled equations, each after those that it reads; the last is the last equation's.

    `shapes` are those of the arrays and numbers that are read, `constants` the numbers that are no nodes but part of an
    operation. Equal expressions are one node. Raises NotationError where there are more than MAX_NODES.
    """
    builder = _Builder(shapes, constants, {g.name for g in grids})
    for grid in grids:
        builder.add_equation(grid)
    return tuple(builder.nodes.values())


class _Builder:
    def __init__(self, shapes: Mapping[str, Shape], constants: Collection[str], computed: Collection[str]) -> None:
        self.shapes, self.constants = dict(shapes), {*constants, *CONSTANTS}
        self.taken = {*shapes, *computed}
        self.nodes: dict[str, FormulaNode] = {}
        self.known: dict[tuple[str, Shape], str] = {}
        self.size: dict[str, int] = {}
        self.count = 0

    def add_equation(self, grid: Grid) -> None:
        self.size = dict(grid.size)
        scope = grid.free
        inside = self._with_flat_operands(grid.equation.right, scope)
        self._put(FormulaNode(grid.name, scope, grid.shape, inside))

    def _put(self, node: FormulaNode) -> None:
        self.nodes[node.name] = node
        if len(self.nodes) > MAX_NODES:
            raise NotationError(
                f"the graph has more than {MAX_NODES} nodes", "a smaller formula or network: fewer layers or equations"
            )

    def _input(self, name: str) -> None:
        if name not in self.nodes:
            self._put(FormulaNode(name, shape=self.shapes.get(name, ())))

    def _is_constant(self, node: Expr) -> bool:
        """Whether an expression reads no node."""
        return not any(
            isinstance(n, Read) or (isinstance(n, Name) and n.id not in self.size and n.id not in self.constants)
            for n in walk(node)
        )

    def _flat(self, node: Expr, scope: tuple[str, ...]) -> Expr:
        """Returns what an operation reads in place of an expression: an entry of a node, or a constant."""
        if self._is_constant(node):
            return node
        if _is_read(node):
            self._inputs_of(node)
            return node
        right = self._with_flat_operands(node, scope)
        used = names(right)
        letters = tuple(k for k in scope if k in used)
        shape = tuple(self.size[k] for k in letters)
        key = typed(replaced(right, {k: Name(f"i{place}") for place, k in enumerate(letters)})), shape
        if key not in self.known:
            self.known[key] = self._new_name()
            self._put(FormulaNode(self.known[key], letters, shape, right, own=False))
        return Read(self.known[key], tuple(map(Name, letters))) if letters else Name(self.known[key])

    def _with_flat_operands(self, node: Expr, scope: tuple[str, ...]) -> Expr:
        """Returns an operation on entries of nodes. A sum of products of what is read is one operation, and a condition
        stays as it is written."""
        match node:
            case Reduce(fn="count"):
                return node
            case Reduce(fn=fn, over=over, body=body, extra=extra):
                wider = (*scope, *(k for k in node.letters if k not in scope))
                if fn in ("sum", "mean") and all(map(_is_read, _factors(body))):
                    self._inputs_of(body)
                    return node
                return Reduce(fn, over, self._flat(body, wider), extra)
            case Call(fn="where", args=(condition, then, other)):
                self._inputs_of(condition)
                return Call("where", (condition, self._flat(then, scope), self._flat(other, scope)))
        if _is_read(node):
            self._inputs_of(node)
            return node
        return changed(node, lambda inside: self._flat(inside, scope))

    def _inputs_of(self, node: Expr) -> None:
        for n in walk(node):
            if isinstance(n, Read):
                self._input(n.array)
            elif isinstance(n, Name) and n.id not in self.size and n.id not in self.constants:
                self._input(n.id)

    def _new_name(self) -> str:
        while True:
            self.count += 1
            if (name := f"v{self.count}") not in self.taken:
                return name


def _is_read(node: Expr) -> bool:
    """Whether an expression is one entry, as it is read."""
    return isinstance(node, Read | Name | Number) or (
        isinstance(node, Call) and node.fn == "pad" and all(map(_is_read, node.args))
    )


def _factors(node: Expr) -> list[Expr]:
    if isinstance(node, Binary) and node.op == "*":
        return _factors(node.left) + _factors(node.right)
    return [node]
