"""From what a network puts out to what is reported: predictions by the loss's link, and metrics over a split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bpcli.config.experiment import label
from bpcli.engine.objective import Batch, Objective
from bpcli.family import Array, Loss, Metric, Scored
from bpcli.numeric import stable
from bpcli.studies.dataset.preprocessor import Preprocessor


class Predictor:
    """Turns outputs and targets into scored predictions, for one loss and one preprocessor."""

    def __init__(self, loss: Loss, preprocessor: Preprocessor, outputs: int) -> None:
        self.loss, self.preprocessor, self.outputs = loss, preprocessor, outputs
        self.several = loss.link in ("sigmoid", "margin") and not preprocessor.classes and outputs > 1
        self.classified = bool(preprocessor.classes) or loss.classifies

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes (of the labels, where a row may have several); () for a regression."""
        if self.preprocessor.classes:
            return self.preprocessor.classes
        if not self.classified:
            return ()
        if self.outputs == 1:
            return ("0", "1")
        return self.preprocessor.target_names or tuple(str(k) for k in range(self.outputs))

    def predict(self, y: Array) -> Array:
        """Returns probabilities, margins, or values in the target's own units, from the network's output (N, K);
        float64."""
        y = y.astype(np.float64)
        if self.loss.link == "softmax":
            return stable.softmax(y, y, np.empty((len(y), 1)))
        if self.loss.link == "sigmoid":
            return stable.sigmoid(y, y, np.empty_like(y))
        if self.loss.link == "exp":
            np.exp(y, out=y)
        return y if self.classified else self.preprocessor.decode_values(y)

    def classify(self, output: Array) -> Array:
        """Returns class ids (N,), or labels (N, K) of 0 and 1 where a row may have several, from predictions.

        A probability, or a value that stands for one, names class 1 from 1/2 on; a margin does above 0.
        """
        return self._ids(output > 0 if self.loss.link == "margin" else output >= 0.5, output)

    def _ids(self, positive: Array, output: Array) -> Array:
        if self.several:
            return positive.astype(np.int64)
        return positive[:, 0].astype(np.int64) if output.shape[1] == 1 else output.argmax(1)

    def score(self, y: Array, t: Array, weight: Array | None = None) -> Scored:
        """Returns a batch as metrics see it, from outputs (N, K) and targets as the loss sees them (N, K)."""
        output = self.predict(y)
        target = t.astype(np.float64)
        weight = np.ones(len(y)) if weight is None else weight.astype(np.float64)
        if not self.classified:
            return Scored(output, self.preprocessor.decode_values(target), None, None, weight, 0)
        return Scored(
            output,
            target,
            self._ids(target >= 0.5, target),
            self.classify(output),
            weight,
            len(self.classes),
            several=self.several,
        )


class MetricAccumulator:
    """Metrics that add up over batches.

    Totals may grow with the rows (those of ROC AUC do): such an array starts with no row, and a metric puts a longer
    one in its place.
    """

    def __init__(self, predictor: Predictor, metrics: Sequence[Metric]) -> None:
        self.predictor = predictor
        self._metrics = [(label(m), m, m.totals(len(predictor.classes), predictor.outputs)) for m in metrics]

    @property
    def of_losses(self) -> bool:
        """Whether a metric reads the loss of each row."""
        return any(metric.of_losses for _, metric, _ in self._metrics)

    def add_batch(self, objective: Objective, batch: Batch, weight: Array | None = None) -> None:
        """Adds a batch of the objective, after its `forward`, whose rows weigh `weight` (N,)."""
        losses = objective.row_losses(batch) if self.of_losses else None
        self.add(batch.chain.y, batch.t, weight, losses)

    def add(self, y: Array, t: Array, weight: Array | None = None, losses: tuple[Array, Array] | None = None) -> None:
        """Adds a batch: outputs (N, K), targets as the loss sees them (N, K), weights (N,), and what each row loses
        with what it weighs by its class, both (N,), where a metric reads them."""
        if self._metrics:
            scored = self.predictor.score(y, t, weight)
            if losses is not None:
                scored.losses, scored.loss_weight = losses[0], losses[1] * scored.weight
            for _, metric, totals in self._metrics:
                metric.add(totals, scored)

    def arrays(self) -> dict[str, Array]:
        """Returns the totals themselves, by metric and name: what a checkpoint keeps."""
        return {f"{name}.{key}": a for name, _, totals in self._metrics for key, a in totals.items()}

    def restore(self, saved: Mapping[str, Array]) -> None:
        """Puts a copy of what `arrays` gave in place of the totals; other names are passed over. Raises KeyError where
        one is missing, ValueError where one is of another shape or type."""
        for name, metric, totals in self._metrics:
            lengths = []
            for key, fresh in metric.totals(len(self.predictor.classes), self.predictor.outputs).items():
                array = saved[f"{name}.{key}"]
                grows = int(fresh.shape[0] == 0)
                if array.ndim != fresh.ndim or array.shape[grows:] != fresh.shape[grows:] or array.dtype != fresh.dtype:
                    raise ValueError(f"{name}.{key} is {array.dtype} of shape {array.shape}")
                totals[key] = array.copy()
                lengths += [len(array)] * grows
            if lengths and "rows" in totals and not 0 <= totals["rows"] <= min(lengths):
                raise ValueError(f"{name} has {min(lengths)} rows, and {totals['rows']} are in use")

    def results(self) -> dict[str, float]:
        """Returns every figure, by the metric's label."""
        return {name: float(metric.result(totals)) for name, metric, totals in self._metrics}


@np.errstate(all="ignore")
def evaluate_split(
    objective: Objective,
    predictor: Predictor,
    metrics: Sequence[Metric],
    x: Array,
    t: Array,
    on_batch: Any = None,
    weight: Array | None = None,
    row_losses: bool = False,
) -> dict[str, float]:
    """Returns the loss (the data term alone, dropout off) and the metrics over all rows of x (R, ...) and t; `weight`
    (R,) is how much each counts.

    `on_batch`, where given, is called with every batch's scored predictions, with the losses of its rows where
    `row_losses` asks for them. What overflows is in the figures, as inf
    or NaN, and nowhere else.
    """
    accumulator = MetricAccumulator(predictor, metrics)
    total, weight_sum, n = 0.0, 0.0, len(x)
    step = objective.network.rows
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        batch = objective.batch(len(rows))
        batch.load(x, t, rows, weight)
        loss = batch.forward(False)
        total += loss * batch.weight()
        weight_sum += batch.weight()
        counts = None if weight is None else weight[rows]
        accumulator.add_batch(objective, batch, counts)
        if on_batch is not None:
            scored = predictor.score(batch.chain.y, batch.t, counts)
            if row_losses:
                scored.losses, own = objective.row_losses(batch)
                scored.loss_weight = own * scored.weight
            on_batch(scored)
    return {"loss": total / weight_sum, **accumulator.results()}


def direction_of(metrics: Mapping[str, Metric], name: str) -> str:
    """Returns which way the figure `split.name` improves: `higher` or `lower`."""
    _, _, figure = name.partition(".")
    return "lower" if figure == "loss" else metrics[figure].better
