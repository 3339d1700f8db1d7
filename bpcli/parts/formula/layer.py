"""A layer that a file states as a formula."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Activation, Frame, Param, Plan, Sample, Shape, ShapeError
from bpcli.family.part import Settings
from bpcli.notation import Eq, NotationError
from bpcli.notation.syntax import parse
from bpcli.parts.formula.calls import TRIED, arrays_of, bound_calls, row_shape, slots
from bpcli.parts.formula.lowered import Bound
from bpcli.parts.formula.program import (
    FormulaProgram,
    fans,
    formula_program,
    keeps_rows_apart,
    parameter_shapes,
    spelled_elementwise,
)
from bpcli.parts.formula.settings import WHY, Expression, FormulaNumbers, FormulaParams, TypedEquation, stated_equation
from bpcli.parts.initializers import Zeros


class FormulaLayer(Activation):
    """A layer stated by its forward equations alone: the backward pass is derived from them.

    Shapes   x: n ..., y: n ... as the equations make it; parameters as they are declared
    Source   the file; `bpcli derive` shows how the backward equations follow
    Numerics each operation is one of NumPy's; those with a stable form (sigmoid, softplus, logsumexp) take it
    """

    model_config = ConfigDict(**Settings.model_config, populate_by_name=True, serialize_by_alias=True)

    type: Literal["formula"] = "formula"
    elementwise: ClassVar[bool] = False
    stated_in_file: ClassVar[bool] = True
    y: Expression | None = Field(None, description="the output, as x[n,...] * sigmoid(beta * x[n,...])")
    steps: tuple[TypedEquation, ...] | None = Field(
        None, alias="equations", strict=False, min_length=1, description="equations, left = right, of which y is one"
    )
    params: FormulaParams = Field((), description="what is learned: names with their shapes")
    settings: FormulaNumbers = Field((), description="numbers that the equations mention, by name")

    @field_validator("steps", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        if (self.y is None) == (self.steps is None):
            raise PydanticCustomError("formula", "write `y:` with the output, or `equations:` of which y is one")
        if self.steps is not None and all(parse(e).name != "y" for e in self.forward_equations()):
            raise PydanticCustomError("formula", "none of the equations is y: what the layer puts out, y[n,...] = ...")
        names = [name for name, _ in (*self.params, *self.settings)]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            message = "`{name}` is a parameter and a setting: give one of them another name"
            raise PydanticCustomError("formula", message, {"name": twice})
        return self

    @property
    def rows_are_independent(self) -> bool:  # type: ignore[override]
        return keeps_rows_apart(self.forward_equations())

    def forward_equations(self) -> tuple[Eq, ...]:
        """Returns the equations of the file."""
        if self.steps is not None:
            return tuple(map(stated_equation, self.steps))
        return (Eq("y[n,...]", spelled_elementwise(str(self.y)), WHY),)

    def consts(self) -> Mapping[str, float]:
        return dict(self.settings)

    def plan(self, x: Shape) -> Plan:
        eqs = self.forward_equations()
        shapes = parameter_shapes(eqs, x, {name: p.shape for name, p in self.params})
        small, large = (self._program(x, shapes, rows) for rows in TRIED)
        y = row_shape(small, large, "y")
        if y is None:
            text = "y has no axis of rows: what a layer puts out begins with the row, y[n,...]"
            raise ShapeError(text, "let the first index of y be n, as that of x")
        keep, scratch = slots(small, large)
        own = {"y", "dx", *(f"d{name}" for name, _ in self.params)}
        keep, scratch = ({n: s for n, s in found.items() if n not in own} for found in (keep, scratch))
        params = {name: self._param(name, shapes[name]) for name, _ in self.params}
        return Plan(y=y, params=params, keep=keep, scratch=scratch, consts=dict(self.settings),
                    skips_dx=bool(params), multiply_adds=small.multiply_adds // TRIED[0])  # fmt: skip

    def _param(self, name: str, shape: Shape) -> Param:
        declared = dict(self.params)[name]
        into, out = fans(self.forward_equations(), name, shape)
        init = declared.init if declared.init is not None or into else Zeros()
        return Param(shape, init, declared.fan_in or into or 1, declared.fan_out or out or 1, declared.decays)

    def _program(self, x: Shape, params: Mapping[str, Shape], rows: int) -> FormulaProgram:
        shapes = {"x": (rows, *x), **params}
        by = ("x", *params)
        try:
            return formula_program(self.forward_equations(), "y", tuple(shapes.items()), self.settings, by)
        except NotationError as error:
            raise ShapeError(str(error), error.help if "Eq(" not in error.help else "") from None

    def _of(self, f: Frame) -> FormulaProgram:
        params = {name: getattr(f, name).shape for name, _ in self.params}
        return self._program(f.x.shape[1:], params, len(f.x))

    def _bound(self, f: Frame, name: str) -> list[Bound]:
        """Returns the calls of a pass on the arrays of a frame."""

        def bind() -> list[Bound]:
            program = self._of(f)
            params = [n for n, _ in self.params]
            left = [g.name for p in program.lowered for g in p.program.grids]
            buffers = [n for p in program.lowered for n in p.buffers]
            names = {"x", "dy", *params, *left, *buffers}
            without = ("dx",) if f.dx is None else ()
            arrays = arrays_of(f, names, dict(self.settings))
            return (program.forward if name == "forward" else program.backward).bind(arrays, without)

        return bound_calls(f, name, (f.x, f.y, f.dx, f.dy), bind)

    def forward(self, f: Frame, train: bool) -> None:
        for call in self._bound(f, "forward"):
            call()

    def backward(self, f: Frame, train: bool) -> None:
        for call in self._bound(f, "backward"):
            call()

    def equations(self, train: bool, x: Shape) -> list[Eq]:
        shapes = parameter_shapes(self.forward_equations(), x, {name: p.shape for name, p in self.params})
        return list(self._program(x, shapes, TRIED[0]).equations)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        def stated(**settings: Any) -> "FormulaLayer":
            return cls.model_validate({"type": "formula", **settings})

        beta = {"beta": {"shape": [], "init": {"type": "constant", "value": 1.5}}}
        weights = {"W": {"shape": ["i", 3], "init": "glorot_uniform", "decays": True}, "b": {"shape": [3]}}
        dense = ["z[n,o] = sum(i, x[n,i] * W[i,o]) + b[o]", "y[n,o] = z[n,o] / (1 + abs(z[n,o]))"]
        yield Sample(stated(y="x / (1 + abs(x))"), (5,), note="elementwise")
        yield Sample(stated(y="x[n,...] * sigmoid(beta * x[n,...])", params=beta), (2, 3), batch=2, note="swish")
        yield Sample(stated(equations=dense, params=weights), (4,), note="dense softsign")
        yield Sample(stated(equations=["y[n,k] = exp(x[n,k]) / sum(k, exp(x[n,k]))"]), (3,), batch=2, note="softmax")
        means = ["m[n] = mean(c, x[n,c])", "y[n,c] = g * (x[n,c] - m[n])"]
        yield Sample(stated(equations=means, settings={"g": 2.0}), (3,), note="in steps")
        yield Sample(stated(equations=["y[n,o] = sum(i, x[n,i] * W[i,o])"], params={"W": {"shape": ["q", 3]}}), (4,),
                     error="`q` in the shape of `W` has no size")  # fmt: skip
        yield Sample(stated(y="x[n,i]", params=beta), (4,), error="no equation reads the parameter `beta`")
        yield Sample({"type": "formula"}, error="write `y:` with the output")
        yield Sample({"type": "formula", "y": "foo(x)"}, error="no function or reduction is called foo")
        yield Sample({"type": "formula", "equations": ["z[n] = x[n]"]}, error="none of the equations is y")
        yield Sample({"type": "formula", "y": "x[n,...]", "params": {"x": {"shape": []}}}, error="choose another name")
