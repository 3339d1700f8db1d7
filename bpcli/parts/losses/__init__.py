"""Losses: the mean over the batch of what each row costs. With sample weights w[n], which sum to 1, every 1/N is w[n].

The loss that is reported is the function that is differentiated; nothing is clipped on the way.
A new one need not be listed here: `bpcli.parts` imports every module below it.
"""

from bpcli.parts.losses.entropy import BinaryCrossEntropy, CrossEntropy
from bpcli.parts.losses.margins import Hinge, MulticlassHinge, SquaredHinge
from bpcli.parts.losses.softmax import Focal, KLDivergence, SoftmaxCrossEntropy
from bpcli.parts.losses.values import Huber, LogCosh, MeanAbsoluteError, MeanSquaredError, Poisson, SquaredError

__all__ = [
    "BinaryCrossEntropy", "CrossEntropy", "Focal", "Hinge", "Huber", "KLDivergence", "LogCosh", "MeanAbsoluteError",
    "MeanSquaredError", "MulticlassHinge", "Poisson", "SoftmaxCrossEntropy", "SquaredError", "SquaredHinge",
]  # fmt: skip
