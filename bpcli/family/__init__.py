"""Floor 1: the families, each an abstract class that says once what its members must do.

Arrays come in frames (`f.x`, `f.W`, ...); a part writes into the arrays it is given and allocates nothing that grows
with the batch. Every differentiable or updating family states its members' equations. The registry lists families in
the order in which these modules declare them.
"""

from bpcli.family.callback import HOOKS, Callback
from bpcli.family.cell_format import ColumnFormat, Kind
from bpcli.family.coded_text import CodedText
from bpcli.family.layer import RESERVED, Activation, Layer
from bpcli.family.loss import ClassMismatchError, Loss, Regularizer
from bpcli.family.optimizer import (
    NOTHING,
    Clipper,
    Constraint,
    FullBatchOptimizer,
    GradientOptimizer,
    Initializer,
    ObjectiveView,
    Optimizer,
    Schedule,
)
from bpcli.family.part import OneOf, Part, Settings, join_names, near, suggestion
from bpcli.family.plan import (
    WIDTHS,
    Array,
    DType,
    Frame,
    Link,
    N,
    Param,
    Plan,
    Sample,
    Shape,
    ShapeError,
    Slot,
    empty,
)
from bpcli.family.source import (
    Augmentation,
    Metric,
    Missing,
    Scaler,
    Scored,
    Source,
    Table,
    Treatment,
)

__all__ = [
    "HOOKS", "NOTHING", "RESERVED", "WIDTHS", "Activation", "Array", "Augmentation", "Callback",
    "ClassMismatchError", "Clipper", "CodedText", "ColumnFormat",
    "Constraint", "DType", "Frame", "FullBatchOptimizer", "GradientOptimizer", "Initializer", "Kind", "Layer",
    "Link", "Loss", "Metric", "Missing", "N", "ObjectiveView", "OneOf", "Optimizer", "Param", "Part", "Plan",
    "Regularizer", "Sample", "Scaler", "Schedule", "Scored", "Settings", "Shape", "ShapeError", "Slot", "Source",
    "Table", "Treatment", "empty", "join_names", "near", "suggestion",
]  # fmt: skip
