"""Metrics against values by hand, and the rules that all of them keep."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import classifications, cut, figure, measurable, regressions, rows, tag_lists, values
from pydantic import ValidationError

from bpcli.family import Metric, Scored
from bpcli.parts import metrics
from bpcli.records.training import ClassRow, Failure
from bpcli.studies.evaluation import report

# By hand

# true 0 0 0 1 1 2, predicted 0 0 1 1 2 0: class 2 is predicted once and never hit, class 3 does not occur
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
    assert figure("f1", rows([0, 0], [0, 0], 2)) == 0  # the positive class neither occurs nor is predicted
    assert figure("precision", rows([1, 1], [0, 0], 2)) == 0
    assert figure("recall", rows([0, 0], [1, 1], 2)) == 0


def test_balanced_accuracy_by_hand() -> None:
    assert figure("balanced_accuracy", SMALL) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert figure("balanced_accuracy", rows([0] * 9 + [1], [0] * 10, 2)) == 0.5
    assert figure("balanced_accuracy", rows([0, 0], [0, 1], 2)) == 0.5  # class 1 does not occur


def test_matthews_by_hand() -> None:
    two = rows([1, 1, 1, 0, 0], [1, 0, 1, 1, 0], 2)  # 2 hits, 1 miss, 1 false alarm, 1 rejection
    assert figure("matthews", two) == pytest.approx((2 * 1 - 1 * 1) / math.sqrt(3 * 3 * 2 * 2))
    assert figure("matthews", rows([0, 1, 2], [1, 2, 0], 3)) == pytest.approx(-0.5)
    assert figure("matthews", rows([0, 1, 2], [0, 1, 2], 3)) == pytest.approx(1)
    assert figure("matthews", rows([0, 1, 0], [1, 1, 1], 2)) == 0  # every prediction is the same
    assert figure("matthews", rows([1, 1, 1], [1, 1, 1], 2)) == 0


def test_matthews_of_one_class_and_weights_that_do_not_add_up_exactly() -> None:
    weight = np.full(30, 0.1)
    predicted = np.arange(30) % 3
    assert figure("matthews", rows(np.zeros(30), predicted, 3, weight)) == 0
    assert figure("matthews", rows(predicted, np.zeros(30), 3, weight)) == 0


def top(k: int) -> Metric:
    return Metric.parse({"type": "top_k", "k": k})


def test_top_k_by_hand() -> None:
    output = [[0.5, 0.3, 0.2, 0.0], [0.1, 0.2, 0.3, 0.4], [0.4, 0.1, 0.2, 0.3]]
    batch = rows([1, 0, 3], [0, 3, 0], 4, output=output)
    assert [figure(top(k), batch) for k in (1, 2, 3)] == [0, pytest.approx(2 / 3), pytest.approx(2 / 3)]
    for label, place in ((0, 3), (1, 2), (2, 1)):  # of three that are tied, the last stands first
        tied = rows([label], [0], 3, output=[[1 / 3] * 3])
        assert [figure(top(k), tied) for k in (1, 2, 3)] == [place <= k for k in (1, 2, 3)]
    assert figure(top(2), rows([0], [0], 3, output=[[np.nan] * 3])) == 0
    assert figure(top(1), rows([1, 0], [1, 1], 2, output=[[0.7], [0.6]])) == 0.5


def test_brier_by_hand() -> None:
    three = rows([1, 2], [0, 2], 3, output=[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    assert figure("brier", three) == pytest.approx((0.25 + 0.75**2 + 0.25**2 + 0.01 + 0.01 + 0.04) / 2)
    for output in ([[0.75], [0.4]], [[0.25, 0.75], [0.6, 0.4]]):
        assert figure("brier", rows([1, 0], [1, 0], 2, output=output)) == pytest.approx((0.25**2 + 0.4**2) / 2)
    several = rows([[1, 0, 1]], [[1, 0, 1]], 3, output=[[0.75, 0.4, 0.9]])
    assert figure("brier", several) == pytest.approx((0.25**2 + 0.4**2 + 0.1**2) / 3)


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
    assert figure("rmse", batch) == pytest.approx((math.sqrt(1 / 3) + math.sqrt(5 / 3)) / 2)
    assert figure("mae", batch) == pytest.approx((1 / 3 + 3 / 3) / 2)
    assert figure("r2", batch) == pytest.approx(((1 - 1 / 2) + (1 - 5 / 2)) / 2)


def test_explained_variance_passes_over_a_constant_error() -> None:
    batch = values([[3.0], [4.0], [6.0], [7.0]], [[1.0], [2.0], [3.0], [4.0]])  # errors -2, -2, -3, -3
    assert figure("explained_variance", batch) == pytest.approx(1 - 1 / 5)
    tenth = np.full((6, 1), 0.1)
    assert figure("explained_variance", *cut(values(tenth + 1, tenth), 4)) == 1
    assert figure("explained_variance", values(tenth + np.arange(6)[:, None], tenth)) == 0
    assert figure("explained_variance", values([[1.0]], [[2.0]])) == 1  # as in scikit-learn, where r2 is nan


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


@pytest.mark.parametrize("name", [kind for kind, leaf in Metric.registry.items() if not leaf.of_losses])
def test_no_rows_are_no_figure(name: str) -> None:
    metric = Metric.parse(name)
    assert math.isnan(metric.result(metric.totals(3, 3)))
    empty = rows(np.zeros(0), np.zeros(0), 3) if metric.task == "classification" else values(*np.zeros((2, 0, 3)))
    assert math.isnan(figure(name, empty, empty))


@pytest.mark.parametrize("name", ["mse", "rmse", "mae", "r2", "explained_variance"])
def test_a_net_that_diverged_has_no_finite_figure(name: str) -> None:
    for bad in (np.inf, np.nan, 1e300):
        score = figure(name, values([[bad], [0.0]], [[1.0], [2.0]]))
        assert not abs(score) < 1e100


@pytest.mark.parametrize("name", ["mse", "rmse", "mae", "r2", "explained_variance"])
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
        for name in measurable(batch):
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


@pytest.mark.parametrize("name", ["balanced_accuracy", "matthews", "top_k"])
def test_one_class_a_row(name: str) -> None:
    metric = Metric.parse(name)
    assert metric.check(3, False, False) == ""
    assert metric.check(3, True, True).startswith(
        f"{name} needs one class for each row, and here a row may have several"
    )
    with pytest.raises(TypeError, match="several labels, not one class"):
        figure(metric, rows([[1, 0]], [[1, 0]], 2))


@pytest.mark.parametrize("name", ["log_loss", "brier", "roc_auc", "average_precision"])
def test_probabilities_are_needed(name: str) -> None:
    metric = Metric.parse(name)
    assert metric.check(3, False, False).startswith(f"{name} needs probabilities: a loss such as softmax_cross_entropy")
    assert metric.check(2, False, True) == metric.check(3, True, True) == ""


def test_k_is_below_the_number_of_classes() -> None:
    assert top(3).check(4, False, False) == ""
    assert "`k` has to be below 3" in top(3).check(3, False, True)


def test_classes_of_a_regression() -> None:
    with pytest.raises(TypeError, match="values, not classes"):
        figure("accuracy", values([[1.0]], [[2.0]]))


# Totals add up


@settings(max_examples=60, deadline=None)
@given(st.one_of(classifications(), tag_lists(), regressions()), st.integers(0, 40))
def test_two_parts_make_the_whole(batch: Scored, at: int) -> None:
    for name in measurable(batch):
        assert figure(name, *cut(batch, at)) == pytest.approx(figure(name, batch), rel=1e-12, abs=1e-12, nan_ok=True)


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


def test_what_is_refused_is_said() -> None:
    for leaf in Metric.registry.values():
        for sample in leaf.samples():
            if sample.error:
                with pytest.raises(ValidationError, match=sample.error):
                    Metric.parse(sample.part)


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


def test_report_of_several_labels_has_no_accuracy_and_shows_each_label() -> None:
    counts = np.array([[2.0, 0.0], [3.0, 0.0], [2.0, 0.0]])
    classes, averages = report.classification_report(counts, ("a", "b"), several=True)
    assert [row.name for row in classes] == ["a", "b"]
    assert [row.name for row in averages] == ["micro avg", "macro avg", "weighted avg"]


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


def notes_of(metric: Any, support: list[int], predicted: list[int] | None = None, **settings: Any) -> list[str]:
    """The notes on a metric, beside those on classes."""
    counts = np.array([[0] * len(support), predicted or support, support], float)
    several = settings.get("several", False)
    plain = report.notes(counts, "abcdefgh"[: len(support)], several=several)
    rows = settings.get("rows", sum(support))
    found = report.notes(
        counts, "abcdefgh"[: len(support)], several=several, rows=rows, metrics={"figure": Metric.parse(metric)}
    )
    assert found[: len(plain)] == plain
    return list(found[len(plain) :])


def test_notes_on_metrics() -> None:
    assert notes_of("accuracy", [3, 0]) == []
    for name in ("roc_auc", "average_precision", "balanced_accuracy", "matthews"):
        assert notes_of(name, [3, 1, 2]) == []
    assert notes_of("roc_auc", [3, 0, 1]) == ["figure: undefined: no row is of class b"]
    assert notes_of("roc_auc", [0, 4]) == ["figure: undefined: every row is of class b"]
    weighted = {"type": "roc_auc", "average": "weighted"}
    assert notes_of(weighted, [3, 0, 1]) == []
    assert notes_of(weighted, [3, 0, 0]) == ["figure: undefined: every row is of class a"]
    assert notes_of("roc_auc", [3, 1], several=True, rows=3) == ["figure: undefined: every row is of label a"]
    assert notes_of("average_precision", [3, 0]) == ["figure: no row is of class b: counted as 0"]
    assert notes_of("average_precision", [0, 3]) == []
    assert notes_of("average_precision", [2, 0, 0], several=True, rows=3) == [
        "figure: no row is of labels b, c: counted as 0"
    ]
    assert notes_of("balanced_accuracy", [1, 0, 0, 0, 0, 0, 0, 1]) == [
        "figure: no row is of classes b, c, d, e, f and 1 more: left out"
    ]
    assert notes_of("matthews", [2, 0]) == ["figure: 0 by convention: every row is of class a"]
    assert notes_of("matthews", [1, 1], [0, 2]) == ["figure: 0 by convention: every prediction is class b"]
