"""A loss as the mean of what its rows give alone, and in float32 beside float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from single_layers import behind

from bpcli.family import Frame, Loss
from bpcli.parts.losses import SquaredError
from bpcli.studies.gradcheck.layer_laws.loss_rows import compare_loss_floats, compare_loss_rows
from bpcli.studies.gradcheck.layer_laws.row_law import RowMismatch

RNG = np.random.default_rng(2)

# --------------------------------------------------------------------------------------------------------------- a loss
X, T = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3))


def loss_mismatches(loss: str = "squared_error", sizes: tuple[int, ...] = (3, 20)) -> Iterator[RowMismatch]:
    with np.errstate(all="ignore"):
        yield from compare_loss_rows(Loss.parse(loss), X, T, sizes, 0).mismatches


@pytest.mark.parametrize("loss", ["squared_error", "huber", "log_cosh", "mean_absolute_error"])
def test_a_right_loss_is_the_mean_of_its_rows(loss: str) -> None:
    assert list(loss_mismatches(loss)) == []


def test_a_loss_that_is_no_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    right = SquaredError.forward
    monkeypatch.setattr(SquaredError, "forward", lambda self, f: right(self, f) + 1e-6 * (len(f.x) > 9))
    found = list(loss_mismatches())
    assert {(m.name, m.rows) for m in found} == {("L", 20)}
    assert len(found) == 2, "without weights, and with them"
    assert float(found[0].batch[0] - found[0].alone[0]) == pytest.approx(1e-6, rel=1e-3)


def test_a_gradient_of_a_loss_that_leaves_a_row_out(monkeypatch: pytest.MonkeyPatch) -> None:
    behind(monkeypatch, SquaredError, "backward", lambda f: f.dx[15:].fill(0))
    found = list(loss_mismatches())
    assert {(m.name, m.rows, m.index[0]) for m in found} == {("dx", 20, 15)}


def test_a_loss_is_the_same_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = Loss.parse("squared_error")
    worst, mismatches = compare_loss_floats(loss, X, T)
    assert mismatches == []
    assert 1e-9 < worst < 1e-5

    def off(f: Frame) -> None:
        if f.x.dtype == np.float32:
            f.dx[2] *= 1.001

    behind(monkeypatch, SquaredError, "backward", off)
    worst, (mismatch,) = compare_loss_floats(loss, X, T)
    assert (mismatch.name, mismatch.rows, mismatch.index[0]) == ("dx", 6, 2)
    assert 1e-5 < worst < 1e-2
    right = SquaredError.forward
    monkeypatch.undo()
    monkeypatch.setattr(
        SquaredError, "forward", lambda self, f: right(self, f) * (1.001 if f.x.dtype == np.float32 else 1)
    )
    _, (mismatch,) = compare_loss_floats(loss, X, T)
    assert (mismatch.name, float(mismatch.batch[0] / mismatch.alone[0])) == ("L", pytest.approx(1.001, rel=1e-5))


def test_a_loss_that_reads_no_weights_is_compared_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SquaredError, "forward", lambda self, f: float(np.square(f.x - f.t).sum()) / len(f.x))
    monkeypatch.setattr(
        SquaredError, "backward", lambda self, f: np.divide(2 * (f.x - f.t), len(f.x) + (len(f.x) > 9), out=f.dx)
    )
    assert [(m.name, m.rows) for m in loss_mismatches()] == [("dx", 20)]
