"""Figures of regressions, in the target's own units; several outputs are averaged."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from bpcli.family import Array, Metric, Scored
from bpcli.parts.metrics.counts import MeanMetric, Totals, weighted_sum


class MSE(MeanMetric):
    """The mean squared error, over rows and outputs, in the target's unit squared.

    Source   scikit-learn, mean_squared_error (multioutput="uniform_average")
    """

    type: Literal["mse"] = "mse"
    task: ClassVar[Literal["classification", "regression", "any"]] = "regression"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def of_rows(self, batch: Scored) -> Array:
        error = errors(batch)
        return np.square(error, out=error)


class RMSE(MeanMetric):
    """The root of the mean squared error of each output, mean over outputs, in the target's unit.

    Source   scikit-learn, root_mean_squared_error (multioutput="uniform_average")
    """

    type: Literal["rmse"] = "rmse"
    task: ClassVar[Literal["classification", "regression", "any"]] = "regression"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def of_rows(self, batch: Scored) -> Array:
        error = errors(batch)
        return np.square(error, out=error)

    def result(self, totals: Mapping[str, Array]) -> float:
        weight = totals["weight"][0]
        return float(np.sqrt(totals["error"] / weight).mean()) if weight > 0 else float("nan")


class MAE(MeanMetric):
    """The mean absolute error, over rows and outputs, in the target's unit.

    Source   scikit-learn, mean_absolute_error (multioutput="uniform_average")
    """

    type: Literal["mae"] = "mae"
    task: ClassVar[Literal["classification", "regression", "any"]] = "regression"
    better: ClassVar[Literal["higher", "lower"]] = "lower"

    def of_rows(self, batch: Scored) -> Array:
        error = errors(batch)
        return np.abs(error, out=error)


class R2(Metric):
    """The share of the target's variance that is explained, 1 - sum (y-t)^2 / sum (t - mean t)^2, mean over outputs.

    An output whose target never changes scores 1 if every prediction is exact, else 0. Fewer than two rows: nan.

    Source   scikit-learn, r2_score (multioutput="uniform_average", force_finite=True)
    Numerics the spread of the target as in `add_spread`. A figure near 0 has the digits of 1: its condition number is 2
             (1 - r2) / |r2|, times what the errors and the spread lose where they are small beside the values
    """

    type: Literal["r2"] = "r2"
    task: ClassVar[Literal["classification", "regression", "any"]] = "regression"

    def totals(self, classes: int, outputs: int) -> Totals:
        names = ("error", "mean", "spread")
        return {**{name: np.zeros(outputs) for name in names}, "weight": np.zeros(1), "rows": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        weight = batch.weight.astype(np.float64)
        if not weight.any():
            return
        with np.errstate(over="ignore", invalid="ignore"):
            error = errors(batch)
            totals["error"] += weighted_sum(weight, np.square(error, out=error))
            add_spread(totals["mean"], totals["spread"], batch.target, weight, totals["weight"][0])
        totals["weight"] += weight.sum()
        totals["rows"] += np.count_nonzero(weight)

    def result(self, totals: Mapping[str, Array]) -> float:
        return explained(totals["error"], totals["spread"]) if totals["rows"][0] >= 2 else float("nan")


class ExplainedVariance(Metric):
    """The share of the target's variance that is explained where a constant error does not count, mean over outputs:
    1 - var(t - y) / var(t).

    R2 of the predictions with their mean error taken off. An output whose target never changes scores 1 if its error
    never changes either, else 0.

    Source   scikit-learn, explained_variance_score (multioutput="uniform_average", force_finite=True)
    Numerics both spreads as in `add_spread`; a figure near 0 has the digits of 1, as r2's
    """

    type: Literal["explained_variance"] = "explained_variance"
    task: ClassVar[Literal["classification", "regression", "any"]] = "regression"

    def totals(self, classes: int, outputs: int) -> Totals:
        names = ("mean", "spread", "error_mean", "error_spread")
        return {**{name: np.zeros(outputs) for name in names}, "weight": np.zeros(1)}

    def add(self, totals: Totals, batch: Scored) -> None:
        weight, old = batch.weight.astype(np.float64), totals["weight"][0]
        if not weight.any():
            return
        with np.errstate(over="ignore", invalid="ignore"):
            error = np.subtract(batch.target, batch.output, dtype=np.float64)
            add_spread(totals["mean"], totals["spread"], batch.target, weight, old)
            add_spread(totals["error_mean"], totals["error_spread"], error, weight, old)
        totals["weight"] += weight.sum()

    def result(self, totals: Mapping[str, Array]) -> float:
        return explained(totals["error_spread"], totals["spread"]) if totals["weight"][0] > 0 else float("nan")


def errors(batch: Scored) -> Array:
    """Returns the errors y - t (n, k), in float64."""
    return np.subtract(batch.output, batch.target, dtype=np.float64)


def add_spread(center: Array, spread: Array, values: Array, weight: Array, old: float) -> None:
    """Carries the mean (K,) and the weighted sum of squares around it (K,), of rows of weight `old`, on to more rows:
    values (N, K) of weight (N,), not all 0.

    Source   Chan, Golub & LeVeque 1983, Algorithms for computing the sample variance
    Numerics sum t^2 - (sum t)^2 / n would lose every digit of values far from 0; values that never change have a spread
             of exactly 0, as they should
    """
    new = weight.sum()
    first = values[0].astype(np.float64)
    rest = np.subtract(values, first, dtype=np.float64)
    shift = weighted_sum(weight, rest) / new
    rest -= shift
    away = first + shift - center
    spread += weighted_sum(weight, np.square(rest, out=rest)) + away**2 * (old * new / (old + new))
    center += away * (new / (old + new))


def explained(error: Array, spread: Array) -> float:
    """Returns the mean over outputs of 1 - error / spread; without a spread 1 where there is no error, else 0."""
    score = np.where(error == 0, 1.0, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        np.subtract(1, np.divide(error, spread, where=spread != 0, out=score), where=spread != 0, out=score)
    return float(score.mean())
