"""Figures of the losses of single rows that no single row can rule."""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bpcli.family import Array, Metric, Sample, Scored
from bpcli.parts.metrics.counts import Totals
from bpcli.parts.metrics.ranking import append

MIN_SHARES = 2.0
"""Of few rows a row may count for this many times its equal share of the sum: else all of them were cut."""


class CappedLoss(Metric):
    """The mean loss of the rows, where none counts for more than `share` of the sum: one row cannot rule it.

    It is the loss, without the penalty, wherever no row makes up more than that. A row that does (a mistyped cell makes
    any number of a loss, and early stopping on it keeps any epoch) counts for `share` of the sum with it so cut: the
    sum is then that of the other rows times a constant. Rows count by their weights and by those of their classes.

    Shapes   losses: n, float64. With q_n the weight of a row times its loss above the least of all losses, S = sum_n
             min(q_n, share S), and the figure is the least loss + S / sum of weights; of few rows, 2 / n is the share
    Source   a mean of bounded influence (Huber 1981, "Robust Statistics", sections 1.3 and 3.2), its bound taken from
             the sum itself
    Numerics the k rows that are cut are the largest, with the least k for which no other is: S = (sum of the others) /
             (1 - k share). A loss that is no number counts as infinite
    Memory   16 bytes a row, and up to twice that while it grows
    """

    type: Literal["capped_loss"] = "capped_loss"
    share: float = Field(0.15, gt=0, lt=1, description="of the sum of losses, which a row counts for at most")
    better: ClassVar[Literal["higher", "lower"]] = "lower"
    of_losses: ClassVar[bool] = True

    def totals(self, classes: int, outputs: int) -> Totals:
        """Returns empty totals: `loss` and `weight` grow; the first `rows` of them are in use."""
        return {"loss": np.zeros(0), "weight": np.zeros(0), "rows": np.zeros(1, np.int64)}

    def add(self, totals: Totals, batch: Scored) -> None:
        """Raises TypeError where the rows come without their losses."""
        if batch.losses is None or batch.loss_weight is None:
            raise TypeError("these rows come without the loss of each")
        seen = batch.loss_weight > 0
        append(totals, loss=batch.losses[seen], weight=batch.loss_weight[seen])

    def result(self, totals: Mapping[str, Array]) -> float:
        rows = int(totals["rows"][0])
        loss, weight = totals["loss"][:rows], totals["weight"][:rows]
        if not rows:
            return float("nan")
        loss = np.where(np.isnan(loss), np.inf, loss)
        least = loss.min()
        with np.errstate(over="ignore", invalid="ignore"):
            return float(least + _capped_sum(weight * (loss - least), self.share) / np.add.reduce(weight))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(share=0.05))
        yield Sample({"type": "capped_loss", "share": 0.0}, error="greater than 0")


def _capped_sum(parts: Array, share: float) -> float:
    """Returns S = sum_n min(q_n, share S) of parts q: n, at least 0; inf where no finite sum is."""
    share = max(share, MIN_SHARES / len(parts))
    falling = np.sort(parts)[::-1]
    cut = 0
    while True:
        total = float(np.add.reduce(falling[cut:])) / (1 - cut * share)
        if (cut + 1) * share >= 1 or falling[cut] <= share * total < np.inf:
            return total if np.isfinite(total) else float("inf")
        cut += 1
