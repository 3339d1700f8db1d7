"""The laws of what moves weights: optimizers descend, clippers keep their bound and direction, schedules their ends,
initializers their spread."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry import good

from bpcli.family import Clipper, Initializer, Optimizer, Schedule
from bpcli.plan import Array, Frame, Sample

GOOD = dict(good())


def of(family: type) -> dict[str, Sample]:
    return {k: s for k, s in GOOD.items() if isinstance(s.part, family)}


OPTIMIZERS, CLIPPERS, SCHEDULES, INITIALIZERS = of(Optimizer), of(Clipper), of(Schedule), of(Initializer)


def parabola(w: Array) -> tuple[float, Array]:
    scale = np.array([1.0, 4.0, 0.5])
    return float((scale * w * w).sum() / 2), scale * w


def rosenbrock(w: Array) -> tuple[float, Array]:
    x, y = w
    slope = np.array([-2 * (1 - x) - 40 * x * (y - x * x), 20 * (y - x * x)])
    return float((1 - x) ** 2 + 10 * (y - x * x) ** 2), slope


@pytest.mark.parametrize("sample", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(
    ("valley", "start", "share"), [(parabola, (1.0, -1.0, 2.0), 1e-2), (rosenbrock, (-1.0, 1.0), 0.3)]
)
def test_optimizers_descend(sample: Sample, valley, start, share: float) -> None:
    """3,000 steps at ten times the default rate leave little of the first value."""
    part = sample.part
    w = np.array(start)
    f = Frame(x=w, y=w, dx=None, dy=w, w=w, g=np.zeros_like(w))
    for name in (*part.slots, *part.scratch):
        setattr(f, name, np.zeros_like(w))
    first, _ = valley(w)
    rate = part.learning_rate.at(0, 1) * (10 if part.kind not in ("sgd", "momentum") else 1)
    for t in range(1, 3001):
        f.g[...] = valley(w)[1]
        part.update(f, rate, t)
    assert valley(w)[0] < share * first


gradients = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12).map(np.array)


@pytest.mark.parametrize("sample", CLIPPERS.values(), ids=CLIPPERS)
@given(g=gradients)
@settings(max_examples=50, deadline=None)
def test_clippers_shorten_and_never_turn_back(sample: Sample, g: Array) -> None:
    """No entry grows or changes its sign, the factor is the share of the norm that is left, and the bound is kept."""
    part = sample.part
    f = Frame(x=g, y=g, dx=None, dy=g, g=g.copy(), norm=float(np.sqrt(g @ g)))
    factor = part.clip(f)
    assert 0 <= factor <= 1
    assert (f.g * g >= 0).all()
    assert (np.abs(f.g) <= np.abs(g)).all()
    after = float(np.sqrt(f.g @ f.g))
    assert math.isclose(after, factor * f.norm, rel_tol=1e-6, abs_tol=1e-300)
    if hasattr(part, "max_norm"):
        assert after <= part.max_norm * (1 + 1e-12)
        assert np.allclose(f.g, g * factor, rtol=1e-12, atol=0)
    if hasattr(part, "limit"):
        assert np.abs(f.g).max() <= part.limit
    if factor == 1:
        assert np.allclose(f.g, g, rtol=1e-6)


@pytest.mark.parametrize("sample", SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_keep_their_ends(sample: Sample) -> None:
    """The sample says with what it begins and ends."""
    rates = [sample.part.at(k, 100) for k in range(101)]
    assert math.isclose(rates[0], sample.inputs["first"], rel_tol=1e-15)
    assert math.isclose(rates[-1], sample.inputs["last"], rel_tol=1e-12, abs_tol=1e-15)
    assert all(math.isfinite(r) and r >= 0 for r in rates)


@pytest.mark.parametrize("sample", INITIALIZERS.values(), ids=INITIALIZERS)
def test_initializers_have_their_spread(sample: Sample) -> None:
    """The sample says the deviation for its shape's fans, and the bound of a uniform one: mean 0 and that deviation
    within five standard errors; within the bound and near it, or beyond what a truncated normal reaches."""
    if "deviation" not in sample.inputs:
        assert sample.part.kind in ("zeros", "constant", "values"), "say what spread it has"
        return
    out = np.empty((100, *sample.x))
    sample.part.fill(out, *sample.x, np.random.default_rng(1))
    expected = sample.inputs["deviation"]
    assert abs(out.mean()) < 5 * expected / math.sqrt(out.size)
    assert abs(out.std() / expected - 1) < 5 / math.sqrt(2 * out.size)
    bound = sample.inputs.get("bound")
    if bound is not None:
        assert 0.999 * bound < np.abs(out).max() <= bound
    else:
        assert np.abs(out).max() > 4 * expected, "plain normals, not truncated"
