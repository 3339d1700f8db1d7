"""Where an equation reads: the entries behind one entry of its left side, and the terms of a sum that index arithmetic
alone makes 0 (padding, the gaps that a stride leaves), whatever the numbers are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bpcli.notation.evaluate import Grid
from bpcli.notation.syntax import Binary, Call, Expr, Name, Negate, Number, Read, Reduce, children, walk
from bpcli.numeric.shapes import Array, EntryIndex

IndexValues = Mapping[str, int]


def reads_numbers(node: Expr) -> bool:
    """Whether an expression reads an array: a condition that does not holds or fails by its place alone."""
    return any(isinstance(n, Read) for n in walk(node))


def padded_reads(node: Expr) -> list[Expr]:
    """Returns the reads that may lie outside their array."""
    return [n.args[0] for n in walk(node) if isinstance(n, Call) and n.fn == "pad"]


def entries_read(grid: Grid, env: Mapping[str, Any], index: IndexValues) -> dict[str, set[EntryIndex]]:
    """Returns which entries of which arrays the entry at `index` is computed from.

    Both branches of a condition on numbers count (a closed relu is on the way all the same), of one on indices only
    that which is taken; what lies outside its array is read nowhere.
    """
    found: dict[str, set[EntryIndex]] = {}

    def visit(node: Expr, conditions: tuple[tuple[Expr, bool], ...]) -> None:
        if isinstance(node, Call) and node.fn == "where" and not reads_numbers(node.args[0]):
            condition, then, other = node.args
            visit(then, (*conditions, (condition, True)))
            visit(other, (*conditions, (condition, False)))
            return
        if isinstance(node, Read):
            rows = _indices_read(grid, env, node, conditions, index)
            found.setdefault(node.array, set()).update(map(tuple, rows.tolist()))
        for child in children(node):
            visit(child, conditions)

    visit(grid.equation.right, ())
    return found


def _indices_read(
    grid: Grid, env: Mapping[str, Any], read: Read, conditions: Sequence[tuple[Expr, bool]], index: IndexValues
) -> Array:
    """Returns the places in its array at which a read stands, one a row, as often as it is read."""
    standing = {n.id for e in (read, *(c for c, _ in conditions)) for n in walk(e) if isinstance(n, Name)}
    letters = [k for k in grid.letters if k in standing and k not in index]
    taken = np.ones([grid.size[k] for k in letters], bool)
    for condition, wanted in conditions:
        taken &= (grid.over(env, condition, index, letters) != 0) == wanted
    axes = [grid.over(env, i, index, letters).astype(np.intp) for i in read.index]
    for axis, size in zip(axes, np.shape(env[read.array]), strict=True):
        taken &= (axis >= 0) & (axis < size)
    return np.stack([axis[taken] for axis in axes], axis=-1)


def zero_by_index(grid: Grid, env: Mapping[str, Any], node: Expr, index: IndexValues, letters: Sequence[str]) -> Array:
    """Returns where, with one axis for each of `letters`, an expression is 0 by its indices alone: it reads padding, or
    no branch that is taken reads anything."""

    def go(node: Expr) -> Array:
        match node:
            case Number(value=0):
                return np.array(True)
            case Negate(operand=inner) | Binary(op="/", left=inner):
                return go(inner)
            case Binary(op="*", left=left, right=right):
                return go(left) | go(right)
            case Binary(op="+" | "-", left=left, right=right):
                return go(left) & go(right)
            case Call(fn="pad", args=(Read(array=array, index=indices),)):
                axes = [grid.over(env, i, index, letters) for i in indices]
                sizes = np.shape(env[array])
                return np.asarray(np.any([(a < 0) | (a >= size) for a, size in zip(axes, sizes, strict=True)], axis=0))
            case Call(fn="where", args=(condition, then, other)) if not reads_numbers(condition):
                return np.where(grid.over(env, condition, index, letters) != 0, go(then), go(other))
        return np.array(False)

    return np.broadcast_to(go(node), [grid.size[k] for k in letters])


def window_spans(
    grid: Grid, env: Mapping[str, Any], node: Reduce, index: IndexValues
) -> list[tuple[str, list[tuple[int, int]]]]:
    """Returns the arrays over which a reduction moves a window, and from where to where it stands on each axis; an axis
    that it reads with gaps, or by division, is no window."""
    found = []
    for read in walk(node.body):
        if isinstance(read, Read) and any(_moves(i, node.letters) for i in read.index):
            spans = [np.unique(grid.over(env, i, index, node.letters).astype(np.intp)) for i in read.index]
            if all(len(s) == s[-1] - s[0] + 1 for s in spans):
                found.append((read.array, [(int(s[0]), int(s[-1])) for s in spans]))
    return found


def _moves(node: Expr, letters: Sequence[str]) -> bool:
    """Whether an index is a sum in which a letter of the reduction stands: s*p + u."""
    operators = {n.op for n in walk(node) if isinstance(n, Binary)}
    return bool(operators) and operators <= set("+-*") and any(n == Name(k) for n in walk(node) for k in letters)
