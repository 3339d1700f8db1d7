"""Optimizers over many steps, without a peer: against their own equations, and Adam against the textbook."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry import good

from bpcli.family import GradientOptimizer
from bpcli.family.plan import Frame
from bpcli.notation import compile_equations
from bpcli.parts.optimizers import (
    FLUSH_EVERY,
    Adadelta,
    Adam,
    Adamax,
    AdamW,
    Lion,
    Momentum,
    Nadam,
    Nesterov,
    Radam,
    Rmsprop,
)  # fmt: skip
from bpcli.parts.optimizers.adam import momenta

OPTIMIZERS = {name: sample.part for name, sample in good() if isinstance(sample.part, GradientOptimizer)}

FADING = [Momentum(mu=0.1), Nesterov(mu=0.1), Adam(beta1=0.1, beta2=0.1, amsgrad=True), AdamW(beta1=0.1, beta2=0.1),
          Nadam(beta1=0.1, beta2=0.1), Radam(beta1=0.1, beta2=0.1), Adamax(beta1=0.1), Lion(beta2=0.1),
          Rmsprop(alpha=0.1, centered=True, momentum=0.1), Adadelta(rho=0.1)]  # fmt: skip


def frame(part: GradientOptimizer, w: Any) -> Frame:
    """A frame for an optimizer that has not taken a step yet; the first third of the weights decays."""
    f = Frame(x=w[:0], y=w[:0], dx=None, dy=w[:0], w=w, D=len(w) // 3)
    for name in (*part.slots, *part.scratch):
        setattr(f, name, np.zeros_like(w))
    return f


@pytest.mark.parametrize("part", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_every_step_is_its_equations(part: GradientOptimizer) -> None:
    """300 steps, each from where the kernel stands, on gradients of all sizes that fall asleep after a while."""
    rng = np.random.default_rng(5)
    f = frame(part, rng.normal(size=12))
    names = ("w", *part.slots)
    shapes = dict.fromkeys((*names, "g", *(f"{n}_new" for n in names)), (12,))
    counts = any("<t" in eq.right for eq in part.equations())  # a product over all steps so far
    program = compile_equations(part.equations(), {**part.consts(), "t": 1}, shapes)
    scale = 10.0 ** rng.uniform(-8, 4, 12)
    for t in range(1, 301):
        g = rng.normal(size=12) * scale
        if t > 100:
            g[:6] = 0
        env = {"g": g.copy(), "lr": 0.01, "t": t, "D": f.D, **part.consts(), **{n: getattr(f, n).copy() for n in names}}
        if counts:
            program = compile_equations(part.equations(), {**part.consts(), "t": t}, shapes)
        expected = program.run(env)
        f.g = g
        part.update(f, 0.01, t)
        for n in names:
            assert np.allclose(getattr(f, n), expected[f"{n}_new"], rtol=1e-12, atol=1e-300), (t, n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("part", FADING, ids=lambda part: part.kind)
def test_averages_that_fade_are_swept_to_0(part: GradientOptimizer, dtype: type) -> None:
    """Subnormal numbers, which are slow, live at most FLUSH_EVERY steps; what is normal is not touched."""
    tiny = float(np.finfo(dtype).tiny)
    f = frame(part, np.ones(4, dtype))
    names = [
        n for n in part.slots if n not in ("r", "vmax") or part.kind == "adadelta"
    ]  # those stay above eps, or do not fade
    fading = {n: np.array([tiny / 4, -tiny / 4 if n in "abm" else tiny / 4, 1.0, 0.0], dtype) for n in names}
    for n, value in fading.items():
        getattr(f, n)[...] = value
    f.g = np.zeros(4, dtype)
    part.update(f, 0.01, FLUSH_EVERY - 1)
    assert all(getattr(f, n)[:2].any() for n in names), "they would stay for long"
    f.g = np.zeros(4, dtype)
    part.update(f, 0.01, FLUSH_EVERY)
    for n in names:
        assert not getattr(f, n)[:2].any()
        assert math.isclose(getattr(f, n)[2], 0.01, rel_tol=1e-5)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    beta1=st.sampled_from([0.0, 0.1, 0.9, 0.99]),
    beta2=st.sampled_from([0.0, 0.1, 0.9, 0.999, 0.9999]),
    eps=st.sampled_from([1e-12, 1e-8, 1e-3]),
    exponent=st.integers(-30, 6),
    spread=st.integers(0, 12),
    quiet=st.integers(1, 299),
    seed=st.integers(0, 2**32 - 1),
    single=st.booleans(),
)
def test_adam_is_its_textbook(
    beta1: float, beta2: float, eps: float, exponent: int, spread: int, quiet: int, seed: int, single: bool
) -> None:
    """300 steps against algorithm 1 of Kingma & Ba in longer numbers; from step `quiet` on half of the gradients are 0,
    and their averages fall into the subnormal numbers, which are swept away."""
    rng = np.random.default_rng(seed)
    dtype = np.float32 if single else np.float64
    n, lr = 8, 0.01
    part = Adam(beta1=beta1, beta2=beta2, eps=eps)
    w = rng.normal(size=n).astype(dtype)
    f = Frame(x=w[:0], y=w[:0], dx=None, dy=w[:0], w=w, m=np.zeros_like(w), v=np.zeros_like(w), u=np.zeros_like(w))
    exact, m, v = (a.astype(np.longdouble) for a in (w, f.m, f.v))
    moved = 0.0
    for t in range(1, 301):
        g = (rng.normal(size=n) * 10.0 ** (exponent + rng.uniform(0, spread, n))).astype(dtype)
        if t >= quiet:
            g[::2] = 0
        f.g = g.copy()
        part.update(f, lr, t)
        g = g.astype(np.longdouble)
        m = beta1 * m + (1 - np.longdouble(beta1)) * g
        v = beta2 * v + (1 - np.longdouble(beta2)) * g**2
        step = lr * (m / (1 - np.longdouble(beta1) ** t)) / (np.sqrt(v / (1 - np.longdouble(beta2) ** t)) + eps)
        exact -= step
        moved += float(np.abs(step).max())
        epsilon = float(np.finfo(dtype).eps)
        assert np.abs(f.w - exact).max() <= 40 * epsilon * (moved + t), (t, f.w, exact)
        if t % FLUSH_EVERY == 0:
            for slot in (f.m, f.v):
                assert ((slot == 0) | (np.abs(slot) >= np.finfo(dtype).tiny)).all()


def test_nadams_momenta_are_functions_of_t() -> None:
    """In any order of asking, as after a resume: the same bits, and those of the definition."""
    for beta1, psi in ((0.9, 4e-3), (0.5, 1.0), (0.0, 0.0)):
        forward = [momenta(beta1, psi, t) for t in range(1, 60)]
        assert [momenta(beta1, psi, t) for t in (59, 7, 7, 8, 40, 1)] == [forward[t - 1] for t in (59, 7, 7, 8, 40, 1)]
        mus = [beta1 * (1 - 0.5 * 0.96 ** (t * psi)) for t in range(1, 61)]
        for t, (mu, ahead, product) in enumerate(forward, start=1):
            assert math.isclose(mu, mus[t - 1], rel_tol=1e-14)
            assert math.isclose(ahead, mus[t], rel_tol=1e-14)
            assert math.isclose(product, math.prod(mus[:t]), rel_tol=1e-12, abs_tol=1e-300)
