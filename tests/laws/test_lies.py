"""The lie test: a check is trusted after it was seen to fail. Every backward is made wrong, and every witness must see.

A sample's numerical derivatives look at the forward pass only; they are computed once and every lie is held against
them. At ties, where a difference proves nothing, the equations must catch the lie.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from registry import good

from bpcli.family import Clipper, Constraint, Layer, Loss, Optimizer, Regularizer, Schedule
from bpcli.family.plan import Frame, Sample
from bpcli.parts.activations import Gelu, Relu, Sigmoid, Softmax, Softplus, Tanh
from bpcli.parts.clippers import GlobalNorm, Value
from bpcli.parts.layers.dense import Dense
from bpcli.parts.layers.dropout import Dropout
from bpcli.parts.layers.residual import Residual
from bpcli.parts.losses import BinaryCrossEntropy, MeanSquaredError, SoftmaxCrossEntropy, SquaredError
from bpcli.parts.optimizers import Adam, Momentum, Sgd
from bpcli.parts.regularizers import L2
from bpcli.parts.schedules import Cosine
from bpcli.studies.witness.cases import LayerCase, LossCase, PenaltyCase, StepCase, cases
from bpcli.studies.witness.witness import max_abs

Array = np.ndarray
GOOD = dict(good())
DIFFERENTIABLE = {k: s for k, s in GOOD.items() if isinstance(s.part, Layer | Loss | Regularizer)}
STEPPING = {k: s for k, s in GOOD.items() if isinstance(s.part, Optimizer | Clipper | Constraint | Schedule)}


def _zeroed(a: Array) -> Array:
    a = a.copy()
    a[np.unravel_index(np.abs(a).argmax(), a.shape)] = 0
    return a


def _off_by_a_percent(a: Array) -> Array:
    a = a.copy()
    a[np.unravel_index(np.abs(a).argmax(), a.shape)] *= 1.01
    return a


GENERIC: dict[str, Callable[[Array], Array]] = {
    "x 1.001": lambda a: a * 1.001,
    "sign": lambda a: -a,
    "missing": lambda a: a * 0,
    "one entry dropped": _zeroed,
    "one entry off by 1 %": _off_by_a_percent,
    "last row skipped": lambda a: np.concatenate([a[:-1], a[-1:] * 0]) if a.ndim else a * 0,
    "transposed": lambda a: a.T if a.ndim == 2 and a.shape[0] == a.shape[1] else a,
    "rows in the wrong order": lambda a: a[::-1] if a.ndim else a,
    "summed over everything": lambda a: np.full_like(a, a.sum()),
    "averaged twice": lambda a: a / 3,
}


@pytest.mark.parametrize("sample", DIFFERENTIABLE.values(), ids=DIFFERENTIABLE)
def test_generic_lies_are_caught(sample: Sample) -> None:
    """Each gradient of each part made wrong in ten ways: caught by the equations, the complex step, the differences."""
    for case in cases(sample):
        assert isinstance(case, LayerCase | LossCase | PenaltyCase)
        honest = case.kernel()
        for name in [n for n in honest if n.startswith("d") and "." not in n]:
            for lie, change in GENERIC.items():
                told = change(honest[name])
                if max_abs(told - honest[name]) <= 1e-7 * max(max_abs(honest[name]), 1e-6):
                    continue  # says the same here: a row of one, a gradient that is all rounding
                gaps = case.gaps({**honest, name: told})
                blind = {g.right for g in gaps if g.tensor == name and g.verdict != "WRONG"}
                if sample.kinks or sample.note.startswith("huge") or max_abs(honest[name]) < 1e-3:
                    blind -= {"differences", "complex step"}  # at ties and where all is rounding, the equations judge
                assert not blind, f"{lie} in {name} is not seen by {blind}"


@pytest.mark.parametrize("sample", STEPPING.values(), ids=STEPPING)
def test_wrong_steps_are_caught(sample: Sample) -> None:
    (case,) = cases(sample)
    honest = case.kernel()
    for name, value in honest.items():
        if max_abs(value):
            assert any(g.verdict == "WRONG" for g in case.gaps({**honest, name: value * 1.001}))


# ----------------------------------------------------------------- mistakes people make, each in the part it belongs to
def dense_updated_weights(self: Dense, f: Frame, train: bool) -> None:
    np.matmul(f.x.T, f.dy, out=f.dW)
    f.db[...] = f.dy.sum(0)
    f.dx[...] = f.dy @ (f.W - 0.1 * f.dW).T


def dense_not_transposed(self: Dense, f: Frame, train: bool) -> None:
    f.dW[...] = f.x.T @ f.dy
    f.db[...] = f.dy.sum(0)
    f.dx[...] = f.dy @ f.W


def dense_mean(self: Dense, f: Frame, train: bool) -> None:
    f.dW[...] = f.x.T @ f.dy / len(f.x)
    f.db[...] = f.dy.mean(0)
    f.dx[...] = f.dy @ f.W.T


def dense_last_row_skipped(self: Dense, f: Frame, train: bool) -> None:
    f.dW[...] = f.x[:-1].T @ f.dy[:-1]
    f.db[...] = f.dy.sum(0)
    f.dx[...] = f.dy @ f.W.T


def dense_bias_over_all(self: Dense, f: Frame, train: bool) -> None:
    f.dW[...] = f.x.T @ f.dy
    f.db[...] = f.dy.sum()
    f.dx[...] = f.dy @ f.W.T


def sigmoid_of_output(self: Sigmoid, f: Frame, train: bool) -> None:
    s = 1 / (1 + np.exp(-f.y))
    f.dx[...] = f.dy * s * (1 - s)


def sigmoid_half(self: Sigmoid, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * f.y


def tanh_of_input(self: Tanh, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (1 - f.x**2)


def relu_open(self: Relu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy


def relu_gate_from_gradient(self: Relu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.dy > 0)


def relu_open_at_zero(self: Relu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.x >= 0)


def gelu_without_density(self: Gelu, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * f.cdf


def softplus_without_beta(self: Softplus, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy / (1 + np.exp(-np.clip(f.x, -700, 700)))


def softmax_diagonal(self: Softmax, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * f.y * (1 - f.y)


def softmax_over_rows(self: Softmax, f: Frame, train: bool) -> None:
    f.dx[...] = f.y * (f.dy - (f.dy * f.y).sum(0))


def dropout_without_mask(self: Dropout, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy / (1 - self.rate)


def dropout_without_scale(self: Dropout, f: Frame, train: bool) -> None:
    f.dx[...] = f.dy * (f.m > 0) if train else f.dy


def residual_branch_only(self: Residual, f: Frame, train: bool) -> None:
    np.copyto(f.branch.dy, f.dy)
    f.branch.backward(train)
    f.dx[...] = f.branch.dx


def residual_way_around_only(self: Residual, f: Frame, train: bool) -> None:
    np.copyto(f.branch.dy, f.dy)
    f.branch.backward(train)
    f.dx[...] = f.dy


def residual_branch_told_half(self: Residual, f: Frame, train: bool) -> None:
    np.multiply(f.dy, 0.5, out=f.branch.dy)
    f.branch.backward(train)
    f.dx[...] = f.dy + f.branch.dx


LAYER_LIES = [
    (Dense, dense_updated_weights), (Dense, dense_not_transposed), (Dense, dense_mean), (Dense, dense_last_row_skipped),
    (Dense, dense_bias_over_all), (Sigmoid, sigmoid_of_output), (Sigmoid, sigmoid_half), (Tanh, tanh_of_input),
    (Relu, relu_open), (Relu, relu_gate_from_gradient), (Relu, relu_open_at_zero), (Gelu, gelu_without_density),
    (Softplus, softplus_without_beta), (Softmax, softmax_diagonal), (Softmax, softmax_over_rows),
    (Dropout, dropout_without_mask), (Dropout, dropout_without_scale), (Residual, residual_branch_only),
    (Residual, residual_way_around_only), (Residual, residual_branch_told_half),
]  # fmt: skip


@pytest.mark.parametrize(("part", "lie"), LAYER_LIES, ids=[lie.__name__ for _, lie in LAYER_LIES])
def test_mistakes_in_layers_are_caught(part: type[Layer], lie: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is caught by the equations and by the differences; one that shows at a tie only, by the equations."""
    seen: set[str] = set()
    for sample in part.samples():
        if sample.error or "weights by value" in sample.note or (lie is dense_not_transposed and sample.x != (5,)):
            continue
        if isinstance(sample.part, Dense) and (sample.part.bias is False or sample.part.units == 1):
            continue
        if isinstance(sample.part, Residual) and sample.part.projection:
            continue  # these lies know one way around; test_lies_images.py has both
        honest = LayerCase(sample, True)
        with monkeypatch.context() as patch:
            patch.setattr(part, "backward", lie)
            liar = LayerCase(sample, True)
            told = liar.kernel()
            inner = liar.inner()
        honest.kernel()
        seen |= {g.right for g in honest.gaps(told) if g.verdict == "WRONG"}
        for name, value in inner.items():
            if honest.difference_gap(name, value, max_abs(value)).verdict == "WRONG":
                seen.add("differences")
    assert "equations" in seen
    if lie is not relu_open_at_zero:  # nothing but the definition says what the slope at a kink is
        assert "differences" in seen


def _p(f: Frame) -> Array:
    e = np.exp(f.x - f.x.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


LOSS_LIES: list[tuple[str, type[Loss], Callable[[Any, Frame], Any]]] = [
    ("batch mean missing", SoftmaxCrossEntropy, lambda s, f: _p(f) - f.t),
    ("averaged twice", SoftmaxCrossEntropy, lambda s, f: (_p(f) - f.t) / len(f.x) ** 2),
    ("diagonal of the Jacobian only", SoftmaxCrossEntropy, lambda s, f: -f.t * (1 - _p(f)) / len(f.x)),
    ("softmax over the batch", SoftmaxCrossEntropy,
     lambda s, f: (np.exp(f.x - f.x.max(0)) / np.exp(f.x - f.x.max(0)).sum(0) - f.t) / len(f.x)),
    ("probabilities clipped in backward", SoftmaxCrossEntropy, lambda s, f: (np.clip(_p(f), 0.05, 1) - f.t) / len(f.x)),
    ("no 2", MeanSquaredError, lambda s, f: (f.x - f.t) / f.x.size),
    ("mean over rows only", MeanSquaredError, lambda s, f: 2 * (f.x - f.t) / len(f.x)),
    ("sign", MeanSquaredError, lambda s, f: 2 * (f.t - f.x) / f.x.size),
    ("mean over outputs", SquaredError, lambda s, f: 2 * s.factor * (f.x - f.t) / f.x.size),
    ("the half forgotten", SquaredError, lambda s, f: 2 * (f.x - f.t) / len(f.x) / (2 if s.factor == 1 else 1)),
    ("the slope of sigmoid twice", BinaryCrossEntropy,
     lambda s, f: (1 / (1 + np.exp(-f.x)) - f.t) * np.exp(-abs(f.x)) / f.x.size),
    ("summed over labels", BinaryCrossEntropy, lambda s, f: (1 / (1 + np.exp(-f.x)) - f.t) / len(f.x)),
]  # fmt: skip


@pytest.mark.parametrize(("part", "lie"), [(p, c) for _, p, c in LOSS_LIES], ids=[n for n, _, _ in LOSS_LIES])
def test_mistakes_in_losses_are_caught(part: type[Loss], lie: Any) -> None:
    seen: set[str] = set()
    for sample in part.samples():
        if sample.error or "w" in sample.inputs or sample.note.startswith("huge"):
            continue
        honest = LossCase(sample)
        honest.loss.forward(honest.frame)
        told = {**honest.kernel(), "dx": np.asarray(lie(honest.loss, honest.frame))}
        seen |= {g.right for g in honest.gaps(told) if g.verdict == "WRONG"}
    assert {"equations", "complex step", "differences"} <= seen


def l2_twice(self: L2, w: Array, g: Array, scratch: Array) -> None:
    g += 2 * self.strength * w


def l2_by_count(self: L2, w: Array, g: Array, scratch: Array) -> None:
    g += self.strength * w / len(w)


@pytest.mark.parametrize("lie", [l2_twice, l2_by_count])
def test_mistakes_in_penalties_are_caught(lie: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    case = PenaltyCase(next(iter(L2.samples())))
    monkeypatch.setattr(L2, "add_grad", lie)
    seen = {g.right for g in case.gaps(case.kernel()) if g.verdict == "WRONG"}
    assert {"equations", "complex step", "differences"} <= seen


def adam_uncorrected(self: Adam, f: Frame, lr: float, t: int) -> None:
    f.m[...] = self.beta1 * f.m + (1 - self.beta1) * f.g
    f.v[...] = self.beta2 * f.v + (1 - self.beta2) * f.g**2
    f.w -= lr * f.m / (np.sqrt(f.v) + self.eps)


def adam_a_step_late(self: Adam, f: Frame, lr: float, t: int) -> None:
    honest_adam(self, f, lr, t - 1)


def adam_eps_inside(self: Adam, f: Frame, lr: float, t: int) -> None:
    f.m[...] = self.beta1 * f.m + (1 - self.beta1) * f.g
    f.v[...] = self.beta2 * f.v + (1 - self.beta2) * f.g**2
    f.w -= lr * f.m / (1 - self.beta1**t) / np.sqrt(f.v / (1 - self.beta2**t) + self.eps)


def momentum_dampened(self: Momentum, f: Frame, lr: float, t: int) -> None:
    f.v[...] = self.mu * f.v + (1 - self.mu) * f.g
    f.w -= lr * f.v


def sgd_uphill(self: Sgd, f: Frame, lr: float, t: int) -> None:
    f.w += lr * f.g


def norm_of_each_entry(self: GlobalNorm, f: Frame) -> float:
    f.g[...] = np.clip(f.g, -self.max_norm, self.max_norm)
    return 1.0


def value_from_below_only(self: Value, f: Frame) -> float:
    f.g[...] = np.minimum(f.g, self.limit)
    return 1.0


honest_adam = Adam.update
STEP_LIES = [
    (Adam, "update", adam_uncorrected), (Adam, "update", adam_a_step_late), (Adam, "update", adam_eps_inside),
    (Momentum, "update", momentum_dampened), (Sgd, "update", sgd_uphill), (GlobalNorm, "clip", norm_of_each_entry),
    (Value, "clip", value_from_below_only),
]  # fmt: skip


@pytest.mark.parametrize(("part", "method", "lie"), STEP_LIES, ids=[s[2].__name__ for s in STEP_LIES])
def test_mistakes_in_steps_are_caught(part: Any, method: str, lie: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, method, lie)
    samples = [s for s in part.samples() if not s.error]
    assert any(g.verdict == "WRONG" for s in samples for case in [StepCase(s)] for g in case.gaps(case.kernel()))


def test_a_schedule_that_ends_early_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = cases(next(iter(Cosine.samples())))
    honest = Cosine.at
    monkeypatch.setattr(Cosine, "at", lambda self, k, total, state: honest(self, k, total - 1, state))
    assert any(g.verdict == "WRONG" for g in case.gaps(case.kernel()))
