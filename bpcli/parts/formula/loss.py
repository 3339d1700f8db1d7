"""A loss that a file states as what one row costs."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Array, Frame, Link, Loss, Plan, Sample, Shape, ShapeError, Slot
from bpcli.family.part import Settings
from bpcli.notation import Eq, NotationError
from bpcli.notation.syntax import parse
from bpcli.parts.formula.calls import TRIED, arrays_of, bound_calls, slots
from bpcli.parts.formula.lowered import Bound
from bpcli.parts.formula.program import FormulaProgram, formula_program, row_that_fits
from bpcli.parts.formula.settings import Expression, FormulaNumbers, TypedEquation, stated_equation
from bpcli.parts.losses.averaging import ROWS, mean, over_rows

ROW = "row"
"""What one row costs, by its name in the equations."""


class FormulaLoss(Loss):
    """A loss stated as what one row costs: the mean over rows, the weighted one too, and the slopes follow.

    Shapes   x, t: n k; row: n
    Source   the file; `bpcli derive` shows how the slope follows
    Numerics each operation is one of NumPy's; those with a stable form (sigmoid, softplus, logsumexp) take it
    """

    model_config = ConfigDict(**Settings.model_config, populate_by_name=True, serialize_by_alias=True)

    type: Literal["formula"] = "formula"
    cost: Expression = Field(alias="L", description="what row n costs, as sum(k, (x[n,k] - t[n,k])**2)")
    steps: tuple[TypedEquation, ...] = Field(
        (), alias="equations", strict=False, description="equations, left = right, that it may read"
    )
    targets_: Literal["values", "classes"] = Field(
        "values", alias="targets", description="what t is: values, or classes as 0 and 1"
    )
    predicts: Literal["identity", "exp", "sigmoid", "softmax"] = Field(
        "identity", description="the function that makes predictions of x"
    )
    settings: FormulaNumbers = Field((), description="numbers that the equations mention, by name")
    default_metrics: ClassVar[tuple[str, ...]] = ()
    stated_in_file: ClassVar[bool] = True

    @property
    def targets(self) -> Literal["classes", "values"]:  # type: ignore[override]
        return self.targets_

    @property
    def link(self) -> Link:  # type: ignore[override]
        return self.predicts

    @field_validator("steps", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("steps")
    @classmethod
    def _are_readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(parse(e).name in (ROW, "L", "x", "t", "w") for e in map(stated_equation, value)):
            raise PydanticCustomError("formula", "x, t, w, L and row are names of the loss itself: choose others")
        return value

    def forward_equations(self, weighted: bool) -> tuple[Eq, ...]:
        """Returns the equations of the file, and that of the mean over rows."""
        steps = map(stated_equation, self.steps)
        row = Eq(f"{ROW}[n]", self.cost, "what a row costs, as the file states it")
        whole = f"sum(n, w[n] * {ROW}[n])" if weighted else f"mean(n, {ROW}[n])"
        return (*steps, row, Eq("L", whole, f"mean {over_rows(weighted)}"))

    def consts(self) -> Mapping[str, float]:
        return dict(self.settings)

    def plan(self, x: Shape) -> Plan:
        keep: dict[str, Slot] = {}
        scratch: dict[str, Slot] = {"rows": ROWS}
        for weighted in (False, True):
            steps, more = slots(*(self._program(x, rows, weighted=weighted) for rows in TRIED))
            keep |= steps
            scratch |= more
        for name in (ROW, "L", "dx"):
            keep.pop(name, None)
            scratch.pop(name, None)
        return Plan(y=x, keep=keep, scratch=scratch, consts=dict(self.settings))

    def _program(self, x: Shape, rows: int, *, weighted: bool) -> FormulaProgram:
        shapes: dict[str, Shape] = {"x": (rows, *x), "t": (rows, *x)} | ({"w": (rows,)} if weighted else {})
        numbers = (*self.settings, *((("K", x[-1]),) if x and "K" not in dict(self.settings) else ()))
        eqs, buffers = self.forward_equations(weighted), "weighted" if weighted else "mean"
        try:
            program = formula_program(eqs, "L", tuple(shapes.items()), numbers, ("x",), buffers)
        except NotationError as error:
            raise ShapeError(str(error), error.help if "Eq(" not in error.help else "") from None
        if program.shape(ROW) != (rows,):
            text = f"the loss of a row is one number, and L has the shape {program.shape(ROW)} for {rows} rows"
            raise ShapeError(text, "sum over k")
        return program

    def _bound(self, f: Frame, name: str) -> list[Bound]:
        """Returns the calls of a pass on the arrays of a frame."""
        weighted = f.w is not None

        def bind() -> list[Bound]:
            program = self._program(f.x.shape[1:], len(f.x), weighted=weighted)
            left = {g.name for p in program.lowered for g in p.program.grids} - {ROW, "L"}
            names = {"x", "t", *left, *(n for p in program.lowered for n in p.buffers)}
            arrays = arrays_of(f, names | ({"w"} if weighted else set()), dict(self.settings))
            arrays |= {ROW: f.rows, "K": f.x.shape[-1]} | dict(self.settings)
            return (program.forward if name == "forward" else program.backward).bind(arrays, ("L",))

        return bound_calls(f, name, (f.x, f.t, f.w, f.dx), bind)

    def forward(self, f: Frame) -> float:
        for call in self._bound(f, "forward"):
            call()
        return mean(f.rows, f.w)

    def row_losses(self, f: Frame) -> tuple[Array, Array]:
        return f.rows.copy(), np.ones(len(f.rows))

    def backward(self, f: Frame) -> None:
        for call in self._bound(f, "backward"):
            call()

    def equations(self, weighted: bool) -> list[Eq]:
        x = row_that_fits(self.forward_equations(weighted))
        return list(self._program(x, TRIED[1], weighted=weighted).equations)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        def stated(**settings: Any) -> "FormulaLoss":
            return cls.model_validate({"type": "formula", **settings})

        rng = np.random.default_rng(1)
        w = [0.2, 0.5, 0.3]
        log_cosh = stated(L="sum(k, log(cosh(x[n,k] - t[n,k])))")
        yield Sample(log_cosh, (2,))
        yield Sample(log_cosh, (3,), batch=3, inputs={"w": w}, note="sample weights")
        classes = stated(L="logsumexp(k, x[n,k]) - sum(k, t[n,k] * x[n,k])", targets="classes", predicts="softmax")
        yield Sample(classes, (3,), batch=4, inputs={"t": np.eye(3)[rng.integers(0, 3, 4)].tolist()}, note="classes")
        steps = stated(equations=["e[n,k] = x[n,k] - t[n,k]"], L="a * sum(k, e[n,k]**4)", settings={"a": 2.0})
        yield Sample(steps, (2,), note="in steps")
        yield Sample(stated(L="x[n,k] - t[n,k]"), (2,), error="the index k does not run over anything")
        yield Sample({"type": "formula"}, error="required")
        yield Sample({"type": "formula", "L": "sum(k, x[n,k]"}, error="cannot be read")
