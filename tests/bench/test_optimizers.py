"""What a step of each optimizer costs beside the hand-written minimum: as many NumPy calls as the formula needs, on
plain arrays. Run: pytest -m bench -s tests/bench/test_optimizers.py

The minimum has no sweep for subnormal numbers, no schedule, no stretches and no settings; ours has all of them and runs
as in training.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from timing import seconds_each

from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Loss, Optimizer
from bpcli.parts.layers.dense import Dense

pytestmark = pytest.mark.bench

ROUNDS, SLICE = 21, 0.003
BAR = 1.5
LR, B1, B2, EPS = 1e-3, 0.9, 0.999, 1e-8
Array = Any
mul, add, sub, div, root = np.multiply, np.add, np.subtract, np.divide, np.sqrt


def sgd(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    mul(g, LR, out=u)
    sub(w, u, out=w)


def momentum(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    (v,) = s
    mul(v, 0.9, out=v)
    add(v, g, out=v)
    mul(v, LR, out=u)
    sub(w, u, out=w)


def nesterov(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    (v,) = s
    mul(v, 0.9, out=v)
    add(v, g, out=v)
    mul(v, 0.9 * LR, out=u)
    sub(w, u, out=w)
    mul(g, LR, out=u)
    sub(w, u, out=w)


def adagrad(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    (v,) = s
    mul(g, g, out=u)
    add(v, u, out=v)
    root(v, out=u)
    add(u, 1e-10, out=u)
    div(g, u, out=u)
    mul(u, LR, out=u)
    sub(w, u, out=w)


def rmsprop(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    (v,) = s
    mul(v, 0.99, out=v)
    mul(g, g, out=u)
    mul(u, 0.01, out=u)
    add(v, u, out=v)
    root(v, out=u)
    add(u, EPS, out=u)
    div(g, u, out=u)
    mul(u, LR, out=u)
    sub(w, u, out=w)


def adadelta(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    v, r = s
    mul(v, 0.9, out=v)
    mul(g, g, out=u)
    mul(u, 0.1, out=u)
    add(v, u, out=v)
    add(r, 1e-6, out=u)
    add(v, 1e-6, out=q)
    div(u, q, out=u)
    root(u, out=u)
    mul(u, g, out=u)
    mul(r, 0.9, out=r)
    mul(u, u, out=q)
    mul(q, 0.1, out=q)
    add(r, q, out=r)
    mul(u, LR, out=u)
    sub(w, u, out=w)


def means(g: Array, u: Array, m: Array, v: Array) -> None:
    mul(m, B1, out=m)
    mul(g, 1 - B1, out=u)
    add(m, u, out=m)
    mul(v, B2, out=v)
    mul(g, g, out=u)
    mul(u, 1 - B2, out=u)
    add(v, u, out=v)


def adam(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    m, v = s
    c = math.sqrt(1 - B2**t)
    means(g, u, m, v)
    root(v, out=u)
    add(u, EPS * c, out=u)
    div(m, u, out=u)
    mul(u, LR * c / (1 - B1**t), out=u)
    sub(w, u, out=w)


def adamw(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    mul(w, 1 - LR * 0.01, out=w)
    adam(w, g, u, q, s, t)


def nadam(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    m, v = s
    c, mu, ahead = math.sqrt(1 - B2**t), 0.9 - 0.45 * 0.96 ** (t * 4e-3), 0.9 - 0.45 * 0.96 ** ((t + 1) * 4e-3)
    means(g, u, m, v)
    root(v, out=u)
    add(u, EPS * c, out=u)
    mul(g, LR * c * (1 - mu), out=g)
    mul(m, LR * c * ahead, out=q)
    add(g, q, out=g)
    div(g, u, out=u)
    sub(w, u, out=w)


def adamax(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    m, r = s
    mul(m, B1, out=m)
    mul(g, 1 - B1, out=u)
    add(m, u, out=m)
    mul(r, B2, out=r)
    np.abs(g, out=u)
    add(u, EPS, out=u)
    np.maximum(r, u, out=r)
    div(m, r, out=u)
    mul(u, LR / (1 - B1**t), out=u)
    sub(w, u, out=w)


def radam(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    m, v = s
    p = B2**t
    rho = 1999 - 2 * t * p / (1 - p)
    c = math.sqrt((rho - 4) * (rho - 2) * 1999 / (1995 * 1997 * rho) * (1 - p))
    means(g, u, m, v)
    root(v, out=u)
    add(u, EPS, out=u)
    div(m, u, out=u)
    mul(u, LR * c / (1 - B1**t), out=u)
    sub(w, u, out=w)


def lion(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    (m,) = s
    mul(m, 0.9, out=u)
    mul(g, 0.1, out=q)
    add(u, q, out=u)
    np.sign(u, out=q)
    mul(q, LR, out=q)
    sub(w, q, out=w)
    mul(m, 0.99, out=m)
    mul(g, 0.01, out=g)
    add(m, g, out=m)


def rprop(w: Array, g: Array, u: Array, q: Array, s: list[Array], t: int) -> None:
    p, step = s
    np.sign(g, out=q)
    mul(q, p, out=u)
    np.greater_equal(u, 0.0, out=p)
    mul(p, q, out=p)
    np.abs(u, out=q)
    mul(q, -0.5, out=q)
    add(q, 1.0, out=q)
    mul(u, 1.2, out=u)
    np.maximum(u, q, out=u)
    mul(step, u, out=step)
    np.maximum(step, 1e-6, out=step)
    np.minimum(step, 50.0, out=step)
    mul(p, step, out=u)
    sub(w, u, out=w)


MINIMA: dict[str, tuple[Callable[..., None], int]] = {
    "sgd": (sgd, 0), "momentum": (momentum, 1), "nesterov": (nesterov, 1), "adagrad": (adagrad, 1),
    "rmsprop": (rmsprop, 1), "adadelta": (adadelta, 2), "adam": (adam, 2), "adamw": (adamw, 2), "nadam": (nadam, 2),
    "adamax": (adamax, 2), "radam": (radam, 2), "lion": (lion, 1), "rprop": (rprop, 2),
}  # fmt: skip
"""The hand-written step, and how many vectors it remembers."""


@pytest.mark.parametrize("units", [(16, 4, 3), (128, 784, 10)], ids=["131 parameters", "101,770 parameters"])
@pytest.mark.parametrize("kind", MINIMA)
def test_a_step_costs_little_more_than_its_calls(kind: str, units: tuple[int, int, int]) -> None:
    hidden, inputs, outputs = units
    layers = [Dense(units=hidden), Dense(units=outputs)]
    objective = Objective(plan_network(layers, (inputs,)), Loss.parse("mean_squared_error"), 1, np.float32, 0)
    train_step = FirstOrderStep(objective, Optimizer.parse(kind), None, 10**9)  # type: ignore[arg-type]  # all kinds here step
    rng = np.random.default_rng(0)
    n = objective.theta.size
    gradient = rng.normal(size=n).astype(np.float32)
    by_hand, remembered = MINIMA[kind]
    w, g, u, q = (np.ones(n, np.float32) for _ in range(4))
    slots = [np.ones(n, np.float32) for _ in range(remembered)]
    done = {"ours": 1000, "by hand": 1000}

    def ours(times: int) -> None:
        for _ in range(times):
            done["ours"] += 1
            np.copyto(objective.grad, gradient)
            train_step.update_weights(done["ours"] - 1)

    def theirs(times: int) -> None:
        for _ in range(times):
            done["by hand"] += 1
            np.copyto(g, gradient)
            by_hand(w, g, u, q, slots, done["by hand"])

    with np.errstate(all="ignore"):
        times = seconds_each({"ours": ours, "by hand": theirs}, ROUNDS, SLICE)
    micro = {name: 1e6 * min(values) for name, values in times.items()}  # what else runs here only adds
    found = micro["ours"] / micro["by hand"]
    both = "  ".join(f"{name} {value:8.1f} us" for name, value in micro.items())
    print(f"\n{kind:<10} {n:>8,} parameters  {both}  {found:.2f}")
    assert found < BAR
