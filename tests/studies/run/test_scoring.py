"""An accumulator that is saved and restored goes on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bpcli.family import Array, Loss, Metric
from bpcli.studies.dataset.preprocessor import Preprocessor
from bpcli.studies.run.scoring import MetricAccumulator, Predictor

JUDGE = Predictor(Loss.parse("softmax_cross_entropy"), Preprocessor(shape=(2,), columns=(), classes=("a", "b", "c")), 3)
NAMES = ("accuracy", "f1", "top_k", "roc_auc", "average_precision", "brier", "matthews")


def accumulator(*names: Any) -> MetricAccumulator:
    return MetricAccumulator(JUDGE, [Metric.parse(name) for name in names or NAMES])


def feed(to: MetricAccumulator, batches: int, seed: int) -> MetricAccumulator:
    rng = np.random.default_rng(seed)
    for _ in range(batches):
        to.add(rng.normal(size=(5, 3)), np.eye(3)[rng.integers(0, 3, 5)])
    return to


@pytest.mark.parametrize("done", [0, 1, 4])
@pytest.mark.parametrize("used", [False, True])
def test_restored_to_the_bit(done: int, used: bool) -> None:
    first = feed(accumulator(), done, 1)
    second = feed(accumulator(), 3 if used else 0, 9)
    second.restore({name: a.copy() for name, a in first.arrays().items()})
    for one in (first, second):
        feed(one, 6, 2)
    assert first.results() == second.results()
    ours, theirs = first.arrays(), second.arrays()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name


def test_what_is_restored_is_a_copy() -> None:
    saved = {name: a.copy() for name, a in feed(accumulator(), 2, 1).arrays().items()}
    before = {name: a.copy() for name, a in saved.items()}
    feed(accumulator(), 0, 0).restore(saved)
    restored = accumulator()
    restored.restore(saved)
    feed(restored, 3, 3)
    assert all(np.array_equal(a, before[name]) for name, a in saved.items())


def test_what_does_not_fit_is_refused() -> None:
    saved = feed(accumulator(), 2, 1).arrays()
    with pytest.raises(KeyError, match=r"balanced_accuracy\.counts"):
        accumulator("balanced_accuracy").restore(saved)
    for name, array in (
        ("roc_auc.score", np.zeros((4, 2))),
        ("roc_auc.score", np.zeros(4)),
        ("roc_auc.truth", np.zeros((4, 3))),
        ("f1.counts", np.zeros((2, 3))),
    ):
        with pytest.raises(ValueError, match=rf"{name} is float64 of shape \({array.shape[0]},"):
            accumulator().restore({**saved, name: array})


# ---------------------------------------------------------------------------------------------------------- predictions
Y = np.array([[0.0, 2.0], [1.0, -1.0], [-3.0, -3.0]])


class Known:
    """What a predictor asks a preprocessor: names of classes and targets, and values in their own units."""

    def __init__(self, classes: tuple[str, ...] = (), target_names: tuple[str, ...] = ()) -> None:
        self.classes, self.target_names = classes, target_names

    def decode_values(self, y: Array) -> Array:
        return y * 10


def predictor(loss: str, known: Known, outputs: int = 2) -> Predictor:
    return Predictor(Loss.parse(loss), known, outputs)  # type: ignore[arg-type]


def test_predictions_follow_the_link_of_the_loss() -> None:
    y = Y.astype(np.float32)
    softmax = predictor("softmax_cross_entropy", Known(("a", "b"))).predict(y)
    assert softmax.dtype == np.float64
    assert np.allclose(softmax, np.exp(Y) / np.exp(Y).sum(1, keepdims=True), rtol=1e-12)
    sigmoid = predictor("binary_cross_entropy", Known()).predict(y)
    assert np.allclose(sigmoid, 1 / (1 + np.exp(-Y)), rtol=1e-12)
    assert np.allclose(predictor("poisson", Known()).predict(y), 10 * np.exp(Y), rtol=1e-12)
    assert np.array_equal(predictor("mean_squared_error", Known()).predict(y), 10 * Y)
    assert np.array_equal(predictor("mean_squared_error", Known(("a", "b"))).predict(y), Y), "no units of their own"
    assert np.array_equal(predictor("hinge", Known()).predict(y), Y)
    assert np.array_equal(y, Y), "the outputs stay as they are"


def test_names_of_classes() -> None:
    assert predictor("softmax_cross_entropy", Known(("a", "b"))).classes == ("a", "b")
    assert predictor("mean_squared_error", Known()).classes == ()
    assert predictor("binary_cross_entropy", Known(), 1).classes == ("0", "1")
    assert predictor("binary_cross_entropy", Known(target_names=("x", "y"))).classes == ("x", "y")
    assert predictor("binary_cross_entropy", Known(), 3).classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("loss", "known", "outputs", "ids"),
    [
        ("softmax_cross_entropy", Known(("a", "b")), [[0.2, 0.8], [0.5, 0.5]], [1, 0]),
        ("binary_cross_entropy", Known(("a", "b")), [[0.5], [0.49]], [1, 0]),
        ("binary_cross_entropy", Known(), [[0.5, 0.49], [0.0, 1.0]], [[1, 0], [0, 1]]),
        ("hinge", Known(("a", "b")), [[0.0], [0.1]], [0, 1]),
        ("hinge", Known(), [[0.0, 0.1], [-0.1, 3.0]], [[0, 1], [0, 1]]),
        ("multiclass_hinge", Known(("a", "b")), [[-3.0, -2.0]], [1]),
        ("mean_squared_error", Known(("a", "b")), [[0.5], [0.4]], [1, 0]),
    ],
)
def test_which_class_a_prediction_names(loss: str, known: Known, outputs: Any, ids: Any) -> None:
    found = predictor(loss, known, len(outputs[0])).classify(np.array(outputs))
    assert found.tolist() == ids
    assert found.dtype == np.int64


def test_a_batch_as_metrics_see_it() -> None:
    t = np.array([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]])
    scored = predictor("softmax_cross_entropy", Known(("a", "b"))).score(Y, t)
    assert scored.labels is not None
    assert scored.predicted is not None
    assert (scored.labels.tolist(), scored.predicted.tolist()) == ([0, 1, 1], [1, 0, 0])
    assert (scored.weight.tolist(), scored.classes, scored.several) == ([1.0, 1.0, 1.0], 2, False)
    values = predictor("mean_squared_error", Known()).score(Y, t, np.array([1, 2, 3], np.float32))
    assert (values.labels, values.predicted, values.classes) == (None, None, 0)
    assert np.array_equal(values.target, 10 * t)
    assert values.weight.tolist() == [1.0, 2.0, 3.0]
    assert values.weight.dtype == np.float64
