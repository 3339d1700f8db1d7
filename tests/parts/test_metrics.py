"""Metrics against values by hand and, marked `peers`, against scikit-learn on random and degenerate cases."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bpcli.family import Metric, Scored
from bpcli.parts import metrics, report
from bpcli.records import ClassRow, Failure

AVERAGES = ("macro", "micro", "weighted")


def figure(metric: Any, *batches: Scored) -> float:
    """The figure of a metric, named or built, over batches."""
    metric = Metric.parse(metric)
    totals = metric.totals(batches[0].classes, batches[0].output.shape[1])
    for batch in batches:
        metric.add(totals, batch)
    return metric.result(totals)


def rows(labels: Any, guesses: Any, classes: int, weight: Any = None, *, output: Any = None) -> Scored:
    """A batch of a classification; several labels a row where `labels` is (N, K)."""
    labels, guesses = np.asarray(labels, dtype=np.int64), np.asarray(guesses, dtype=np.int64)
    several = labels.ndim == 2
    target = labels.astype(float) if several else np.eye(classes)[labels]
    weight = np.ones(len(labels)) if weight is None else np.asarray(weight)
    output = target if output is None else np.asarray(output)
    return Scored(output, target, labels, guesses, weight, classes, several)


def values(output: Any, target: Any, weight: Any = None, dtype: Any = np.float64) -> Scored:
    """A batch of a regression."""
    output, target = np.asarray(output, dtype=dtype), np.asarray(target, dtype=dtype)
    return Scored(output, target, None, None, np.ones(len(target)) if weight is None else np.asarray(weight), 0)


def cut(batch: Scored, at: int) -> tuple[Scored, Scored]:
    """The rows before and from `at` on."""
    parts = []
    for piece in (slice(0, at), slice(at, None)):
        chosen = [None if a is None else a[piece] for a in (batch.output, batch.target, batch.labels, batch.guesses)]
        parts.append(Scored(*chosen, batch.weight[piece], batch.classes, batch.several))  # type: ignore[arg-type]
    return parts[0], parts[1]


# By hand

# true 0 0 0 1 1 2, guessed 0 0 1 1 2 0: class 2 is guessed once and never hit, class 3 does not occur
SMALL = rows([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 0], 4)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("accuracy", 3 / 6),
        ("precision", (2 / 3 + 1 / 2 + 0) / 3),
        ("recall", (2 / 3 + 1 / 2 + 0) / 3),
        ({"type": "precision", "average": "weighted"}, (3 * 2 / 3 + 2 * 1 / 2) / 6),
        ({"type": "recall", "average": "micro"}, 3 / 6),
        ({"type": "f1", "average": "macro"}, (4 / 6 + 2 / 4 + 0) / 3),
        ({"type": "f1", "average": "weighted"}, (3 * 4 / 6 + 2 * 2 / 4) / 6),
    ],
)
def test_three_classes_by_hand(metric: Any, expected: float) -> None:
    assert figure(metric, SMALL) == pytest.approx(expected, abs=1e-15)


def test_two_classes_score_the_second_one() -> None:
    batch = rows([1, 1, 1, 0, 0], [1, 0, 0, 1, 0], 2)
    assert figure("precision", batch) == 1 / 2
    assert figure("recall", batch) == pytest.approx(1 / 3)
    assert figure("f1", batch) == pytest.approx(2 / 5)
    assert figure({"type": "recall", "average": "macro"}, batch) == pytest.approx((1 / 3 + 1 / 2) / 2)


def test_weights_count_rows_more_than_once() -> None:
    weighted = rows([0, 0, 1, 2], [0, 1, 1, 0], 3, [2.0, 1.0, 3.0, 0.0])
    written_out = rows([0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], 3)
    for metric in ("accuracy", "precision", "recall", "f1"):
        assert figure(metric, weighted) == pytest.approx(figure(metric, written_out), abs=1e-15)


def test_several_labels_a_row() -> None:
    batch = rows([[1, 0, 0], [1, 1, 0], [0, 1, 0]], [[1, 0, 0], [1, 0, 0], [0, 1, 0]], 3)
    assert figure("accuracy", batch) == pytest.approx(2 / 3)  # a row is right where all its labels are
    assert figure("recall", batch) == pytest.approx((1 + 1 / 2 + 0) / 3)  # an absent label counts here
    assert figure({"type": "recall", "average": "micro"}, batch) == pytest.approx(3 / 4)


def test_two_labels_a_row_are_not_two_classes() -> None:
    batch = rows([[1, 0], [1, 0]], [[1, 0], [1, 0]], 2)
    assert figure("f1", batch) == 0.5
    assert figure("f1", rows([[0, 0]], [[0, 0]], 2)) == 0


def test_nothing_to_score_is_zero() -> None:
    assert figure("f1", rows([0, 0], [0, 0], 2)) == 0  # the positive class neither occurs nor is guessed
    assert figure("precision", rows([1, 1], [0, 0], 2)) == 0
    assert figure("recall", rows([0, 0], [1, 1], 2)) == 0


def test_log_loss_by_hand() -> None:
    probabilities = [[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]
    batch = rows([1, 2], [0, 2], 3, output=probabilities)
    assert figure("log_loss", batch) == pytest.approx(-(math.log(0.25) + math.log(0.8)) / 2, abs=1e-15)
    one_column = rows([1, 0], [1, 0], 2, output=[[0.75], [0.4]])
    assert figure("log_loss", one_column) == pytest.approx(-(math.log(0.75) + math.log(0.6)) / 2, abs=1e-15)
    several = rows([[1, 0]], [[1, 0]], 2, output=[[0.75, 0.4]])
    assert figure("log_loss", several) == pytest.approx(-(math.log(0.75) + math.log(0.6)) / 2, abs=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_of_a_certain_mistake_is_finite(dtype: Any) -> None:
    wrong = rows([0], [1], 2, output=np.asarray([[0.0, 1.0]], dtype))
    assert figure("log_loss", wrong) == pytest.approx(-math.log(2.0**-52))
    right = rows([1], [1], 2, output=np.asarray([[0.0, 1.0]], dtype))
    assert 0 < figure("log_loss", right) < 1e-15


def test_regression_by_hand() -> None:
    batch = values([[1.0, 0.0], [2.0, 2.0], [4.0, 1.0]], [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    assert figure("mse", batch) == pytest.approx((1 / 3 + 5 / 3) / 2)
    assert figure("mae", batch) == pytest.approx((1 / 3 + 3 / 3) / 2)
    assert figure("r2", batch) == pytest.approx(((1 - 1 / 2) + (1 - 5 / 2)) / 2)


def test_r2_of_a_constant_target() -> None:
    tenth = np.full((6, 1), 0.1)  # its sum divided by 6 is not 0.1
    assert figure("r2", values(tenth, tenth)) == 1
    assert figure("r2", values(tenth + 1, tenth)) == 0
    assert figure("r2", *cut(values(tenth + 1, tenth), 3)) == 0


def test_r2_far_from_zero() -> None:
    """The sum of squares of these targets has no digit left for their spread."""
    target = 1e9 + np.arange(100.0)[:, None]
    output = target + np.where(np.arange(100) % 2, 1.0, -1.0)[:, None]
    assert figure("r2", *cut(values(output, target), 37)) == pytest.approx(1 - 100 / 83325, abs=1e-12)


def test_r2_needs_two_rows() -> None:
    assert math.isnan(figure("r2", values([[1.0]], [[2.0]])))
    assert math.isnan(figure("r2", values([[1.0], [5.0]], [[2.0], [3.0]], [1.0, 0.0])))


@pytest.mark.parametrize("name", list(Metric.registry))
def test_no_rows_are_no_figure(name: str) -> None:
    metric = Metric.parse(name)
    assert math.isnan(metric.result(metric.totals(3, 3)))
    empty = rows(np.zeros(0), np.zeros(0), 3) if metric.task == "classification" else values(*np.zeros((2, 0, 3)))
    assert math.isnan(figure(name, empty, empty))


@pytest.mark.parametrize("name", ["mse", "mae", "r2"])
def test_a_net_that_diverged_has_no_finite_figure(name: str) -> None:
    for bad in (np.inf, np.nan, 1e300):
        score = figure(name, values([[bad], [0.0]], [[1.0], [2.0]]))
        assert not abs(score) < 1e200


@pytest.mark.parametrize("name", ["mse", "mae", "r2"])
def test_float32_rows_are_summed_in_float64(name: str) -> None:
    rng = np.random.default_rng(1)
    target = rng.normal(1000, 1, (5000, 2)).astype(np.float32)
    output = (target + rng.normal(0, 0.1, (5000, 2))).astype(np.float32)
    assert figure(name, values(output, target, dtype=np.float32)) == pytest.approx(
        figure(name, values(output, target)), rel=1e-13
    )


def test_float32_weights_do_not_saturate() -> None:
    weight = np.full(3, 2.0**24, np.float32)
    weight[2] = 1
    assert figure("accuracy", rows([0, 0, 0], [0, 1, 0], 2, weight)) == (2**24 + 1) / (2**25 + 1)


def test_a_batch_is_not_changed() -> None:
    for batch in (SMALL, values(np.ones((3, 2)), np.zeros((3, 2)))):
        before = [None if a is None else np.copy(a) for a in vars(batch).values()]
        for name, leaf in Metric.registry.items():
            if (leaf.task == "regression") == (batch.labels is None):
                figure(name, batch)
        for old, new in zip(before, vars(batch).values(), strict=True):
            assert old is None or np.array_equal(old, new)


def test_binary_needs_two_classes() -> None:
    f1 = Metric.parse({"type": "f1", "average": "binary"})
    with pytest.raises(Failure, match=r"`average: binary` needs two classes, .*; there are 3"):
        f1.totals(3, 3)
    with pytest.raises(Failure, match="a row may have several labels here"):
        figure(f1, rows([[1, 0]], [[1, 0]], 2))
    with pytest.raises(ValidationError, match="'macro', 'micro', 'weighted' or 'binary'"):
        Metric.parse({"type": "f1", "average": "samples"})


def test_classes_of_a_regression() -> None:
    with pytest.raises(TypeError, match="values, not classes"):
        figure("accuracy", values([[1.0]], [[2.0]]))


# Totals add up

SKEWED = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 4])
WEIGHTS = st.one_of(st.none(), st.floats(1e-3, 10))


@st.composite
def classifications(draw: Any) -> Scored:
    """One label a row: from one row to forty, classes that are missing, guesses that are always the same."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(2, 5))
    labels = [min(x, k - 1) for x in draw(st.lists(SKEWED, min_size=n, max_size=n))]
    kind = draw(st.sampled_from(["any", "same", "right"]))
    guesses = {"any": draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)), "same": [k - 1] * n}.get(
        kind, labels
    )
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weight = rng.uniform(0.1, 3, n) if draw(st.booleans()) else None
    output = rng.dirichlet(np.full(k, 0.3), n)
    return rows(labels, guesses, k, weight, output=output)


@st.composite
def tag_lists(draw: Any) -> Scored:
    """Several labels a row, or none."""
    n, k = draw(st.integers(1, 20)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    share = draw(st.sampled_from([0.0, 0.2, 0.8, 1.0]))
    labels, guesses = rng.random((n, k)) < share, rng.random((n, k)) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    weight = rng.uniform(0.1, 3, n) if draw(st.booleans()) else None
    return rows(labels, guesses, k, weight, output=rng.random((n, k)))


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


@settings(max_examples=60, deadline=None)
@given(st.one_of(classifications(), tag_lists(), regressions()), st.integers(0, 40))
def test_two_parts_make_the_whole(batch: Scored, at: int) -> None:
    for name, leaf in Metric.registry.items():
        if (leaf.task == "regression") == (batch.labels is None):
            assert figure(name, *cut(batch, at)) == pytest.approx(
                figure(name, batch), rel=1e-12, abs=1e-12, nan_ok=True
            )


@settings(max_examples=60, deadline=None)
@given(classifications(), st.integers(0, 40))
def test_the_confusion_matrix_adds_up_and_holds_the_counts(batch: Scored, at: int) -> None:
    k = batch.classes
    whole, parts, counts = np.zeros((k, k)), np.zeros((k, k)), np.zeros((3, k))
    metrics.add_confusion(whole, batch)
    metrics.add_counts(counts, batch)
    for part in cut(batch, at):
        metrics.add_confusion(parts, part)
    assert parts == pytest.approx(whole, abs=1e-12)
    assert metrics.counts_of(whole) == pytest.approx(counts, abs=1e-12)


def test_rows_of_the_confusion_matrix_are_true_classes() -> None:
    matrix = np.zeros((3, 3))
    metrics.add_confusion(matrix, rows([0, 0, 1], [0, 2, 0], 3))
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 0], [0, 0, 0]]


# The report


def test_report_by_hand() -> None:
    counts = metrics.counts_of(np.array([[2, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]))
    classes, averages = report.classification_report(counts, ("a", "b", "c", "d"))
    assert classes == (
        ClassRow("a", 2 / 3, 2 / 3, 2 / 3, 3),
        ClassRow("b", 1 / 2, 1 / 2, 1 / 2, 2),
        ClassRow("c", 0.0, 0.0, 0.0, 1),
    )
    assert [(row.name, row.support) for row in averages] == [("accuracy", 6), ("macro avg", 6), ("weighted avg", 6)]
    assert averages[0].f1 == averages[0].precision == 0.5


def test_report_without_a_class_that_occurs_has_no_accuracy() -> None:
    counts = metrics.counts_of(np.array([[2, 1], [0, 3]]))
    _, averages = report.classification_report(counts, ("a", "b"), labels=[1])
    assert averages[0] == ClassRow("micro avg", 3 / 4, 1.0, 6 / 7, 3)


def test_report_of_no_rows() -> None:
    classes, averages = report.classification_report(np.zeros((3, 2)), ("a", "b"))
    assert classes == ()
    assert math.isnan(averages[1].f1)


def test_notes_say_which_scores_are_zero_by_convention() -> None:
    counts = np.array([[0, 0, 0, 2], [0, 1, 0, 2], [1, 0, 0, 2]], float)
    assert report.notes(counts, ("a", "b", "c", "d")) == (
        "class a: never predicted; its precision counts as 0",
        "class b: not present; its recall counts as 0",
        "class c: neither present nor predicted; macro averages leave it out",
    )
    assert report.notes(counts, ("a", "b", "c", "d"), several=True)[2].endswith("; its scores count as 0")


# Against scikit-learn


def peer(name: str, *args: Any, **settings: Any) -> Any:
    """scikit-learn's figure. It warns of few rows for many classes, which is what these tests are about."""
    import sklearn.metrics

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return getattr(sklearn.metrics, name)(*args, **settings)


@pytest.mark.peers
@settings(max_examples=150, deadline=None)
@example(rows([0], [0], 2))
@example(rows([0, 0, 0], [1, 1, 1], 2))
@example(rows([0] * 98 + [1, 2], [0] * 100, 3))
@given(st.one_of(classifications(), tag_lists()))
def test_classification_equals_scikit_learn(batch: Scored) -> None:
    given = {"sample_weight": batch.weight}
    pair = (batch.labels, batch.guesses)
    assert figure("accuracy", batch) == pytest.approx(peer("accuracy_score", *pair, **given), abs=1e-12)
    two = batch.classes == 2 and not batch.several
    for name in ("precision", "recall", "f1"):
        for average in (*AVERAGES, "binary") if two else AVERAGES:
            theirs = peer(f"{name}_score", *pair, average=average, zero_division=0, **given)
            assert figure({"type": name, "average": average}, batch) == pytest.approx(theirs, abs=1e-12)
        default = peer(f"{name}_score", *pair, average="binary" if two else "macro", zero_division=0, **given)
        assert figure(name, batch) == pytest.approx(default, abs=1e-12)


@pytest.mark.peers
@settings(max_examples=100, deadline=None)
@given(classifications(), st.booleans())
def test_log_loss_equals_scikit_learn(batch: Scored, certain: bool) -> None:
    if certain:
        batch.output = np.eye(batch.classes)[batch.guesses]
    given = {"sample_weight": batch.weight, "labels": range(batch.classes)}
    assert figure("log_loss", batch) == pytest.approx(peer("log_loss", batch.labels, batch.output, **given), rel=1e-12)
    if batch.classes == 2:
        batch.output = batch.output[:, 1:]
        theirs = peer("log_loss", batch.labels, batch.output[:, 0], **given)
        assert figure("log_loss", batch) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.peers
@settings(max_examples=50, deadline=None)
@given(tag_lists())
def test_log_loss_of_several_labels_is_scikit_learns_mean_over_labels(batch: Scored) -> None:
    columns = zip(batch.labels.T, batch.output.T, strict=True)  # type: ignore[union-attr]
    theirs = [peer("log_loss", t, p, labels=[0, 1], sample_weight=batch.weight) for t, p in columns]
    assert figure("log_loss", batch) == pytest.approx(np.mean(theirs), rel=1e-12)


@pytest.mark.peers
@settings(max_examples=150, deadline=None)
@given(regressions(), st.integers(0, 40))
def test_regression_equals_scikit_learn(batch: Scored, at: int) -> None:
    names = {"mse": "mean_squared_error", "mae": "mean_absolute_error", "r2": "r2_score"}
    for ours, theirs in names.items():
        expected = peer(theirs, batch.target, batch.output, sample_weight=batch.weight)
        for batches in ((batch,), cut(batch, at)):
            assert figure(ours, *batches) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.peers
def test_rows_of_weight_zero_are_rows_that_scikit_learn_never_saw() -> None:
    rng = np.random.default_rng(3)
    labels, guesses, weight = rng.integers(0, 4, 50), rng.integers(0, 4, 50), rng.integers(0, 3, 50).astype(float)
    weight[labels == 3] = weight[guesses == 3] = 0
    seen = weight > 0
    for average in AVERAGES:
        theirs = peer("f1_score", labels[seen], guesses[seen], average=average, sample_weight=weight[seen])
        assert figure({"type": "f1", "average": average}, rows(labels, guesses, 4, weight)) == pytest.approx(theirs)
    target, output = rng.normal(size=(50, 2)), rng.normal(size=(50, 2))
    theirs = peer("r2_score", target[seen], output[seen], sample_weight=weight[seen])
    assert figure("r2", values(output, target, weight)) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.peers
@settings(max_examples=100, deadline=None)
@given(st.one_of(classifications(), tag_lists()), st.booleans())
def test_report_equals_scikit_learn(batch: Scored, every: bool) -> None:
    """With its default labels, and with all labels named, absent ones too."""
    batch.weight = np.ones(len(batch.weight))
    counts = np.zeros((3, batch.classes))
    metrics.add_counts(counts, batch)
    ids = range(batch.classes) if every else None
    ours = report.classification_report(
        counts, [str(k) for k in range(batch.classes)], several=batch.several, labels=ids
    )
    theirs = peer("classification_report", batch.labels, batch.guesses, labels=ids, output_dict=True, zero_division=0)
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
        "confusion_matrix", batch.labels, batch.guesses, labels=range(batch.classes), sample_weight=batch.weight
    )
    assert ours == pytest.approx(theirs, abs=1e-12)
