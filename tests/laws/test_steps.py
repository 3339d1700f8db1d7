"""The laws of what moves weights: optimizers descend, clippers keep their bound and direction, schedules their ends,
initializers their spread."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry import good

from bpcli.family import Clipper, Constraint, GradientOptimizer, Initializer, Schedule
from bpcli.family.plan import Array, Frame, Sample

GOOD = dict(good())


def of(family: type) -> dict[str, Sample]:
    return {k: s for k, s in GOOD.items() if isinstance(s.part, family)}


OPTIMIZERS, CLIPPERS, SCHEDULES, INITIALIZERS = of(GradientOptimizer), of(Clipper), of(Schedule), of(Initializer)


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
    """3,000 steps at ten times the default rate leave little of the first value.

    All of them are full batches: the whole valley is known at each step, as rprop asks.
    """
    part = sample.part
    w = np.array(start)
    f = Frame(x=w, y=w, dx=None, dy=w, w=w, g=np.zeros_like(w), D=1)
    for name in (*part.slots, *part.scratch):
        setattr(f, name, np.zeros_like(w))
    first, _ = valley(w)
    long = ("sgd", "momentum", "nesterov", "adadelta")  # whose default is as much as the valley bears
    rate = part.learning_rate.at(0, 1) * (1 if part.kind in long else 10)
    for t in range(1, 3001):
        f.g[...] = valley(w)[1]
        part.update(f, rate, t)
    assert valley(w)[0] < share * first


gradients = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12).map(np.array)


def at_clipping(part: Clipper, sample: Sample, g: Array) -> Frame:
    """A frame with the gradient g (flat): its first entries a row of a matrix, the rest a vector; weights of 1."""
    f = Frame(x=g, y=g, dx=None, dy=g, g=g.copy(), norm=float(np.sqrt(g @ g)))
    half = len(g) // 2
    f.pieces = [(f.g[:half].reshape(1, -1), np.ones((1, half))), (f.g[half:], np.ones(len(g) - half))]
    for name, slot in part.state().items():
        setattr(f, name, np.zeros(slot.shape))
        getattr(f, name)[...] = sample.inputs.get(name, 0.0)
    return f


def bound(part: Clipper, f: Frame, g: Array) -> Array:
    """How large each entry of what is left may be in size."""
    half = len(g) // 2
    if part.kind == "value":
        return np.full(len(g), part.limit)
    if part.kind == "adaptive":  # each of the first is a unit of one weight of 1, the vector is one unit
        return np.full(len(g), part.clipping) * ([1.0] * half + [math.sqrt(len(g) - half)] * (len(g) - half))
    return np.full(len(g), getattr(part, "max_norm", math.inf))


@pytest.mark.parametrize("sample", CLIPPERS.values(), ids=CLIPPERS)
@given(g=gradients)
@settings(max_examples=50, deadline=None)
def test_clippers_shorten_and_never_turn_back(sample: Sample, g: Array) -> None:
    """No entry grows or changes its sign, the factor is the share of the norm that is left, and the bound is kept; what
    is shortened as one keeps its direction."""
    part = sample.part
    f = at_clipping(part, sample, g)
    factor = part.clip(f)
    assert 0 <= factor <= 1
    assert (f.g * g >= 0).all()
    assert (np.abs(f.g) <= np.abs(g)).all()
    after = float(np.sqrt(f.g @ f.g))
    assert math.isclose(after, factor * f.norm, rel_tol=1e-6, abs_tol=1e-300)
    assert (np.abs(f.g) <= bound(part, f, g) * (1 + 1e-12)).all()
    assert (factor == 1) == np.array_equal(f.g, g)
    if part.per_tensor:
        for cut in (slice(len(g) // 2), slice(len(g) // 2, None)):
            if hasattr(part, "max_norm"):
                assert np.linalg.norm(f.g[cut]) <= part.max_norm * (1 + 1e-12)
                size = np.linalg.norm(g[cut])
                assert np.allclose(f.g[cut] * size, g[cut] * np.linalg.norm(f.g[cut]), rtol=1e-12, atol=1e-300)
    elif part.kind != "value":
        assert np.allclose(f.g, g * factor, rtol=1e-12, atol=0)
        assert after <= getattr(part, "max_norm", math.inf) * (1 + 1e-12)


CONSTRAINTS = of(Constraint)
matrices = st.tuples(st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda shape: st.lists(st.floats(-1e3, 1e3), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
        lambda values: np.array(values).reshape(shape)
    )
)


@pytest.mark.parametrize("sample", CONSTRAINTS.values(), ids=CONSTRAINTS)
@given(w=matrices)
@settings(max_examples=50, deadline=None)
def test_constraints_put_back_once(sample: Sample, w: Array) -> None:
    """What was put back lies within, and is left alone from then on."""
    once = w.copy()
    sample.part.apply(once)
    twice = once.copy()
    sample.part.apply(twice)
    assert np.allclose(once, twice, rtol=1e-15, atol=0)
    assert (np.linalg.norm(once, axis=0) <= sample.part.limit * (1 + 1e-12)).all()
    assert (once * w >= 0).all()


@pytest.mark.parametrize("sample", SCHEDULES.values(), ids=SCHEDULES)
def test_schedules_keep_their_ends(sample: Sample) -> None:
    """The sample says with what it begins and ends."""
    rates = [sample.part.at(k, 100) for k in range(101)]
    assert math.isclose(rates[0], sample.inputs["first"], rel_tol=1e-15)
    assert math.isclose(rates[-1], sample.inputs["last"], rel_tol=1e-12, abs_tol=1e-15)
    assert all(math.isfinite(r) and r >= 0 for r in rates)


@pytest.mark.parametrize("sample", INITIALIZERS.values(), ids=INITIALIZERS)
def test_initializers_have_their_spread(sample: Sample) -> None:
    """The sample says the deviation for its shape's fans, and the bound of a uniform one: its mean and that deviation
    within five standard errors; within the bound and near it, or beyond what a truncated normal reaches."""
    if "deviation" not in sample.inputs:
        assert sample.part.kind in ("zeros", "constant", "values", "orthogonal"), "say what spread it has"
        return
    out = np.empty((100, *sample.x))
    sample.part.fill(out, *sample.x, np.random.default_rng(1))
    expected = sample.inputs["deviation"]
    out -= sample.inputs.get("mean", 0.0)
    assert abs(out.mean()) < 5 * expected / math.sqrt(out.size)
    assert abs(out.std() / expected - 1) < 5 / math.sqrt(2 * out.size)
    bound = sample.inputs.get("bound")
    if bound is not None:
        assert 0.999 * bound < np.abs(out).max() <= bound
    else:
        assert np.abs(out).max() > 4 * expected, "plain normals, not truncated"
