"""A formula's calls on the arrays of a frame, and the memory that they ask for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from bpcli.family import Frame, N, ShapeError, Slot
from bpcli.numeric.shapes import Shape
from bpcli.parts.formula.lowered import Bound
from bpcli.parts.formula.program import FormulaProgram

TRIED = (2, 3)
"""Rows of the batches that a formula is planned for: an axis that is as long as both is that of rows."""


def row_shape(small: FormulaProgram, large: FormulaProgram, name: str) -> Shape | None:
    """Returns the shape of a row of a left side, or None where its first axis is not that of rows."""
    one, two = small.shape(name), large.shape(name)
    return one[1:] if one[:1] == TRIED[:1] and two[:1] == TRIED[1:] and one[1:] == two[1:] else None


def slots(small: FormulaProgram, large: FormulaProgram) -> tuple[dict[str, Slot], dict[str, Slot]]:
    """Returns what lives from forward to backward, every left side on the way, and what only the calls need."""
    steps = {g.name: _slot(small.shape(g.name), large.shape(g.name)) for g in small.forward.program.grids}
    scratch = {g.name: _slot(small.shape(g.name), large.shape(g.name)) for g in small.backward.program.grids}
    for one, two in zip(small.lowered, large.lowered, strict=True):
        for name, buffer in one.buffers.items():
            scratch[name] = _slot(buffer.shape, two.buffers[name].shape, boolean=buffer.boolean)
    return steps, scratch


def _slot(one: Shape, two: Shape, *, boolean: bool = False) -> Slot:
    shape = tuple(N if (a, b) == TRIED else a for a, b in zip(one, two, strict=True))
    if any(d == N and b != TRIED[1] for d, b in zip(shape, two, strict=True)):
        raise ShapeError("an array of the formula grows with the rows otherwise than they do", "let its index be n")
    return Slot(shape, "bool" if boolean else "float")


def bound_calls(f: Frame, name: str, views: tuple[Any, ...], bind: Callable[[], list[Bound]]) -> list[Bound]:
    """Returns calls that are kept in the frame by name as long as these views are the same."""
    kept: dict[str, list[Bound]]
    known, kept = getattr(f, "recorded", (None, {}))
    if known is None or len(known) != len(views) or any(a is not b for a, b in zip(views, known, strict=True)):
        kept = {}
        f.recorded = (views, kept)
    if name not in kept:
        kept[name] = bind()
    return kept[name]


def arrays_of(f: Frame, names: Collection[str], settings: Mapping[str, float]) -> dict[str, Any]:
    """Returns a frame's arrays by these names, the settings, and how it multiplies matrices."""
    return {**{name: getattr(f, name) for name in names}, **settings, "matmul": f.matmul}
