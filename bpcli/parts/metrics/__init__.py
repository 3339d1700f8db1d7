"""Metrics: figures over a whole split from totals that are fed one batch after another.

They equal scikit-learn's of the same name. Everything is summed in float64. A row of weight 0 is not there, also
where scikit-learn would still list its class. The figure of no rows at all is nan.
"""

from bpcli.parts.metrics.classes import F1, Accuracy, BalancedAccuracy, Matthews, Precision, Recall, TopK
from bpcli.parts.metrics.counts import (
    HasNote,
    add_confusion,
    add_counts,
    average_of,
    counts_of,
    f1_of,
    precision_of,
    recall_of,
)
from bpcli.parts.metrics.probabilities import Brier, LogLoss
from bpcli.parts.metrics.ranking import AveragePrecision, RocAuc
from bpcli.parts.metrics.values import MAE, MSE, R2, RMSE, ExplainedVariance

__all__ = [
    "F1", "MAE", "MSE", "R2", "RMSE", "Accuracy", "AveragePrecision", "BalancedAccuracy", "Brier", "ExplainedVariance",
    "HasNote", "LogLoss", "Matthews", "Precision", "Recall", "RocAuc", "TopK",
    "add_confusion", "add_counts", "average_of", "counts_of", "f1_of", "precision_of", "recall_of",
]  # fmt: skip
