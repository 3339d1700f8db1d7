"""Metrics: figures over a whole split from totals that are fed one batch after another.

They equal scikit-learn's of the same name. Everything is summed in float64. A row of weight 0 is not there, also
where scikit-learn would still list its class. The figure of no rows at all is nan.
"""

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

__all__ = [
    "HasNote", "add_confusion", "add_counts", "average_of", "counts_of", "f1_of", "precision_of", "recall_of",
]  # fmt: skip
