"""ROC AUC and average precision: by hand, by the definition, against scikit-learn, and how their totals grow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from metric_cases import classifications, cut, figure, peer, rows, tag_lists

from bpcli.family import Metric, Scored
from bpcli.family.plan import Array
from bpcli.parts.metrics.ranking import RocAuc

RANKS = ("roc_auc", "average_precision")
AVERAGES = ("macro", "weighted")


def two(labels: list[int], scores: list[float], weight: Any = None) -> Scored:
    """A batch of two classes with one output."""
    output = np.array(scores)[:, None]
    return rows(labels, (output[:, 0] >= 0.5).astype(int), 2, weight, output=output)


def pairs(batch: Scored) -> float:
    """The area under the ROC curve as it is meant: pairs of a row of class 1 and one of class 0, ranked right."""
    score, weight = batch.output[:, -1], batch.weight
    right = of = 0.0
    for i in np.flatnonzero(batch.labels == 1):
        for j in np.flatnonzero(batch.labels == 0):
            of += weight[i] * weight[j]
            right += weight[i] * weight[j] * ((score[i] > score[j]) + 0.5 * (score[i] == score[j]))
    return right / of if of else math.nan


def test_by_hand() -> None:
    batch = two([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert figure("roc_auc", batch) == 3 / 4
    assert figure("average_precision", batch) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert figure("roc_auc", two([0, 0, 1], [0.1, 0.2, 0.3])) == 1
    assert figure("roc_auc", two([1, 1, 0], [0.1, 0.2, 0.3])) == 0
    assert figure("average_precision", two([0, 0, 1], [0.1, 0.2, 0.3])) == 1


def test_ties_count_half() -> None:
    batch = two([0, 1, 0, 1], [0.5, 0.5, 0.2, 0.5])
    assert figure("roc_auc", batch) == (2 + 2 * 0.5) / 4
    assert figure("average_precision", batch) == pytest.approx(2 / 3)  # the three tied rows come at once
    assert figure("roc_auc", two([0, 1, 1], [0.5, 0.5, 0.5])) == 0.5
    assert figure("roc_auc", two([0, 1], [0.0, -0.0])) == 0.5


def test_weights_count_rows_more_than_once() -> None:
    weighted = two([0, 1, 0, 1], [0.3, 0.4, 0.5, 0.6], [2.0, 1.0, 3.0, 0.0])
    written_out = two([0, 0, 1, 0, 0, 0], [0.3, 0.3, 0.4, 0.5, 0.5, 0.5])
    for name in RANKS:
        assert figure(name, weighted) == pytest.approx(figure(name, written_out), abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(classifications(2, 2))
def test_the_area_is_the_share_of_pairs(batch: Scored) -> None:
    assert figure("roc_auc", batch) == pytest.approx(pairs(batch), abs=1e-12, nan_ok=True)


def test_averages_over_classes() -> None:
    output = [[0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.5, 0.1, 0.4], [0.7, 0.1, 0.2]]
    batch = rows([0, 1, 2, 0], [0, 1, 0, 0], 3, [4.0, 1.0, 2.0, 3.0], output=output)
    areas = [pairs(two([int(k == label) for label in (0, 1, 2, 0)], [row[k] for row in output], batch.weight))
             for k in range(3)]  # fmt: skip
    assert figure("roc_auc", batch) == pytest.approx(sum(areas) / 3)
    weighted = (7 * areas[0] + 1 * areas[1] + 2 * areas[2]) / 10
    assert figure({"type": "roc_auc", "average": "weighted"}, batch) == pytest.approx(weighted)
    assert len({round(area, 9) for area in areas}) > 1


def test_one_class_alone() -> None:
    scores = [0.1, 0.9, 0.5]
    assert math.isnan(figure("roc_auc", two([1, 1, 1], scores)))
    assert math.isnan(figure("roc_auc", two([0, 0, 0], scores)))
    assert math.isnan(figure("roc_auc", two([0, 1, 1], scores, [0.0, 1.0, 1.0])))
    assert figure("average_precision", two([1, 1, 1], scores)) == 1
    assert figure("average_precision", two([0, 0, 0], scores)) == 0


def test_a_class_without_a_row() -> None:
    output = [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]]
    batch = rows([0, 1, 1], [0, 1, 0], 3, output=output)
    assert math.isnan(figure("roc_auc", batch))
    assert figure({"type": "roc_auc", "average": "weighted"}, batch) == 1
    assert figure("average_precision", batch) == pytest.approx((1 + 1 + 0) / 3)


@pytest.mark.parametrize("name", RANKS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_net_that_diverged_ranks_nothing(name: str, bad: float) -> None:
    assert math.isnan(figure(name, two([0, 1, 1], [0.5, bad, 0.2])))


@pytest.mark.parametrize("name", RANKS)
def test_no_label_at_all(name: str) -> None:
    none = rows(np.zeros((4, 2)), np.zeros((4, 2)), 2, output=np.arange(8).reshape(4, 2) / 8)
    assert figure({"type": name, "average": "weighted"}, none) == 0


# Totals


def fed(batches: list[Scored], metric: Metric) -> dict[str, Array]:
    totals = metric.totals(batches[0].classes, batches[0].output.shape[1])
    for batch in batches:
        metric.add(totals, batch)
    return totals


@pytest.mark.parametrize("name", RANKS)
def test_totals_grow_by_doubling(name: str) -> None:
    """Adding costs the same at every size: the arrays move at most log2 of the batches times, zeroed where unused."""
    rng = np.random.default_rng(0)
    metric = Metric.parse(name)
    totals, moves, before = metric.totals(3, 3), 0, None
    for _ in range(200):
        metric.add(totals, rows(rng.integers(0, 3, 7), np.zeros(7), 3, output=rng.random((7, 3))))
        moves += totals["score"] is not before
        before = totals["score"]
    assert moves <= 9
    assert int(totals["rows"][0]) == 1400
    assert 1400 <= len(totals["score"]) == len(totals["truth"]) == len(totals["weight"]) < 2800
    assert not totals["score"][1400:].any()
    assert sum(a.nbytes for a in totals.values()) < 2 * 1400 * (9 * 3 + 8) + 100


@settings(max_examples=40, deadline=None)
@given(st.one_of(classifications(), tag_lists()), st.integers(0, 40))
def test_order_and_size_of_batches_do_not_matter(batch: Scored, at: int) -> None:
    first, second = cut(batch, at)
    for name in RANKS:
        whole = figure(name, batch)
        assert figure(name, second, first) == pytest.approx(whole, abs=1e-12, nan_ok=True)
        single = [cut(cut(batch, i + 1)[0], i)[1] for i in range(len(batch.weight))]
        assert figure(name, *single) == pytest.approx(whole, abs=1e-12, nan_ok=True)


def test_rows_of_weight_zero_are_not_kept() -> None:
    metric = Metric.parse("roc_auc")
    totals = fed([two([0, 1, 1], [0.1, 0.2, math.nan], [1.0, 1.0, 0.0])], metric)
    assert int(totals["rows"][0]) == 2
    assert metric.result(totals) == 1


# Against scikit-learn


@pytest.mark.peers
@settings(max_examples=150, deadline=None)
@example(two([0] * 98 + [1, 1], [0.5] * 100))
@example(two([0, 1], [0.5, 0.5]))
@given(classifications(2, 2))
def test_two_classes_equal_scikit_learn(batch: Scored) -> None:
    """With one output and with two."""
    for output in (batch.output, batch.output[:, -1:]):
        batch.output = output
        for name in RANKS:
            theirs = peer(f"{name}_score", batch.labels, batch.output[:, -1], sample_weight=batch.weight)
            assert figure(name, batch) == pytest.approx(theirs, abs=1e-12, nan_ok=True)


@pytest.mark.peers
@settings(max_examples=150, deadline=None)
@given(classifications(3), st.sampled_from(AVERAGES))
def test_several_classes_equal_scikit_learn(batch: Scored, average: str) -> None:
    """Also where a class has no row: ROC AUC with `labels`, average precision with one-hot targets (else it stops)."""
    extra = {"average": average, "sample_weight": batch.weight}
    labels = range(batch.classes)
    theirs = peer("roc_auc_score", batch.labels, batch.output, multi_class="ovr", labels=labels, **extra)
    assert figure({"type": "roc_auc", "average": average}, batch) == pytest.approx(theirs, abs=1e-12, nan_ok=True)
    ours = figure({"type": "average_precision", "average": average}, batch)
    assert ours == pytest.approx(peer("average_precision_score", batch.target, batch.output, **extra), abs=1e-12)
    if len(np.unique(batch.labels)) == batch.classes:
        assert ours == pytest.approx(peer("average_precision_score", batch.labels, batch.output, **extra), abs=1e-12)


@pytest.mark.peers
@settings(max_examples=150, deadline=None)
@given(tag_lists(), st.sampled_from(AVERAGES))
def test_several_labels_equal_scikit_learn(batch: Scored, average: str) -> None:
    for name in RANKS:
        theirs = peer(f"{name}_score", batch.labels, batch.output, average=average, sample_weight=batch.weight)
        ours = figure({"type": name, "average": average}, batch)
        assert ours == pytest.approx(theirs, abs=1e-12, nan_ok=True)


@pytest.mark.peers
@pytest.mark.parametrize("name", RANKS)
def test_many_rows_of_a_rare_class_equal_scikit_learn(name: str) -> None:
    rng = np.random.default_rng(5)
    labels = (rng.random(20000) < 0.003).astype(int)
    scores = (rng.normal(labels, 1).clip(-3, 3) / 6 + 0.5).round(3)
    batch = two(list(labels), list(scores), rng.uniform(0.1, 2, 20000))
    theirs = peer(f"{name}_score", labels, scores, sample_weight=batch.weight)
    assert figure(name, *cut(batch, 777)) == pytest.approx(theirs, abs=1e-12)


def test_a_figure_that_is_defined_has_no_note() -> None:
    counts = np.array([[3, 2], [0, 0], [3, 2]])
    names = ("cat", "dog")
    for average in ("macro", "weighted"):
        assert RocAuc(average=average).note(counts, names, 5, False) == ""  # type: ignore[arg-type]
    assert RocAuc().note(np.array([[5, 0], [0, 0], [5, 0]]), names, 5, False).startswith("undefined: every row is of")
