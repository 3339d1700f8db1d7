"""Floor 1: the families, each an abstract class that says once what its members must do.

Arrays come in frames (`f.x`, `f.W`, ...); a part writes into the arrays it is given and allocates nothing that grows
with the batch. Every differentiable or updating family states its members' equations. The registry lists families in
the order in which these modules declare them.
"""

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
from bpcli.family.plan import Link
from bpcli.family.source import Augmentation, Metric, Scaler, Scored, Source, Table

__all__ = [
    "NOTHING",
    "RESERVED",
    "Activation",
    "Augmentation",
    "ClassMismatchError",
    "Clipper",
    "Constraint",
    "FullBatchOptimizer",
    "GradientOptimizer",
    "Initializer",
    "Layer",
    "Link",
    "Loss",
    "Metric",
    "ObjectiveView",
    "Optimizer",
    "Regularizer",
    "Scaler",
    "Schedule",
    "Scored",
    "Source",
    "Table",
]  # fmt: skip
