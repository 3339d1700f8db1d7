"""Clippers against references written another way, over many steps, and what they make of several tensors at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from count_calls import calls

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.family import Clipper
from bpcli.family.plan import Array, Frame
from bpcli.numeric.vectors import as_columns, column_norms, l2_norm
from bpcli.studies.witness.step_cases import TENSORS

RNG = np.random.default_rng(8)


def framed(part: Clipper, tensors: Sequence[Array], weights: Sequence[Array] | None = None) -> Frame:
    """A frame as the engine makes it: views of one flat gradient, and state of zeros."""
    flat = np.concatenate([g.ravel() for g in tensors])
    f = Frame(x=flat[:0], y=flat[:0], dx=None, dy=flat[:0], g=flat, norm=l2_norm(flat))
    offsets = np.cumsum([g.size for g in tensors])[:-1]
    views = [v.reshape(g.shape) for v, g in zip(np.split(flat, offsets), tensors, strict=True)]
    f.pieces = list(zip(views, weights or [np.zeros_like(g) for g in tensors], strict=True))
    for name, slot in part.state().items():
        setattr(f, name, np.zeros(slot.shape))
    return f


def again(f: Frame, tensors: Sequence[Array]) -> None:
    """The next step's gradient in a frame whose clipper goes on."""
    for (view, _), g in zip(f.pieces, tensors, strict=True):
        view[...] = g
    f.norm = l2_norm(f.g)


def parsed(kind: str, **settings: Any) -> Clipper:
    return Clipper.parse({"type": kind, **settings})


def gradients(norms: Sequence[float]) -> Iterator[list[Array]]:
    """Two tensors that have these lengths together."""
    for norm in norms:
        g = RNG.normal(size=7)
        g *= norm / np.linalg.norm(g) if norm else 0
        yield [g[:6].reshape(2, 3), g[6:]]


@pytest.mark.parametrize("kind", ["norm", "global_norm"])
def test_a_gradient_of_the_largest_norm_is_left_alone(kind: str) -> None:
    f = framed(parsed(kind, max_norm=5.0), [np.array([3.0, 4.0])])
    assert parsed(kind, max_norm=5.0).clip(f) == 1.0
    assert f.g.tolist() == [3.0, 4.0]
    assert parsed(kind, max_norm=np.nextafter(5.0, 0.0)).clip(f) < 1.0


# --------------------------------------------------------------------------------------------------------- percentile
def autoclip(norms: Sequence[float], rank: float, window: int) -> Iterator[float]:
    """The published loop: a growing list, and NumPy's percentile of its end."""
    history: list[float] = []
    for norm in norms:
        history.append(norm)
        yield min(1.0, np.percentile(history[-window:], rank) / norm) if norm else 1.0


NORMS = [*np.exp(RNG.normal(size=60)), 0.0, 50.0, 0.0, 1e-9, *np.exp(RNG.normal(size=20))]


@pytest.mark.parametrize("window", [1, 2, 7, 10_000])
@pytest.mark.parametrize("rank", [0.0, 10.0, 37.5, 50.0, 100.0])
def test_percentile_is_the_published_loop(rank: float, window: int) -> None:
    part = parsed("percentile", percentile=rank, window=window)
    f = framed(part, next(gradients([1.0])))
    for tensors, expected in zip(gradients(NORMS), autoclip(NORMS, rank, window), strict=True):
        again(f, tensors)
        assert part.clip(f) == pytest.approx(expected, rel=1e-12)
        assert np.allclose(f.g, np.concatenate([g.ravel() for g in tensors]) * expected, rtol=1e-12, atol=0)


def test_what_is_not_yet_held_is_not_counted() -> None:
    """With a window of zeros, the 10th percentile of a few norms would be 0."""
    part = parsed("percentile")
    f = framed(part, next(gradients([1.0])))
    factors = []
    for tensors in gradients([4.0, 4.0, 4.0]):
        again(f, tensors)
        factors.append(part.clip(f))
    assert factors == pytest.approx([1, 1, 1], rel=1e-15)
    assert (float(f.held), float(f.place)) == (3, 3)


def test_a_full_window_is_gone_through_by_no_loop() -> None:
    found = []
    for window in (10, 10_000):
        part = parsed("percentile", window=window)
        f = framed(part, next(gradients([1.0])))
        f.h[...], f.held[...] = RNG.uniform(size=window), window
        part.clip(f)
        found.append(calls(lambda part=part, f=f: part.clip(f)))
    assert found[0] == found[1] < 30


# ------------------------------------------------------------------------------------------------------------- zscore
def zclip(norms: Sequence[float], z_thr: float, max_norm: float, a: float) -> Iterator[float]:
    """The published loop: a list until the warm-up is over, then two running figures."""
    first: list[float] = []
    mean = var = 0.0
    for n in norms:
        if len(first) < 25:
            first.append(n)
            mean, var = np.mean(first), np.var(first)
            bound = max_norm
        else:
            deviation = math.sqrt(var)
            z = (n - mean) / (deviation + 1e-6)
            x = mean + z_thr * deviation / (z / z_thr) if z > z_thr else n
            mean = a * mean + (1 - a) * x
            var = a * var + (1 - a) * (x - mean) ** 2
            bound = min(x, max_norm)
        yield min(1.0, bound / n) if n else 1.0


@pytest.mark.parametrize(("z_thr", "max_norm", "a"), [(2.5, 1.0, 0.97), (1.0, 100.0, 0.5), (2.5, 3.0, 0.0)])
def test_zscore_is_the_published_loop(z_thr: float, max_norm: float, a: float) -> None:
    norms = [*NORMS[:40], 200.0, 1e6, *NORMS[40:]]
    part = parsed("zscore", z_thr=z_thr, max_norm=max_norm, a=a)
    f = framed(part, next(gradients([1.0])))
    factors = []
    for tensors, expected in zip(gradients(norms), zclip(norms, z_thr, max_norm, a), strict=True):
        again(f, tensors)
        factors.append(part.clip(f))
        assert factors[-1] == pytest.approx(expected, rel=1e-9)
    assert factors[41] < 1e-3, "a million stands out"
    assert float(f.held) == 25


def test_zscore_takes_the_variance_of_the_population() -> None:
    part = parsed("zscore", max_norm=1e9)
    f = framed(part, next(gradients([1.0])))
    norms = [1.0 + k for k in range(25)]
    for k, tensors in enumerate(gradients(norms)):
        assert float(f.mu) == float(f.var) == 0, f"before {k} steps"
        again(f, tensors)
        assert part.clip(f) == 1
    assert float(f.mu) == pytest.approx(13.0)
    assert float(f.var) == pytest.approx(52.0)  # (25^2 - 1) / 12; of a sample it would be 54.17


def test_zscore_of_an_even_run_takes_a_spike_to_the_mean() -> None:
    """No deviation at all: what stands out has none to be left with."""
    part = parsed("zscore", max_norm=10.0)
    f = framed(part, next(gradients([1.0])))
    factors = []
    for tensors in gradients([2.0] * 25 + [8.0, 2.0]):
        again(f, tensors)
        factors.append(part.clip(f))
    assert factors == pytest.approx([1.0] * 25 + [0.25, 1.0], rel=1e-5)


# ---------------------------------------------------------------------------------------------------- tensor by tensor
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("limit", [1e-6, 0.3, 2.0, 1e6])
def test_norm_on_each_tensor(limit: float, scale: float) -> None:
    tensors = [RNG.normal(size=s) * scale * (1 + k) for k, s in enumerate(TENSORS)]
    part = parsed("norm", max_norm=limit)
    f = framed(part, tensors)
    factor = part.clip(f)
    expected = [g * min(1.0, limit / math.sqrt(math.fsum(v * v for v in g.flat))) for g in tensors]
    for (ours, _), theirs in zip(f.pieces, expected, strict=True):
        assert np.allclose(ours, theirs, rtol=1e-13, atol=0)
    before, after = (math.sqrt(sum(float((g**2).sum()) for g in gs)) for gs in (tensors, expected))
    assert factor == pytest.approx(after / before, rel=1e-13)
    assert (factor == 1) == all(np.array_equal(a, b) for a, b in zip(tensors, expected, strict=True))


@pytest.mark.peers
@pytest.mark.parametrize("limit", [0.3, 2.0, 50.0])
def test_norm_is_pytorchs_on_each_tensor(limit: float) -> None:
    """clip_grad_norm_ called on one tensor after the other; it adds 1e-6 to the length it divides by."""
    torch = pytest.importorskip("torch")
    tensors = [RNG.normal(size=s) for s in TENSORS]
    f = framed(parsed("norm", max_norm=limit), tensors)
    parsed("norm", max_norm=limit).clip(f)
    for (ours, _), g in zip(f.pieces, tensors, strict=True):
        p = torch.zeros(g.shape, dtype=torch.float64, requires_grad=True)
        p.grad = torch.tensor(g)
        norm = float(torch.nn.utils.clip_grad_norm_([p], limit))
        off = (norm + 1e-6) / norm if norm > limit else 1.0
        assert np.allclose(ours, p.grad.numpy() * off, rtol=1e-12, atol=0)


def by_unit(g: Array, w: Array, share: float) -> Array:
    """Adaptive clipping with loops: one unit after the other."""
    out = g.copy()
    units = [(..., o) for o in range(g.shape[-1])] if g.ndim > 1 else [...]
    for unit in units:
        size = math.sqrt(math.fsum(v * v for v in g[unit].flat))
        most = share * max(math.sqrt(math.fsum(v * v for v in w[unit].flat)), 1e-3)
        if size > most:
            out[unit] *= most / size
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("share", [1e-3, 0.01, 0.5, 1.0, 1e6])
def test_adaptive_on_each_unit(share: float, dtype: type) -> None:
    tensors = [(RNG.normal(size=s) * np.exp(RNG.normal(size=s[-1]))).astype(dtype) for s in TENSORS]
    weights = [RNG.normal(size=s).astype(dtype) for s in TENSORS]
    weights[0][:, 1] = 0  # a unit that has not grown yet
    weights[1][:] = 1e-4
    tolerance = 1e-13 if dtype == np.float64 else 1e-6
    part = parsed("adaptive", clipping=share)
    f = framed(part, tensors, weights)
    factor = part.clip(f)
    expected = [by_unit(g, w, share) for g, w in zip(tensors, weights, strict=True)]
    for (ours, w), theirs, old in zip(f.pieces, expected, weights, strict=True):
        assert np.allclose(ours, theirs, rtol=tolerance, atol=0)
        assert w is old
    before, after = (math.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in gs)) for gs in (tensors, expected))
    assert factor == pytest.approx(after / before, rel=tolerance)
    assert (factor == 1) == np.array_equal(f.g, np.concatenate([g.ravel() for g in tensors]))


def test_a_vector_is_one_unit() -> None:
    """Biases: their lengths together, not each on its own."""
    part = parsed("adaptive", clipping=0.1)
    f = framed(part, [np.array([3.0, 4.0])], [np.array([0.0, 10.0])])
    assert part.clip(f) == pytest.approx(0.2)
    assert f.g == pytest.approx([0.6, 0.8])


def test_a_little_that_is_cut_counts() -> None:
    """A clipped step is one with a factor below 1, also where its norm does not show it."""
    for part in (parsed("norm", max_norm=1e3), parsed("adaptive", clipping=1e3)):
        tensors = [np.array([[1e20]]), np.array([1e4])]
        f = framed(part, tensors, [np.array([[1e20]]), np.array([1e-9])])
        if part.kind == "norm":
            again(f, [np.array([[999.0]]), np.array([1000.0 + 1e-9])])
        assert part.clip(f) < 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "part", [parsed("norm", max_norm=1.0), parsed("adaptive"), parsed("global_norm", max_norm=1.0),
             parsed("percentile"), parsed("zscore"), parsed("value", limit=0.1)], ids=lambda p: p.kind,
)  # fmt: skip
def test_lengths_whose_squares_overflow(part: Clipper, dtype: type) -> None:
    """The gradient is finite; so is what is left, and it points where it did."""
    top = 1e30 if dtype == np.float32 else 1e200
    tensors = [np.full((4, 3), top, dtype), np.full(3, -top, dtype)]
    f = framed(part, tensors, [np.ones((4, 3), dtype), np.ones(3, dtype)])
    assert f.norm == pytest.approx(top * math.sqrt(15), rel=1e-5)
    factor = part.clip(f)
    assert np.isfinite(f.g).all()
    assert (np.sign(f.g) == np.sign(np.concatenate([g.ravel() for g in tensors]))).all()
    assert l2_norm(f.g) == pytest.approx(factor * f.norm, rel=1e-5)
    if part.kind == "adaptive":  # four weights of 1 into a unit, three of a vector
        assert f.g[0] == pytest.approx(0.01, rel=1e-5)
        assert f.g[-1] == pytest.approx(-0.01, rel=1e-5)


# ------------------------------------------------------------------------------------------------------------ lengths
def test_lengths() -> None:
    a = RNG.normal(size=(5, 4, 3))
    assert l2_norm(a) == pytest.approx(np.linalg.norm(a.ravel()), rel=1e-15)
    assert np.allclose(column_norms(as_columns(a)), np.linalg.norm(a.reshape(20, 3), axis=0), rtol=1e-14)
    assert np.allclose(column_norms(as_columns(a[0, 0])), np.linalg.norm(a[0, 0]), rtol=1e-14)
    assert column_norms(as_columns(a * 1e200)) == pytest.approx(np.linalg.norm(a.reshape(20, 3), axis=0) * 1e200)
    assert l2_norm(np.array([1.0, math.inf])) == math.inf
    assert math.isnan(l2_norm(np.array([1.0, math.nan])))
    assert np.shares_memory(as_columns(a), a)
