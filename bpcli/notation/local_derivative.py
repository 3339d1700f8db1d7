"""The local factor of a layer as a formula: its backward equation with an error of 1 at one output and 0 elsewhere,
and numbers in place of index letters."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from bpcli.notation.entries_read import reads_numbers
from bpcli.notation.evaluate import Grid
from bpcli.notation.ranges import WHOLE
from bpcli.notation.syntax import Binary, Bind, Call, Compare, Expr, Name, Negate, Number, Read, Reduce, changed, walk
from bpcli.numeric.shapes import EntryIndex

MAX_INDICES_TRIED = 4096  # values of the unknown indices


class LocalDerivative:
    """The backward equation `grid` at the entry `at`, where `dy` is 1 at `to` and 0 elsewhere."""

    def __init__(self, grid: Grid, env: Mapping[str, Any], at: EntryIndex, to: EntryIndex) -> None:
        self.grid, self.env, self.to = grid, env, to
        self.letters: dict[str, Number] = {k: Number(i) for k, i in zip(grid.free, at, strict=True)}
        self.indices: list[tuple[Expr, int]] = []  # what an index of dy has to come to
        self.branches: list[tuple[Expr, bool]] = []  # conditions on indices, and whether dy stands where they hold

    def factor(self) -> Expr | None:
        """Returns the expression with `dy` dropped; None where it is no single product at one place."""
        body = self._without_error(self.grid.equation.right)
        if body is None or not self._fits({}):
            return None
        numbers = {k: Number(int(self.env[k])) for k in _settings(self.grid)}
        return with_indices(body, {**numbers, **self.letters})

    def _without_error(self, node: Expr) -> Expr | None:
        match node:
            case Read(array="dy", index=index):
                for i, chosen in zip(index, self.to, strict=True):
                    if isinstance(i, Name) and i.id in self.grid.letters:
                        self.letters.setdefault(i.id, Number(chosen))
                    self.indices.append((i, chosen))
                return Number(1)
            case Call(fn="pad", args=(Read(array="dy") as read, *_)):
                return self._without_error(read)
            case Reduce(fn="sum", body=body):
                inner = self._without_error(body)
                return inner if inner is not None and self._solved(node.letters) else None
            case Negate(operand=operand):
                inner = self._without_error(operand)
                return None if inner is None else Negate(inner)
            case Binary(op="*", left=left, right=right):
                first = self._without_error(left)
                if first is not None:
                    return right if first == Number(1) else Binary("*", first, right)
                second = self._without_error(right)
                return None if second is None else left if second == Number(1) else Binary("*", left, second)
            case Binary(op="+", left=left, right=right):  # a term without dy is what came another way: 0 here
                first, second = self._without_error(left), self._without_error(right)
                return first if second is None else second if first is None else None
            case Binary(op="/", left=left, right=right):
                first = self._without_error(left)
                return None if first is None else Binary("/", first, right)
            case Call(fn="where", args=(condition, then, other)):
                return self._branch(condition, then, other)
        return None

    def _branch(self, condition: Expr, then: Expr, other: Expr) -> Expr | None:
        parts = [self._without_error(p) for p in (then, other)]
        if not reads_numbers(condition) and (parts[0] is None) != (parts[1] is None):
            self.branches.append((condition, parts[0] is not None))
            return parts[0] if parts[1] is None else parts[1]
        one, two = (p if p is not None else branch if isinstance(branch, Number) else None
                    for p, branch in zip(parts, (then, other), strict=True))  # fmt: skip
        return None if one is None or two is None else Call("where", (condition, one, two))

    def _solved(self, letters: Sequence[str]) -> bool:
        """Whether there is one place in a sum at which dy is read at `to`; its letters get their numbers."""
        unknown = sorted(set(letters) - self.letters.keys())
        sizes = [self.grid.size[k] for k in unknown]
        if math.prod(sizes) > MAX_INDICES_TRIED:
            return False
        tried = (dict(zip(unknown, chosen, strict=True)) for chosen in itertools.product(*map(range, sizes)))
        found = [chosen for chosen in tried if self._fits(chosen)]
        if len(found) == 1:
            self.letters |= {k: Number(i) for k, i in found[0].items()}
        return len(found) == 1

    def _fits(self, chosen: Mapping[str, int]) -> bool:
        index = {**{k: int(n.value) for k, n in self.letters.items()}, **chosen}
        wanted = [*self.indices, *self.branches]
        return all(self.grid.at(self.env, expression, index) == value for expression, value in wanted)


def _settings(grid: Grid) -> set[str]:
    """Returns the whole numbers that indices and their ranges are computed with: strides, sizes of windows."""
    found: set[str] = set()
    for node in walk(grid.equation.right):
        inside: tuple[Expr, ...] = ()
        match node:
            case Read(index=index):
                inside = index
            case Reduce(over=over):
                inside = tuple(b.size for b in over if isinstance(b, Bind) and b.size is not None)
        found |= {n.id for e in inside for n in walk(e) if isinstance(n, Name)}
    return found - set(grid.letters)


def with_indices(node: Expr, letters: Mapping[str, Number]) -> Expr:
    """Returns the expression with numbers in place of letters; an index, and what is compared, worked out where it can
    be."""
    match node:
        case Name(id=name):
            return letters.get(name, node)
        case Read(array=array, index=index):
            return Read(array, tuple(_worked(with_indices(i, letters)) for i in index))
        case Compare(op=op, left=left, right=right):
            return Compare(op, _worked(with_indices(left, letters)), _worked(with_indices(right, letters)))
        case Reduce(fn=fn, over=over, body=body, extra=extra):
            inner = {k: v for k, v in letters.items() if k not in node.letters}
            return Reduce(fn, over, with_indices(body, inner), extra)
    return changed(node, lambda inside: with_indices(inside, letters))


def _worked(node: Expr) -> Expr:
    """Works out arithmetic of whole numbers: 2*1 + 0 - 1 is 1."""
    if isinstance(node, Binary):
        left, right = _worked(node.left), _worked(node.right)
        match left, right:
            case Number(value=int() as a), Number(value=int() as b) if node.op in WHOLE and (b or node.op in "+-*"):
                return Number(WHOLE[node.op](a, b))
        return Binary(node.op, left, right)
    return node
