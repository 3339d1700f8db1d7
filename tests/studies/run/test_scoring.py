"""An accumulator that is saved and restored goes on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bpcli.family import Loss, Metric
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
