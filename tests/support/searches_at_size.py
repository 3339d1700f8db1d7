"""Optimizers that search, on many rows, and on surfaces that lead them every way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from registry import good
from steps_at_size import objective_of

from bpcli.engine.full_batch import FullBatchStep, make_step
from bpcli.family import FullBatchOptimizer, Optimizer, Regularizer
from bpcli.family.plan import Array, Frame, Sample
from bpcli.studies.witness.step_cases import FullBatchCase


def law_of_full_batch(sample: Sample) -> None:
    """An iteration over many rows is what the equations say, and keeps the conditions that they state."""
    case = FullBatchCase(sample)
    wrong = [gap for gap in case.gaps(case.kernel()) if gap.verdict == "WRONG"]
    assert not wrong, wrong


class Surface:
    """A function of few weights with its slopes, as an optimizer that searches sees it."""

    def __init__(self, part: FullBatchOptimizer, function: Callable[[Array], tuple[float, Array]], start: Any) -> None:
        w = np.array(start, float)
        arrays = {name: np.zeros(slot.shape) for name, slot in (part.state(len(w)) | part.work(len(w))).items()}
        self.f = Frame(x=w, y=w, dx=None, dy=w, w=w, g=np.zeros_like(w), rate=0.0, **arrays)
        self.part, self.function = part, function
        self.f.value = self.value()

    def value(self) -> float:
        found, slope = self.function(self.f.w)
        self.f.g[...] = slope
        return float(found) if np.isfinite(found) else math.inf


def _rosenbrock(w: Array) -> tuple[float, Array]:
    x, y = w
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2, np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])


def _barrier(w: Array) -> tuple[float, Array]:
    if (w >= 1).any():
        return math.inf, np.zeros_like(w)
    return float(-np.log(1 - w).sum() - 9 * w.sum()), 1 / (1 - w) - 9


def _bump(w: Array) -> tuple[float, Array]:
    return float(-np.exp(-(w**2) / 2).sum()), w * np.exp(-(w**2) / 2)


SURFACES: dict[str, tuple[Callable[[Array], tuple[float, Array]], list[float]]] = {
    "rosenbrock": (_rosenbrock, [-1.2, 1.0]),
    "barrier": (_barrier, [-3.0, 0.999]),
    "hollow": (_bump, [2.0, -1.5]),
    "far out": (_bump, [6.0, -5.0]),
    "kink": (lambda w: (float(np.abs(w).sum()), np.sign(w)), [0.3, -1.7]),
    "plain": (lambda w: (float((w**2).sum()) / 2, w.copy()), [3.0, 0.01]),
    "flat": (lambda w: (float((w**4).sum()), 4 * w**3), [1e-1, 2.0]),
    "slope without end": (lambda w: (float(-w.sum()), -np.ones_like(w)), [0.0, 0.0]),
    "small": (lambda w: (1e-6 * float((w**2).sum()), 2e-6 * w), [3.0, -1.0]),
    "waves": (lambda w: (float((np.sin(5 * w) + w**2 / 9).sum()), 5 * np.cos(5 * w) + 2 * w / 9), [3.0, -1.0]),
    "wrong slope": (lambda w: (float((w**2).sum()), -w), [3.0, -1.0]),
    "end of numbers": (lambda w: (float(1e8 + (w**2).sum()), 2 * w), [1e-3, 2e-3]),
}  # fmt: skip


def law_of_search(name: str, settings: dict[str, Any]) -> None:
    """No step raises the objective, each brings its share of the promised descent, and a search ends only where the
    slope is none, or no step against it lowers the objective by more than rounding."""
    function, start = SURFACES[name]
    part: Any = FullBatchOptimizer.parse({"type": "lbfgs", **settings})
    surface = Surface(part, function, start)
    for t in range(1, 60):
        before, slope, w = surface.f.value, surface.f.g.copy(), surface.f.w.copy()
        ended = part.search(surface.f, surface, t)
        if ended:
            assert np.array_equal(surface.f.w, w)
            if "larger" in ended:
                assert np.abs(slope).max() <= part.tolerance
            else:
                tried = [function(w - 10.0**-k * slope)[0] for k in range(1, 17)]
                assert name in ("kink", "wrong slope", "end of numbers") or min(tried) >= before - 1e-15 * abs(before)
            return
        value, surface.f.g[...] = function(surface.f.w)
        assert value <= before
        promised = float(slope @ (surface.f.w - w))
        assert promised < 0
        assert value <= before + part.c1 * promised or settings.get("max_evaluations", 25) < 25
        surface.f.value = value
    assert name in ("slope without end", "rosenbrock") or settings


def law_of_iterations(kind: str, layers: list[Any], rows: int, outputs: int = 2) -> None:
    """A search over many rows on a network lowers its objective until it ends, and then stands where it stood."""
    objective = objective_of(layers, (3,), rows, "float64", "mean_squared_error",
                             penalty=Regularizer.parse({"type": "l2", "strength": 0.05}))  # fmt: skip
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, 3))
    objective.batch(rows).load(x, np.tanh(x @ rng.normal(size=(3, outputs))), np.arange(rows))
    search = make_step(objective, Optimizer.parse(kind), None, 10)
    assert isinstance(search, FullBatchStep)
    first = last = search.evaluate(objective.batch(rows))
    for k in range(60):
        before = search.theta.copy()
        search.step(objective.batch(rows), k)
        assert search.rate_at(k) == search.rate
        if search.ended:
            assert np.array_equal(search.theta, before)
            assert search.rate == 0
            assert search.norm <= 1e-6
            return
        assert search.loss + search.penalty <= last
        last = search.loss + search.penalty
    assert last < first / 2


def laws() -> Iterator[tuple[str, Callable[[], None]]]:
    """Every law of this module, by what it is about."""
    for name, sample in good():
        if isinstance(sample.part, FullBatchOptimizer):
            for rows in (128, 150, 256) if sample.inputs["before"] else (1, 128, 150, 256):
                yield f"{name} of {rows} rows", partial(law_of_full_batch, replace(sample, batch=rows))
    for name in SURFACES:
        for settings in ({}, {"pairs": 2, "c2": 0.1, "max_evaluations": 3}, {"c2": 0.01, "tolerance": 1e-3}):
            yield f"search on {name} {settings}", partial(law_of_search, name, settings)
    small: list[Any] = [{"type": "dense", "units": 2}, "tanh", {"type": "dense", "units": 2}]
    for kind in ("lbfgs", "levenberg_marquardt"):
        yield f"iterations of {kind}", partial(law_of_iterations, kind, small, 300)
    single = [small[0], "tanh", {"type": "dense", "units": 1}]
    yield "iterations on one output", partial(law_of_iterations, "levenberg_marquardt", single, 300, 1)
    yield "iterations with statistics", partial(law_of_iterations, "lbfgs", [small[0], "batch_norm", *small[1:]], 300)
