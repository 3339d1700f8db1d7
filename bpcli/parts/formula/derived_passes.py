"""Passes that a part of one's own leaves out: they follow from the forward equations that it states.

A class may state forward equations alone, or them and a forward kernel; what its family asks for besides is put in
here, as calls on its frame that allocate nothing.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bpcli.family import Array, Frame, Layer, Loss, N, Part, Plan, Regularizer, Shape, ShapeError, Slot
from bpcli.notation import Eq, NotationError
from bpcli.notation.syntax import parse
from bpcli.parts.formula.calls import TRIED, arrays_of, bound_calls, row_shape, slots
from bpcli.parts.formula.lowered import Bound
from bpcli.parts.formula.penalty import run_penalty
from bpcli.parts.formula.program import FormulaProgram, formula_program, row_that_fits

Slots = dict[str, Slot]


def add_derived_passes(leaf: type[Part]) -> None:
    """Gives a layer, a loss or a penalty that states equations the passes that it lacks; else leaves it as it is."""
    missing = set(leaf.__abstractmethods__)
    kinds: tuple[tuple[Any, Callable[[Any, set[str]], None]], ...] = (
        (Layer, _add_to_layer), (Loss, _add_to_loss), (Regularizer, _add_to_penalty),
    )  # fmt: skip
    for family, add in kinds:
        if missing and issubclass(leaf, family) and getattr(leaf, "equations", None) is not family.equations:
            add(leaf, missing)
            abc.update_abstractmethods(leaf)


def _compiled(
    eqs: Iterable[Eq],
    output: str,
    shapes: Mapping[str, Shape],
    numbers: Mapping[str, float],
    by: tuple[str, ...],
    buffers: str,
) -> FormulaProgram:
    """Returns a part's forward equations compiled, whatever else it states. Raises ShapeError where they do not fit."""
    gradients = {f"d{name}" for name in by}
    forward = tuple(e for e in eqs if parse(e).name not in gradients and not e.detail)
    try:
        return formula_program(forward, output, tuple(shapes.items()), tuple(numbers.items()), by, buffers)
    except NotationError as error:
        raise ShapeError(f"its equations: {error}", error.help) from None


def _with_derived(stated: Iterable[Eq], program: FormulaProgram) -> list[Eq]:
    """Returns what an author states, and what is derived where he states nothing."""
    stated = list(stated)
    known = {parse(e).name for e in stated}
    return [*stated, *(e for e in program.equations if parse(e).name not in known)]


def _numbers(part: Part, own: Plan) -> dict[str, float]:
    """Returns the constants of a part's equations: its settings that are numbers, and those of its plan."""
    arrays = {*own.params, *own.keep, *own.scratch, *own.draws, *own.state}
    return {**{name: v for name, v in part.consts().items() if name not in arrays}, **own.consts}


def _memory(
    pairs: Iterable[tuple[FormulaProgram, FormulaProgram]], own: Plan, outputs: Collection[str], runs_itself: bool
) -> tuple[Slots, Slots]:
    """Returns what lives from forward to backward, and what does not, with what the part asks for itself. Beside a
    forward kernel of its own, what this does not keep is computed again."""
    keep: Slots = {}
    scratch: Slots = {}
    for small, large in pairs:
        steps, more = slots(small, large)
        keep |= {name: slot for name, slot in steps.items() if name not in outputs}
        scratch |= {name: slot for name, slot in more.items() if name not in outputs}
    if runs_itself:
        keep, scratch = {}, scratch | {name: slot for name, slot in keep.items() if name not in own.keep}
    return {**keep, **own.keep}, {**scratch, **own.scratch}


def _forward_calls(program: FormulaProgram, arrays: Mapping[str, Any]) -> list[Bound]:
    return program.forward.bind(arrays)


def _backward_calls(
    program: FormulaProgram, arrays: Mapping[str, Any], without: Sequence[str], kept: Collection[str] | None
) -> list[Bound]:
    """Returns the calls of the backward pass; before them those of what a forward kernel has not `kept`."""
    again = [] if kept is None else [call(arrays) for name, call in program.forward.calls if name not in kept]
    return [*again, *program.backward.bind(arrays, without)]


def _names(program: FormulaProgram) -> set[str]:
    """Returns the left sides of a program and what its calls need besides."""
    left = {g.name for p in program.lowered for g in p.program.grids}
    return left | {name for p in program.lowered for name in p.buffers}


def _put(leaf: Any, missing: set[str], **methods: Any) -> None:
    for name in missing & methods.keys():
        setattr(leaf, name, methods[name])


# layers


def _add_to_layer(leaf: Any, missing: set[str]) -> None:
    own_plan, own_equations = leaf.plan, leaf.equations
    runs_itself = "forward" not in missing

    def program(self: Layer, x: Shape, own: Plan, rows: int, train: bool) -> FormulaProgram:
        if own.inside:
            text = f"{leaf.__name__} holds layers, and its backward pass is not derived"
            raise ShapeError(text, "write `backward`, or take the layers out")
        shapes = {"x": (rows, *x), **{name: p.shape for name, p in own.params.items()}}
        for name, slot in {**own.draws, **own.state}.items():
            shapes[name] = tuple(rows if d == N else d for d in slot.shape)
        by = ("x", *own.params)
        eqs = own_equations(self, train, x)
        return _compiled(eqs, "y", shapes, _numbers(self, own), by, "train" if train else "evaluation")

    @functools.wraps(own_plan)
    def plan(self: Layer, x: Shape) -> Plan:
        own: Plan = own_plan(self, x)
        pairs = [
            (program(self, x, own, TRIED[0], train), program(self, x, own, TRIED[1], train)) for train in (True, False)
        ]
        found = row_shape(*pairs[0], "y")
        if found is None:
            raise ShapeError("y has no axis of rows", "let the first index of y be n, as that of x")
        if found != own.y and own_plan is not Layer.plan:
            raise ShapeError(f"its plan gives y the shape {own.y}, and its equations {found}", "let them agree")
        keep, scratch = _memory(pairs, own, {"y", "dx", *(f"d{name}" for name in own.params)}, runs_itself)
        numbers, skips_dx = _numbers(self, own), bool(own.params)
        return replace(own, y=found, keep=keep, scratch=scratch, consts=numbers, skips_dx=skips_dx)

    def calls(self: Layer, f: Frame, train: bool, back: bool) -> list[Bound]:
        def bind() -> list[Bound]:
            x = f.x.shape[1:]
            own: Plan = own_plan(self, x)
            found = program(self, x, own, len(f.x), train)
            names = {"x", "dy", *own.params, *own.draws, *own.state, *_names(found)}
            arrays = arrays_of(f, names, _numbers(self, own))
            if not back:
                return _forward_calls(found, arrays)
            return _backward_calls(
                found, arrays, ("dx",) if f.dx is None else (), {"y", *own.keep} if runs_itself else None
            )

        return bound_calls(f, f"{train} {back}", (f.x, f.y, f.dx, f.dy), bind)

    def forward(self: Layer, f: Frame, train: bool) -> None:
        for call in calls(self, f, train, False):
            call()

    def backward(self: Layer, f: Frame, train: bool) -> None:
        for call in calls(self, f, train, True):
            call()

    @functools.wraps(own_equations)
    def equations(self: Layer, train: bool, x: Shape) -> list[Eq]:
        return _with_derived(own_equations(self, train, x), program(self, x, own_plan(self, x), TRIED[0], train))

    leaf.plan, leaf.equations = plan, equations
    _put(leaf, missing, forward=forward, backward=backward)


# losses


def _add_to_loss(leaf: Any, missing: set[str]) -> None:
    own_plan, own_equations = leaf.plan, leaf.equations
    runs_itself = "forward" not in missing

    def numbers(self: Loss, own: Plan) -> dict[str, float]:
        return {"K": float(own.y[-1]) if own.y else 1.0, **_numbers(self, own)}

    def program(self: Loss, x: Shape, own: Plan, rows: int, weighted: bool) -> FormulaProgram:
        shapes = {"x": (rows, *x), "t": (rows, *own.y), **({"w": (rows,)} if weighted else {})}
        eqs = own_equations(self, weighted)
        found = _compiled(eqs, "L", shapes, numbers(self, own), ("x",), "weighted" if weighted else "mean")
        if found.shape("L"):
            raise ShapeError(f"a loss is one number, and L has the shape {found.shape('L')}", "take its mean over n")
        return found

    @functools.wraps(own_plan)
    def plan(self: Loss, x: Shape) -> Plan:
        own: Plan = own_plan(self, x)
        pairs = [
            (program(self, x, own, TRIED[0], weighted), program(self, x, own, TRIED[1], weighted))
            for weighted in (False, True)
        ]
        keep, scratch = _memory(pairs, own, {"dx"}, runs_itself)
        return replace(own, keep=keep, scratch=scratch, consts=_numbers(self, own))

    def calls(self: Loss, f: Frame, back: bool) -> list[Bound]:
        weighted = f.w is not None

        def bind() -> list[Bound]:
            x = f.x.shape[1:]
            own: Plan = own_plan(self, x)
            found = program(self, x, own, len(f.x), weighted)
            names = {"x", "t", *(("w",) if weighted else ()), *_names(found)}
            arrays = arrays_of(f, names, numbers(self, own))
            if not back:
                return _forward_calls(found, arrays)
            return _backward_calls(found, arrays, (), {*own.keep} if runs_itself else None)

        return bound_calls(f, str(back), (f.x, f.t, f.w, f.dx), bind)

    def forward(self: Loss, f: Frame) -> float:
        for call in calls(self, f, False):
            call()
        return float(f.L)

    def backward(self: Loss, f: Frame) -> None:
        for call in calls(self, f, True):
            call()

    @functools.wraps(own_equations)
    def equations(self: Loss, weighted: bool) -> list[Eq]:
        stated = own_equations(self, weighted)
        x = row_that_fits(stated)
        return _with_derived(stated, program(self, x, own_plan(self, x), TRIED[0], weighted))

    leaf.plan, leaf.equations = plan, equations
    _put(leaf, missing, forward=forward, backward=backward)


# penalties


def _add_to_penalty(leaf: Any, missing: set[str]) -> None:
    own_equations = leaf.equations

    def program(self: Regularizer, weights: int) -> FormulaProgram:
        return _compiled(own_equations(self), "penalty", {"w": (weights,)}, self.consts(), ("w",), "penalty")

    def value(self: Regularizer, w: Array, scratch: Array) -> float:
        return run_penalty(program(self, len(w)), self.consts(), w)

    def add_grad(self: Regularizer, w: Array, g: Array, scratch: Array) -> None:
        run_penalty(program(self, len(w)), self.consts(), w, scratch)
        np.add(g, scratch, out=g)

    @functools.wraps(own_equations)
    def equations(self: Regularizer) -> list[Eq]:
        return _with_derived(own_equations(self), program(self, 2))

    leaf.equations = equations
    _put(leaf, missing, value=value, add_grad=add_grad)
