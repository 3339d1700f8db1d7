"""The loss of the best constant and the least loss of smoothed labels, against NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiments_to_diagnose import HIDDEN, VALUES, config, values, worst

from bpcli.studies.diagnose.diagnosis_context import open_context


def test_the_best_constant_of_classes_is_the_entropy_of_their_shares(tmp_path: Path) -> None:
    context = open_context(config(tmp_path))
    shares = np.bincount(context.train.t) / len(context.train.t)
    assert context.constant == pytest.approx(-np.sum(shares * np.log(shares)), abs=1e-7)


@pytest.mark.parametrize(
    ("loss", "least"),
    [("mean_squared_error", lambda t: t.var()), ("mean_absolute_error", lambda t: np.abs(t - np.median(t)).mean())],
)
def test_the_best_constant_of_values(loss: str, least: Any, tmp_path: Path) -> None:
    context = open_context(config(tmp_path, t=VALUES, layers=[HIDDEN[0], {"type": "dense", "units": 1}], loss=loss))
    assert context.constant == pytest.approx(least(context.train.t.astype(float)), rel=1e-6)


def test_the_best_constant_behind_a_sigmoid(tmp_path: Path) -> None:
    context = open_context(values(tmp_path, t=(VALUES > 0.3).astype(float), last="sigmoid"))
    assert context.constant == pytest.approx(context.train.t.var(), rel=1e-5)


def test_smoothed_labels_have_a_least_loss(tmp_path: Path) -> None:
    context = open_context(config(tmp_path, loss={"type": "softmax_cross_entropy", "label_smoothing": 0.3}))
    shares = np.array([0.8, 0.1, 0.1])
    assert context.least_loss == pytest.approx(-np.sum(shares * np.log(shares)), abs=1e-6)
    assert worst("by heart", tmp_path / "net.yaml").level == "ok"
