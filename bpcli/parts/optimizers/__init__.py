"""Optimizers, easiest first: those that move each weight by its own gradient, in place over the flat vectors, one NumPy
call a term; then those that look at the objective where they like, on all rows.

A new one need not be listed here: `bpcli.parts` imports every module below it.
"""

from bpcli.parts.optimizers.adam import Adam, Adamax, AdamW, Nadam, Radam
from bpcli.parts.optimizers.adaptive import Adadelta, Adagrad, Rmsprop
from bpcli.parts.optimizers.lbfgs import Lbfgs
from bpcli.parts.optimizers.levenberg_marquardt import LevenbergMarquardt
from bpcli.parts.optimizers.sgd import FLUSH_EVERY, Momentum, Nesterov, Sgd
from bpcli.parts.optimizers.signs import Lion, Rprop

__all__ = [
    "FLUSH_EVERY", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lbfgs", "LevenbergMarquardt", "Lion", "Momentum",
    "Nadam", "Nesterov", "Radam", "Rmsprop", "Rprop", "Sgd",
]  # fmt: skip
