"""Activations: their slopes at the kinks, their tails to the last digits, and what weights start with before them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from registry import named_alone
from ulp_cases import run_activation

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network_plan import default_initializer
from bpcli.family import Activation, Initializer
from bpcli.family.plan import Array, Sample
from bpcli.studies.witness.cases import LayerCase


def run(spelled: Any, points: Any, dtype: Any = np.float64) -> tuple[Array, Array]:
    """y and the slope dy / dx at these points."""
    x = np.reshape(np.asarray(points, dtype=dtype), (-1, 1))
    case = LayerCase(Sample(Activation.parse(spelled), (1,), batch=len(x), inputs={"x": x}), True, dtype)
    case.upstream[...] = 1
    found = case.kernel()
    return found["y"][:, 0], found["dx"][:, 0]


SELU = (1.0507009873554805, 1.6732632423543772)
KINKS: list[tuple[Any, float, float]] = [
    ("relu", 0.0, 0.0), ("leaky_relu", 0.0, 0.01), ({"type": "leaky_relu", "slope": 0.3}, 0.0, 0.3),
    ("elu", 0.0, 1.0), ({"type": "elu", "alpha": 0.4}, 0.0, 0.4), ("selu", 0.0, SELU[0] * SELU[1]),
    ("hard_sigmoid", -3.0, 0.0), ("hard_sigmoid", 3.0, 0.0), ("hard_tanh", -1.0, 0.0), ("hard_tanh", 1.0, 0.0),
    ("softsign", 0.0, 1.0), ("leaky_relu", -0.0, 0.01),
]  # fmt: skip


@pytest.mark.parametrize(("spelled", "x", "slope"), KINKS)
def test_slopes_at_kinks(spelled: Any, x: float, slope: float) -> None:
    """Exactly; and on both sides of a kink at the next number the slopes are those of the lines that meet there."""
    assert run(spelled, [x])[1] == [slope]


def test_slopes_beside_kinks() -> None:
    up, down = np.nextafter(0, 1), np.nextafter(0, -1)
    assert run("leaky_relu", [up, down])[1].tolist() == [1, 0.01]
    inside, outside = np.nextafter(1, 0), np.nextafter(1, 2)
    assert run("hard_tanh", [inside, -inside, outside, -outside])[1].tolist() == [1, 1, 0, 0]
    inside, outside = np.nextafter(3, 0), np.nextafter(3, 4)
    assert run("hard_sigmoid", [inside, -inside, outside, -outside])[1].tolist() == [1 / 6, 1 / 6, 0, 0]
    assert run("hard_sigmoid", [3.0, -3.0, 800.0, -800.0])[0].tolist() == [1, 0, 1, 0]


VALUES = [
    ("selu", -800.0, -SELU[0] * SELU[1]), ("elu", -800.0, -1.0), ("softsign", 3.0, 0.75), ("hard_sigmoid", 1.5, 0.75),
    ("silu", -1.2784645427610738, -0.2784645427610738), ("mish", -1.1924312145154953, -0.30884341301725047),
    ("mish", 1.0, 0.8650983882673103), ("mish", -40.0, -1.6993417021166355e-16), ("elu", -1e-12, -9.999999999995e-13),
    ("selu", -1e-12, -1.7580993408464976e-12), ("softplus", -40.0, 4.248354255291589e-18), ("softplus", 800.0, 800.0),
    ("sigmoid", -40.0, 4.248354255291589e-18), ("silu", -40.0, -1.6993417021166355e-16),
    ("silu", -600.0, -1.5902379318025866e-258), ("gelu", -6.0, -5.919525870226189e-09),
    ("gelu", -8.0, -4.976768459417427e-15), ("gelu", 3.0, 2.9959503059051097), ("hard_sigmoid", -2.875, 1 / 48),

]  # fmt: skip


@pytest.mark.parametrize(("spelled", "x", "y"), VALUES)
def test_values_to_sixteen_digits(spelled: str, x: float, y: float) -> None:
    assert np.isclose(run(spelled, [x])[0][0], y, rtol=1e-15, atol=0)


@pytest.mark.parametrize("kind", [k for k in named_alone(Activation) if k != "softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_at_infinity_it_is_its_limit_or_no_number(kind: str, dtype: Any) -> None:
    """Never a finite number that is none of its values; a network that came to it has diverged."""
    with np.errstate(all="ignore"):  # as the engine has it
        y, slope = run(kind, [-np.inf, np.inf], dtype)
        near, flat = run(kind, [-1e30, 1e30], dtype)
    far = np.where(np.abs(near) > 1e27, np.copysign(np.inf, near), near)
    assert (np.isnan(y) | np.isclose(y, far, rtol=1e-6, atol=1e-30)).all()
    assert (np.isnan(slope) | np.isclose(slope, flat, rtol=1e-6, atol=1e-30)).all()


@pytest.mark.parametrize("kind", [k for k in named_alone(Activation) if k != "softmax"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_next_to_zero(kind: str, dtype: Any) -> None:
    """Zero of either sign and the smallest numbers: the value at 0 to rounding, and the slope of that side."""
    tiny, small = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny
    y, slope = run(kind, [-0.0, 0.0, -tiny, tiny, -small, small], dtype)
    at_zero, (left, right) = run(kind, [0.0], dtype)[0], run(kind, [-1e-6, 1e-6], dtype)[1]
    assert np.allclose(y, at_zero, rtol=0, atol=2 * small)
    assert slope[0] == slope[1]
    assert np.allclose(slope[2::2], left, rtol=0, atol=3e-6)
    assert np.allclose(slope[3::2], right, rtol=0, atol=3e-6)


def test_minima_are_flat() -> None:
    """silu and mish dip below 0 on the left and turn there."""
    for kind, at in (("silu", -1.2784645427610738), ("mish", -1.1924312145154953)):
        assert abs(run(kind, [at])[1][0]) < 1e-15


@pytest.mark.parametrize("kind", named_alone(Activation))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_nothing_overflows(kind: str, dtype: Any) -> None:
    """Value and slope are what the equations give in float64, where that is a number that the type has."""
    x = np.array([[-1e30], [-1e12], [-800], [-100], [100], [800], [1e12], [1e30]])
    found = run_activation(kind, x.astype(dtype), np.ones_like(x, dtype))
    right = run_activation(kind, x, np.ones_like(x), equations=True)
    for name in ("y", "dx"):
        is_number = np.abs(right[name]) < np.finfo(dtype).max / 2
        assert is_number.all()
        np.testing.assert_allclose(found[name][is_number], right[name][is_number], rtol=1e-6, atol=1e-30, err_msg=name)


@pytest.mark.parametrize("kind", named_alone(Activation))
def test_weights_before_it(kind: str) -> None:
    """One that passes on the right side alone halves the variance, which its initializer makes up for."""
    declared = Activation.registry[kind].default_init
    left, right = run(kind, [-100.0, 100.0])[1]
    passes_one_side = left < 0.5 < right
    suited = ("he_normal", "lecun_normal") if passes_one_side else ("glorot_uniform",)
    rule = (
        f"the slope of {kind} is {left:g} at -100 and {right:g} at 100, "
        f"so it {'passes' if passes_one_side else 'does not pass'} the right side alone and its default_init is "
        f"{' or '.join(suited)}: bpcli guide development"
    )
    assert declared in suited, rule
    assert declared in Initializer.registry
    assert default_initializer(Activation.parse(kind)).kind == declared


def test_weights_before_selu_keep_the_variance_that_it_keeps() -> None:
    assert Activation.registry["selu"].default_init == "lecun_normal"


# ------------------------------------------------------------------------------------------------------------- peers
EXACT: dict[str, Callable[[Any, Any], Any]] = {
    "elu": lambda m, x: x if x > 0 else m.expm1(x),
    "selu": lambda m, x: m.mpf(SELU[0]) * (x if x > 0 else m.mpf(SELU[1]) * m.expm1(x)),
    "silu": lambda m, x: x / (1 + m.exp(-x)),
    "mish": lambda m, x: x * m.tanh(m.log1p(m.exp(x))),
    "softsign": lambda m, x: x / (1 + abs(x)),
    "hard_sigmoid": lambda m, x: min(max(x / 6 + m.mpf(1) / 2, 0), 1),
}


@pytest.mark.peers
@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_against_fifty_digits(kind: str, dtype: Any) -> None:
    """y to a few units in the last place over the whole line; the slope to that of what is added up in it."""
    mpmath = pytest.importorskip("mpmath")
    limits = np.geomspace(1e-6, 80 if dtype == np.float32 else 600, 60)
    points = np.concatenate([-limits[::-1], limits]).astype(dtype)
    y, slope = run(kind, points, dtype)
    eps = float(np.finfo(dtype).eps)
    with mpmath.workdps(50):
        for i, x in enumerate(points):
            exact = EXACT[kind](mpmath, mpmath.mpf(float(x)))
            assert abs(mpmath.mpf(float(y[i])) - exact) <= (6 + abs(float(x)) * (kind == "silu")) * eps * abs(exact)
            true = mpmath.diff(lambda v: EXACT[kind](mpmath, v), mpmath.mpf(float(x)))
            reach = max(abs(true), abs(exact)) * (1 + abs(float(x)) * (kind in ("silu", "mish")))
            assert abs(mpmath.mpf(float(slope[i])) - true) <= 12 * eps * reach


ALL: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    **{kind: (kind, function) for kind, function in EXACT.items()},
    "sigmoid": ("sigmoid", lambda m, x: 1 / (1 + m.exp(-x))),
    "tanh": ("tanh", lambda m, x: m.tanh(x)),
    "softplus": ("softplus", lambda m, x: m.log1p(m.exp(x))),
    "softplus 2.5": ({"type": "softplus", "beta": 2.5}, lambda m, x: m.log1p(m.exp(m.mpf(2.5) * x)) / m.mpf(2.5)),
    "gelu": ("gelu", lambda m, x: x * m.ncdf(x)),
    "gelu tanh": (
        {"type": "gelu", "approximate": "tanh"},
        lambda m, x: x * (1 + m.tanh(m.sqrt(2 / m.pi) * (x + m.mpf(0.044715) * x**3))) / 2,
    ),
}


@pytest.mark.peers
@pytest.mark.parametrize(("spelled", "exact"), ALL.values(), ids=ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_against_fifty_digits(spelled: Any, exact: Callable[[Any, Any], Any], dtype: Any) -> None:
    """y and the slope to a few roundings of themselves or of 1, whichever is larger: tails of 1 + tanh end there."""
    mpmath = pytest.importorskip("mpmath")
    limits = np.geomspace(1e-6, 80 if dtype == np.float32 else 600, 40)
    points = np.concatenate([-limits[::-1], limits]).astype(dtype)
    found = zip(points, *run(spelled, points, dtype), strict=True)
    eps = float(np.finfo(dtype).eps)
    with mpmath.workdps(50):
        for x, y, slope in ([mpmath.mpf(float(v)) for v in row] for row in found):
            value, derivative = exact(mpmath, x), mpmath.diff(lambda v: exact(mpmath, v), x)
            assert abs(y - value) <= 2 * eps * max(abs(value), 1)
            assert abs(slope - derivative) <= 12 * eps * max(abs(derivative), 1)


@pytest.mark.peers
def test_hard_sigmoid_is_torchs_in_float32() -> None:
    """There torch's slope is 1/6 as near as float32 comes to it; in float64 it stays that number, and ours does not."""
    torch = pytest.importorskip("torch")
    points = np.concatenate([np.linspace(-4, 4, 33), [-3.0, 3.0]]).astype(np.float32)
    x = torch.tensor(points, requires_grad=True)
    y = torch.nn.functional.hardsigmoid(x)
    y.sum().backward()
    ours, slope = run("hard_sigmoid", points, np.float32)
    assert np.allclose(ours, y.detach().numpy(), rtol=0, atol=1.2e-7)
    assert np.array_equal(slope, x.grad.numpy())
