"""Mistakes people make in activations and normalization, each put into the part and held against the witnesses.

Those that a derivative shows are caught by the equations and by the differences; those of what a kink's slope is, of
the running statistics and of a forward pass that is wrong together with its backward, by the equations alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bpcli.family import Layer
from bpcli.family.plan import Frame
from bpcli.parts.activations import Elu, Gelu, HardSigmoid, HardTanh, LeakyRelu, Mish, Selu, Silu, Softsign
from bpcli.parts.layers.gaussian_noise import GaussianNoise
from bpcli.parts.layers.norms import BatchNorm, LayerNorm
from bpcli.studies.witness.cases import LayerCase

Lie = Callable[[Any, Frame], Any]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -700, 700)))


def expo(x: Any) -> Any:
    return np.exp(np.minimum(x, 0))


SLOPES: list[tuple[str, type[Layer], Lie]] = [
    ("closed like relu", LeakyRelu, lambda s, f: f.x > 0),
    ("leaks where it is open", LeakyRelu, lambda s, f: np.where(f.x > 0, s.slope, 1)),
    ("gate from the gradient", LeakyRelu, lambda s, f: np.where(f.dy > 0, 1, s.slope)),
    ("alpha forgotten", Elu, lambda s, f: np.where(f.x > 0, 1, expo(f.x))),
    ("y + 1 for y + alpha", Elu, lambda s, f: np.where(f.x > 0, 1, f.y + 1)),
    ("slope of the output", Elu, lambda s, f: np.where(f.x > 0, 1, s.alpha * expo(f.y))),
    ("scale forgotten", Selu, lambda s, f: np.where(f.x > 0, 1, 1.6732632423543772 * expo(f.x))),
    ("scale below only", Selu, lambda s, f: np.where(f.x > 0, 1, 1.7580993408473766 * expo(f.x))),
    ("the sigmoid as if constant", Silu, lambda s, f: f.p),
    ("the slope of sigmoid alone", Silu, lambda s, f: f.p * (1 - f.p)),
    ("missing 1 - p", Silu, lambda s, f: f.p + f.x * f.p),
    ("tanh as if constant", Mish, lambda s, f: f.u),
    ("the slope of softplus forgotten", Mish, lambda s, f: f.u + f.x * (1 - f.u**2)),
    ("1 - z^2 for tanh", Mish, lambda s, f: f.u + f.x * (1 - f.x**2) * sigmoid(f.x)),
    ("not squared", Softsign, lambda s, f: 1 / f.s),
    ("of the output", Softsign, lambda s, f: 1 / (1 + np.abs(f.y)) ** 2),
    ("sign in the denominator", Softsign, lambda s, f: 1 / (1 - np.minimum(f.x, 0)) ** 2),
    ("never closed", HardTanh, lambda s, f: 1),
    ("closed on one side", HardTanh, lambda s, f: f.x < 1),
    ("a slope of 0.2", HardSigmoid, lambda s, f: 0.2 * (np.abs(f.x) < 3)),
    ("closed at 1", HardSigmoid, lambda s, f: (np.abs(f.x) < 1) / 6),
    ("Phi as if constant", Gelu, lambda s, f: f.cdf),
    ("no 3 in the slope of the cube", Gelu, lambda s, f: f.cdf + f.x * 2 * f.cdf * (1 - f.cdf)
     * np.sqrt(2 / np.pi) * (1 + 0.044715 * f.x**2)),
    ("scaled by the noise", GaussianNoise, lambda s, f: 1 + s.stddev * f.z),
]  # fmt: skip
"""What stands in for the slope dx / dy of an activation."""

AT_KINKS: list[tuple[str, type[Layer], Lie]] = [
    ("open at 0", LeakyRelu, lambda s, f: np.where(f.x >= 0, 1, s.slope)),
    ("open at 0", Elu, lambda s, f: np.where(f.x >= 0, 1, s.alpha * expo(f.x))),
    ("open at 0", Selu, lambda s, f: 1.0507009873554805 * np.where(f.x >= 0, 1, 1.6732632423543772 * expo(f.x))),
    ("open at the corners", HardTanh, lambda s, f: np.abs(f.x) <= 1),
    ("open at the corners", HardSigmoid, lambda s, f: (np.abs(f.x) <= 3) / 6),
]


def caught(part: type[Layer], patch: Callable[[pytest.MonkeyPatch], None], train: bool = True) -> set[str]:
    """The witnesses that see a change to a part, over its samples."""
    seen: set[str] = set()
    for sample in part.samples():
        if sample.error:
            continue
        honest = LayerCase(sample, train)
        with pytest.MonkeyPatch.context() as patched:
            patch(patched)
            told = LayerCase(sample, train).kernel()
        honest.kernel()
        seen |= {g.right for g in honest.gaps(told) if g.verdict == "WRONG"}
    return seen


def slope(part: type[Layer], lie: Lie) -> Callable[[pytest.MonkeyPatch], None]:
    def backward(self: Any, f: Frame, train: bool) -> None:
        f.dx[...] = f.dy * lie(self, f)

    return lambda patched: patched.setattr(part, "backward", backward)


@pytest.mark.parametrize("part", [*dict.fromkeys(p for _, p, _ in SLOPES), BatchNorm, LayerNorm])
@pytest.mark.parametrize("train", [True, False])
def test_the_truth_is_not_caught(part: type[Layer], train: bool) -> None:
    assert caught(part, lambda patched: None, train) == set()


@pytest.mark.parametrize(("part", "lie"), [s[1:] for s in SLOPES], ids=[f"{p.__name__} {n}" for n, p, _ in SLOPES])
def test_wrong_slopes_are_caught(part: type[Layer], lie: Lie) -> None:
    assert {"equations", "complex step", "differences"} <= caught(part, slope(part, lie))


@pytest.mark.parametrize(("part", "lie"), [s[1:] for s in AT_KINKS], ids=[f"{p.__name__} {n}" for n, p, _ in AT_KINKS])
def test_wrong_slopes_at_kinks_are_caught_by_the_equations(part: type[Layer], lie: Lie) -> None:
    """Nothing but the definition says what the slope there is."""
    assert "equations" in caught(part, slope(part, lie))


# ------------------------------------------------------------------------------------------------------ normalization
def rows(a: Any) -> Any:
    return a.reshape(-1, a.shape[-1])


def over(axis: int) -> Callable[[Any], Any]:
    return lambda a: a.mean(axis, keepdims=True)


NORMED: list[tuple[str, Callable[..., Any]]] = [
    ("gamma forgotten", lambda d, xh, r, g, mean, other: r * (d - mean(d) - xh * mean(d * xh))),
    ("statistics as if constant", lambda d, xh, r, g, mean, other: r * g * d),
    ("no path through the mean", lambda d, xh, r, g, mean, other: r * (g * d - xh * mean(g * d * xh))),
    ("no path through the variance", lambda d, xh, r, g, mean, other: r * (g * d - mean(g * d))),
    ("over the other axis", lambda d, xh, r, g, mean, other: r * (g * d - other(g * d) - xh * other(g * d * xh))),
    ("sums for means", lambda d, xh, r, g, mean, other: r * (g * d - 2 * mean(g * d) - 2 * xh * mean(g * d * xh))),
    ("divided twice", lambda d, xh, r, g, mean, other: r * r * (g * d - mean(g * d) - xh * mean(g * d * xh))),
]
"""dx of a normalized axis: from dy, xhat, 1 / sqrt(var + eps), gamma, the mean over that axis, and over another one."""


def of_batch(lie: Callable[..., Any]) -> Lie:
    return lambda s, f: lie(rows(f.dy), rows(f.centred) * f.rstd, np.array(f.rstd), f.gamma, over(0), over(-1))


def of_rows(lie: Callable[..., Any]) -> Lie:
    return lambda s, f: lie(f.dy, f.xhat, f.rstd, f.gamma, over(-1), over(0))


def divided_by_one_less(s: Any, f: Frame) -> Any:
    """N - 1 in the backward of batch_norm, as if its variance were the unbiased one."""
    d, xh = rows(f.dy) * f.gamma, rows(f.centred) * f.rstd
    return f.rstd * (d - d.mean(0) - xh * (d * xh).sum(0) / max(len(d) - 1, 1))


def honest_but_for(part: Any, name: str, lie: Lie) -> Callable[[pytest.MonkeyPatch], None]:
    """The part's backward with one of its gradients replaced, where it has a gain."""
    honest = part.backward

    def backward(self: Any, f: Frame, train: bool) -> None:
        honest(self, f, train)
        if self.affine:
            gradient = getattr(f, name)
            gradient[...] = np.reshape(lie(self, f), gradient.shape)

    return lambda patched: patched.setattr(part, "backward", backward)


NORMS: list[tuple[str, Any, str, Lie]] = [
    *((name, BatchNorm, "dx", of_batch(lie)) for name, lie in NORMED),
    *((name, LayerNorm, "dx", of_rows(lie)) for name, lie in NORMED),
    ("gamma outside the means", LayerNorm, "dx", lambda s, f: f.gamma * of_rows(NORMED[0][1])(s, f)),
    ("N - 1 in backward", BatchNorm, "dx", divided_by_one_less),
    ("of x, not of xhat", BatchNorm, "dgamma", lambda s, f: rows(f.dy * f.x).sum(0)),
    ("not divided by the deviation", BatchNorm, "dgamma", lambda s, f: rows(f.dy * f.centred).sum(0)),
    ("over everything", BatchNorm, "dbeta", lambda s, f: np.full_like(f.beta, f.dy.sum())),
    ("mean over rows", BatchNorm, "dbeta", lambda s, f: rows(f.dy).mean(0)),
    ("of x, not of xhat", LayerNorm, "dgamma", lambda s, f: rows(f.dy * f.x).sum(0)),
    ("of y", LayerNorm, "dgamma", lambda s, f: rows(f.dy * f.y).sum(0)),
    ("first row only", LayerNorm, "dbeta", lambda s, f: rows(f.dy)[0]),
]


@pytest.mark.parametrize(
    ("part", "name", "lie"), [n[1:] for n in NORMS], ids=[f"{p.__name__} {d} {n}" for n, p, d, _ in NORMS]
)
def test_wrong_gradients_of_norms_are_caught(part: Any, name: str, lie: Lie) -> None:
    assert {"equations", "complex step", "differences"} <= caught(part, honest_but_for(part, name, lie))


def at_evaluation(self: Any, f: Frame, train: bool) -> None:
    """The backward of training, used at evaluation."""
    honest_backward(self, f, True)


honest_backward = BatchNorm.backward
honest_forward = BatchNorm.forward


def test_the_backward_of_training_at_evaluation_is_caught() -> None:
    seen = caught(BatchNorm, lambda patched: patched.setattr(BatchNorm, "backward", at_evaluation), train=False)
    assert {"equations", "complex step", "differences"} <= seen


def batch_statistics(self: Any, f: Frame, train: bool) -> None:
    """Evaluation by the batch's own statistics; its backward follows, so that no difference shows it."""
    honest_forward(self, f, True)


def unbiased(self: Any, f: Frame, train: bool) -> None:
    """The unbiased variance where the biased one belongs."""
    centred = f.x - f.x.mean(-1, keepdims=True)
    f.rstd[...] = 1 / np.sqrt((centred**2).sum(-1, keepdims=True) / (f.x.shape[-1] - 1) + self.eps)
    f.xhat[...] = centred * f.rstd
    f.y[...] = f.xhat * f.gamma + f.beta if self.affine else f.xhat


def eps_outside(self: Any, f: Frame, train: bool) -> None:
    centred = f.x - f.x.mean(-1, keepdims=True)
    f.rstd[...] = 1 / (np.sqrt((centred**2).mean(-1, keepdims=True)) + self.eps)
    f.xhat[...] = centred * f.rstd
    f.y[...] = f.xhat * f.gamma + f.beta if self.affine else f.xhat


FORWARD = [(BatchNorm, batch_statistics, False), (LayerNorm, unbiased, True), (LayerNorm, eps_outside, True)]


@pytest.mark.parametrize(("part", "lie", "train"), FORWARD, ids=[f[1].__name__ for f in FORWARD])
def test_a_wrong_forward_is_caught_by_the_equations(part: Any, lie: Any, train: bool) -> None:
    assert "equations" in caught(part, lambda patched: patched.setattr(part, "forward", lie), train)


def count(f: Frame) -> int:
    return int(f.x.size // f.x.shape[-1])


RUNNING: list[tuple[str, str, Lie]] = [
    ("biased", "rvar", lambda s, f: (1 - s.momentum) * f.rvar + s.momentum * f.var),
    ("of the deviation", "rvar", lambda s, f: (1 - s.momentum) * f.rvar + s.momentum * np.sqrt(f.var)),
    ("momentum the other way", "rmean", lambda s, f: s.momentum * f.rmean + (1 - s.momentum) * f.mu),
    ("added up", "rmean", lambda s, f: f.rmean + s.momentum * f.mu),
    ("not carried on", "rmean", lambda s, f: f.rmean),
    ("one value changes it", "rvar", lambda s, f: (1 - s.momentum) * f.rvar + s.momentum * f.var * count(f)
     / max(count(f) - 1, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "lie"), [r[1:] for r in RUNNING], ids=[f"{s} {n}" for n, s, _ in RUNNING])
def test_wrong_running_statistics_are_caught(name: str, lie: Lie) -> None:
    honest = BatchNorm.commit

    def commit(self: Any, f: Frame) -> None:
        told = np.array(lie(self, f))
        honest(self, f)
        getattr(f, name)[...] = told

    assert "equations" in caught(BatchNorm, lambda patched: patched.setattr(BatchNorm, "commit", commit))
