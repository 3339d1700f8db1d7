from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from bpcli.custom import Array, Metric, Scored


class Surest(Metric):
    """The largest probability that was given to any class of any row."""

    type: Literal["surest"] = "surest"
    task: ClassVar[Literal["classification", "regression", "any"]] = "classification"

    def totals(self, classes: int, outputs: int) -> dict[str, Array]:
        return {"largest": np.zeros(1)}

    def add(self, totals: dict[str, Array], batch: Scored) -> None:
        totals["largest"][0] = max(totals["largest"][0], batch.output.max())

    def result(self, totals: Mapping[str, Array]) -> float:
        return float(totals["largest"][0])
