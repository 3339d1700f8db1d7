"""Batches for the tests of metrics: built by hand, drawn at random, or drawn to be degenerate."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from hypothesis import strategies as st

import bpcli.parts.metrics  # noqa: F401  (declares them)
from bpcli.family import Metric, Scored

AVERAGES = ("macro", "micro", "weighted")


def figure(metric: Any, *batches: Scored) -> float:
    """The figure of a metric, named or built, over batches."""
    metric = Metric.parse(metric)
    totals = metric.totals(batches[0].classes, batches[0].output.shape[1])
    for batch in batches:
        metric.add(totals, batch)
    return metric.result(totals)


def rows(labels: Any, predicted: Any, classes: int, weight: Any = None, *, output: Any = None) -> Scored:
    """A batch of a classification; several labels a row where `labels` is (N, K)."""
    labels, predicted = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    several = labels.ndim == 2
    target = labels.astype(float) if several else np.eye(classes)[labels]
    weight = np.ones(len(labels)) if weight is None else np.asarray(weight)
    output = target if output is None else np.asarray(output)
    return Scored(output, target, labels, predicted, weight, classes, several)


def values(output: Any, target: Any, weight: Any = None, dtype: Any = np.float64) -> Scored:
    """A batch of a regression."""
    output, target = np.asarray(output, dtype=dtype), np.asarray(target, dtype=dtype)
    return Scored(output, target, None, None, np.ones(len(target)) if weight is None else np.asarray(weight), 0)


def cut(batch: Scored, at: int) -> tuple[Scored, Scored]:
    """The rows before and from `at` on."""
    parts = []
    for piece in (slice(0, at), slice(at, None)):
        chosen = [None if a is None else a[piece] for a in (batch.output, batch.target, batch.labels, batch.predicted)]
        parts.append(Scored(*chosen, batch.weight[piece], batch.classes, batch.several))  # type: ignore[arg-type]
    return parts[0], parts[1]


def measurable(batch: Scored) -> list[str]:
    """The types of the metrics that can be measured on such rows, with probabilities where there are classes."""
    classified = batch.labels is not None
    return [
        name
        for name, leaf in Metric.registry.items()
        if not leaf.of_losses
        and leaf.task != ("regression" if classified else "classification")
        and not Metric.parse(name).check(batch.classes, batch.several, classified)
    ]


def peer(name: str, *args: Any, **settings: Any) -> Any:
    """scikit-learn's figure. It warns of what is undefined, which is what these tests are about."""
    import sklearn.metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return getattr(sklearn.metrics, name)(*args, **settings)


SKEWED = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 4])


@st.composite
def classifications(draw: Any, fewest: int = 2, most: int = 5) -> Scored:
    """One label a row: from one row to forty, classes that are missing, predictions that are all the same, outputs that
    are tied."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(fewest, most))
    labels = [min(x, k - 1) for x in draw(st.lists(SKEWED, min_size=n, max_size=n))]
    kind = draw(st.sampled_from(["any", "same", "right"]))
    predicted = {"any": draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)), "same": [k - 1] * n}.get(
        kind, labels
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weight = rng.uniform(0.1, 3, n) if draw(st.booleans()) else None
    output = rng.dirichlet(np.full(k, 0.3), n)
    if draw(st.booleans()):  # ties
        output = rng.multinomial(4, np.full(k, 1 / k), n) / 4
    return rows(labels, predicted, k, weight, output=output)


@st.composite
def tag_lists(draw: Any) -> Scored:
    """Several labels a row, or none."""
    n, k = draw(st.integers(1, 20)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    share = draw(st.sampled_from([0.0, 0.2, 0.8, 1.0]))
    labels, predicted = rng.random((n, k)) < share, rng.random((n, k)) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    weight = rng.uniform(0.1, 3, n) if draw(st.booleans()) else None
    output = rng.random((n, k))
    return rows(labels, predicted, k, weight, output=output.round(1) if draw(st.booleans()) else output)


@st.composite
def regressions(draw: Any) -> Scored:
    """Values near and far from 0, exact and wrong, with outputs whose target never changes."""
    n, k = draw(st.integers(2, 40)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    target = rng.normal(0, 1, (n, k)) * draw(st.sampled_from([1e-3, 1.0, 1e3])) + draw(st.sampled_from([0.0, 5.0]))
    if draw(st.booleans()):
        target[:, 0] = draw(st.sampled_from([0.0, -2.0, 3.0]))
    output = target + rng.normal(0, 1, (n, k)) * draw(st.sampled_from([0.0, 0.1, 10.0]))
    return values(output, target, rng.integers(1, 5, n).astype(float) if draw(st.booleans()) else None)
