"""A penalty that a file states as a formula over all weights."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from bpcli.family import Array, Regularizer, Sample
from bpcli.notation import Eq, NotationError
from bpcli.parts.formula.program import FormulaProgram, formula_program
from bpcli.parts.formula.settings import WHY, Expression, FormulaNumbers


class FormulaPenalty(Regularizer):
    """A penalty stated as a formula over the weights w[j]; its slope follows.

    Shapes   w: j, the weights laid end to end
    Source   the file; `bpcli derive` shows how the slope follows
    Numerics each operation is one of NumPy's; those with a stable form (sigmoid, softplus, logsumexp) take it
    """

    type: Literal["formula"] = "formula"
    stated_in_file: ClassVar[bool] = True
    penalty: Expression = Field(description="the penalty, as strength * sum(j, w[j]**2 / (1 + w[j]**2))")
    settings: FormulaNumbers = Field((), description="numbers that the formula mentions, by name")

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        try:
            self._program(2)
        except NotationError as error:
            help = "" if "Eq(" in error.help else error.help
            raise PydanticCustomError("formula", "{text}", {"text": str(error), "help": help}) from None
        return self

    def consts(self) -> Mapping[str, float]:
        return dict(self.settings)

    def _program(self, weights: int) -> FormulaProgram:
        stated = (Eq("penalty", self.penalty, WHY),)
        return formula_program(stated, "penalty", (("w", (weights,)),), self.settings, ("w",))

    def value(self, w: Array, scratch: Array) -> float:
        return run_penalty(self._program(len(w)), self.consts(), w)

    def add_grad(self, w: Array, g: Array, scratch: Array) -> None:
        run_penalty(self._program(len(w)), self.consts(), w, scratch)
        np.add(g, scratch, out=g)

    def equations(self) -> list[Eq]:
        return list(self._program(2).equations)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        text = "strength * sum(j, w[j]**2 / (1 + w[j]**2))"
        yield Sample(cls.model_validate({"type": "formula", "penalty": text, "settings": {"strength": 0.3}}), (7,))
        yield Sample({"type": "formula", "penalty": "sum(j, w[j]"}, error="cannot be read")
        yield Sample({"type": "formula"}, error="required")


def run_penalty(program: FormulaProgram, numbers: Mapping[str, float], w: Array, slope: Array | None = None) -> float:
    """Returns a penalty of the weights, and writes its slope where there is room for it."""
    arrays: dict[str, Any] = {**_buffers(program, w.dtype.str), **numbers, "w": w}
    for lowered in program.lowered[: 1 + (slope is not None)]:
        for call in lowered.bind(arrays if slope is None else {**arrays, "dw": slope}):
            call()
    return float(arrays["penalty"])


@lru_cache(maxsize=16)
def _buffers(program: FormulaProgram, dtype: str) -> dict[str, Array]:
    """Returns what a penalty needs besides the weights, made once."""
    left = {g.name: np.zeros(g.shape, dtype) for p in program.lowered for g in p.program.grids if g.name != "dw"}
    needed = {name: b for p in program.lowered for name, b in p.buffers.items()}
    return left | {name: np.zeros(b.shape, bool if b.boolean else dtype) for name, b in needed.items()}
