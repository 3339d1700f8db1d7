'''Floor 3: all that a part of your own imports, from one place that stays when the rooms of the package move.

A part is one class that subclasses its family and names itself in `type`. This file, `my_layer.py`, is complete:

    from typing import Literal

    import numpy as np

    from bpcli.custom import ConstantValue, Eq, Field, Layer, N, Param, Plan, Slot


    class Gain(Layer):
        """tanh with a gain for each unit: y = g tanh(x)."""

        type: Literal["gain"] = "gain"
        start: float = Field(1.0, description="what every gain starts at")

        def plan(self, x):
            gain = Param(x, init=ConstantValue(value=self.start))
            return Plan(y=x, params={"g": gain}, keep={"h": Slot((N, *x))}, scratch={"s": Slot((N, *x))})

        def forward(self, f, train):
            np.tanh(f.x, out=f.h)
            np.multiply(f.h, f.g, out=f.y)

        def backward(self, f, train):
            np.einsum("no,no->o", f.dy, f.h, out=f.dg)
            np.multiply(f.h, f.h, out=f.s)
            np.subtract(1, f.s, out=f.s)
            np.multiply(f.s, f.g, out=f.s)
            np.multiply(f.dy, f.s, out=f.dx)

        def equations(self, train, x):
            return [
                Eq("h[n,o]", "tanh(x[n,o])", "bent"),
                Eq("y[n,o]", "g[o] * h[n,o]", "scaled"),
                Eq("dg[o]", "sum(n, dy[n,o] * h[n,o])", "rows add"),
                Eq("dx[n,o]", "dy[n,o] * g[o] * (1 - h[n,o]**2)", "the slope of tanh"),
            ]

`--with my_layer.py` loads it, and a config then says `{type: gain}`. What each family asks for stands with its class:

    Activation, Layer                       steps of the network: forward and backward on a Frame; memory from a Plan
    Loss, Regularizer                       what training lowers
    Clipper, Schedule, Constraint           what changes a gradient, a learning rate, weights after a step
    GradientOptimizer, FullBatchOptimizer   how weights move: against a gradient, or by looks at the objective
    Initializer                             how weights start
    Source, Scaler, Augmentation            where rows come from, how they are scaled, how images are changed
    Metric                                  a figure over a split
    Callback                                what follows a training; every one of a file is called, no config names it
'''

from pydantic import Field

from bpcli.family import (
    Activation,
    Augmentation,
    Callback,
    ClassMismatchError,
    Clipper,
    Constraint,
    FullBatchOptimizer,
    GradientOptimizer,
    Initializer,
    Layer,
    Loss,
    Metric,
    ObjectiveView,
    Regularizer,
    Scaler,
    Schedule,
    Scored,
    Source,
    Table,
)
from bpcli.family.part import OneOf, Part
from bpcli.family.plan import Array, Frame, N, Param, Plan, Sample, Shape, ShapeError, Slot
from bpcli.notation import Eq
from bpcli.parts.initializers import (
    ConstantValue,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Normal,
    Uniform,
    Zeros,
)
from bpcli.records.training import EpochRow, Failure, Problem, TrainReport

__all__ = [
    "Activation", "Array", "Augmentation", "Callback", "ClassMismatchError", "Clipper", "ConstantValue",
    "Constraint", "EpochRow", "Eq",
    "Failure", "Field", "Frame", "FullBatchOptimizer", "GlorotNormal", "GlorotUniform", "GradientOptimizer",
    "HeNormal", "HeUniform", "Initializer", "Layer", "LecunNormal", "LecunUniform", "Loss", "Metric", "N", "Normal",
    "ObjectiveView", "OneOf", "Param", "Part", "Plan", "Problem", "Regularizer", "Sample", "Scaler", "Schedule",
    "Scored", "Shape", "ShapeError", "Slot", "Source", "Table", "TrainReport", "Uniform", "Zeros",
]  # fmt: skip
