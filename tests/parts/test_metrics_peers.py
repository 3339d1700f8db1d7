"""Metrics against scikit-learn, on random and degenerate cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from metric_cases import AVERAGES, classifications, cut, figure, peer, regressions, rows, tag_lists, values

from bpcli.family import Scored
from bpcli.parts import metrics
from bpcli.studies.evaluation import report


@pytest.mark.peers
@settings(max_examples=150, deadline=None)
@example(rows([0], [0], 2))
@example(rows([0, 0, 0], [1, 1, 1], 2))
@example(rows([0] * 98 + [1, 2], [0] * 100, 3))
@given(st.one_of(classifications(), tag_lists()))
def test_classification_equals_scikit_learn(batch: Scored) -> None:
    extra = {"sample_weight": batch.weight}
    pair = (batch.labels, batch.predicted)
    assert figure("accuracy", batch) == pytest.approx(peer("accuracy_score", *pair, **extra), abs=1e-12)
    two = batch.classes == 2 and not batch.several
    for name in ("precision", "recall", "f1"):
        for average in (*AVERAGES, "binary") if two else AVERAGES:
            theirs = peer(f"{name}_score", *pair, average=average, zero_division=0, **extra)
            assert figure({"type": name, "average": average}, batch) == pytest.approx(theirs, abs=1e-12)
        default = peer(f"{name}_score", *pair, average="binary" if two else "macro", zero_division=0, **extra)
        assert figure(name, batch) == pytest.approx(default, abs=1e-12)


@pytest.mark.peers
@settings(max_examples=150, deadline=None)
@example(rows([0], [0], 2))
@example(rows([0, 0, 0], [1, 1, 1], 2))
@example(rows([1, 1, 1], [0, 1, 2], 3))
@example(rows([0] * 98 + [1, 2], [0] * 100, 3))
@given(classifications())
def test_balanced_accuracy_and_matthews_equal_scikit_learn(batch: Scored) -> None:
    pair, extra = (batch.labels, batch.predicted), {"sample_weight": batch.weight}
    for ours, theirs in (("balanced_accuracy", "balanced_accuracy_score"), ("matthews", "matthews_corrcoef")):
        assert figure(ours, batch) == pytest.approx(peer(theirs, *pair, **extra), abs=1e-12)


@pytest.mark.peers
@settings(max_examples=100, deadline=None)
@given(classifications(3), st.integers(1, 5))
def test_top_k_equals_scikit_learn(batch: Scored, k: int) -> None:
    """In ties too, and where k takes all classes."""
    extra = {"k": k, "labels": range(batch.classes), "sample_weight": batch.weight}
    if len(np.unique(batch.labels)) == 2:
        extra["sample_weight"] = np.append(batch.weight, 0)  # else it takes them for two classes
        present = np.unique(batch.labels)
        third = next(c for c in range(batch.classes) if c not in present)
        labels, output = np.append(batch.labels, third), np.vstack([batch.output, batch.output[:1]])
    else:
        labels, output = batch.labels, batch.output
    if len(np.unique(labels)) < 3:
        return
    theirs = peer("top_k_accuracy_score", labels, output, **extra)
    assert figure({"type": "top_k", "k": k}, batch) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.peers
@settings(max_examples=100, deadline=None)
@given(classifications(), st.booleans())
def test_brier_equals_scikit_learn(batch: Scored, certain: bool) -> None:
    if certain:
        batch.output = np.eye(batch.classes)[batch.predicted]
    extra = {"sample_weight": batch.weight, "labels": range(batch.classes)}
    theirs = peer("brier_score_loss", batch.labels, batch.output, **extra)
    assert figure("brier", batch) == pytest.approx(theirs, abs=1e-12)
    if batch.classes == 2:
        batch.output = batch.output[:, 1:]
        theirs = peer("brier_score_loss", batch.labels, batch.output[:, 0], sample_weight=batch.weight, pos_label=1)
        assert figure("brier", batch) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.peers
@settings(max_examples=100, deadline=None)
@given(classifications(), st.booleans())
def test_log_loss_equals_scikit_learn(batch: Scored, certain: bool) -> None:
    if certain:
        batch.output = np.eye(batch.classes)[batch.predicted]
    extra = {"sample_weight": batch.weight, "labels": range(batch.classes)}
    assert figure("log_loss", batch) == pytest.approx(peer("log_loss", batch.labels, batch.output, **extra), rel=1e-12)
    if batch.classes == 2:
        batch.output = batch.output[:, 1:]
        theirs = peer("log_loss", batch.labels, batch.output[:, 0], **extra)
        assert figure("log_loss", batch) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.peers
@settings(max_examples=50, deadline=None)
@given(tag_lists())
def test_probabilities_of_several_labels_score_scikit_learns_mean_over_labels(batch: Scored) -> None:
    columns = list(zip(batch.labels.T, batch.output.T, strict=True))  # type: ignore[union-attr]
    theirs = [peer("log_loss", t, p, labels=[0, 1], sample_weight=batch.weight) for t, p in columns]
    assert figure("log_loss", batch) == pytest.approx(np.mean(theirs), rel=1e-12)
    theirs = [peer("brier_score_loss", t, p, pos_label=1, sample_weight=batch.weight) for t, p in columns]
    assert figure("brier", batch) == pytest.approx(np.mean(theirs), rel=1e-12)


@pytest.mark.peers
@settings(max_examples=150, deadline=None)
@given(regressions(), st.integers(0, 40))
def test_regression_equals_scikit_learn(batch: Scored, at: int) -> None:
    names = {
        "mse": "mean_squared_error",
        "rmse": "root_mean_squared_error",
        "mae": "mean_absolute_error",
        "r2": "r2_score",
        "explained_variance": "explained_variance_score",
    }
    for ours, theirs in names.items():
        expected = peer(theirs, batch.target, batch.output, sample_weight=batch.weight)
        for batches in ((batch,), cut(batch, at)):
            assert figure(ours, *batches) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.peers
def test_rows_of_weight_zero_are_rows_that_scikit_learn_never_saw() -> None:
    rng = np.random.default_rng(3)
    labels, predicted, weight = rng.integers(0, 4, 50), rng.integers(0, 4, 50), rng.integers(0, 3, 50).astype(float)
    weight[labels == 3] = weight[predicted == 3] = 0
    seen = weight > 0
    for average in AVERAGES:
        theirs = peer("f1_score", labels[seen], predicted[seen], average=average, sample_weight=weight[seen])
        assert figure({"type": "f1", "average": average}, rows(labels, predicted, 4, weight)) == pytest.approx(theirs)
    target, output = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    for ours in ("r2", "explained_variance"):
        theirs = peer(f"{ours}_score", target[seen], output[seen], sample_weight=weight[seen])
        assert figure(ours, values(output, target, weight)) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.peers
@settings(max_examples=100, deadline=None)
@given(st.one_of(classifications(), tag_lists()))
def test_report_equals_scikit_learn(batch: Scored) -> None:
    batch.weight = np.ones(len(batch.weight))
    counts = np.zeros((3, batch.classes))
    metrics.add_counts(counts, batch)
    ours = report.classification_report(counts, [str(k) for k in range(batch.classes)], several=batch.several)
    theirs = peer("classification_report", batch.labels, batch.predicted, output_dict=True, zero_division=0)
    theirs.pop("samples avg", None)
    assert [row.name for part in ours for row in part] == list(theirs)
    for row in (*ours[0], *ours[1]):
        expected = theirs[row.name]
        if row.name == "accuracy":
            assert row.f1 == pytest.approx(expected, abs=1e-12)
            continue
        assert (row.precision, row.recall, row.f1) == pytest.approx(
            (expected["precision"], expected["recall"], expected["f1-score"]), abs=1e-12
        )
        assert row.support == expected["support"]


@pytest.mark.peers
@settings(max_examples=30, deadline=None)
@given(classifications())
def test_confusion_matrix_equals_scikit_learn(batch: Scored) -> None:
    ours = np.zeros((batch.classes, batch.classes))
    metrics.add_confusion(ours, batch)
    theirs = peer(
        "confusion_matrix", batch.labels, batch.predicted, labels=range(batch.classes), sample_weight=batch.weight
    )
    assert ours == pytest.approx(theirs, abs=1e-12)
