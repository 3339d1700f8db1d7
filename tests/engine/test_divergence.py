"""The first array that is not finite is named, of everything that a training computes: gradients by inputs, slopes of
penalties, and what steps remember."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from nets import dense, fill, objective

from bpcli.engine.divergence import NonFiniteError, first_in_memory
from bpcli.engine.objective import Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Clipper, Optimizer

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2))


def stepping(o: Objective, optimizer: Any = "adam", clipper: Any = None) -> FirstOrderStep:
    fill(o.network)
    part: Any = Optimizer.parse(optimizer)
    return FirstOrderStep(o, part, None if clipper is None else Clipper.parse(clipper), 10)


def named(d: FirstOrderStep, x: Any = X, t: Any = T) -> NonFiniteError:
    batch = d.objective.batch(4)
    batch.load(np.asarray(x, d.theta.dtype), np.asarray(t, d.theta.dtype), np.arange(4))
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        d.step(batch, 0)
    return caught.value


def test_what_lives_from_step_to_step_is_named_in_the_order_in_which_a_step_writes_it() -> None:
    """Each is spoiled before those that were spoiled already."""
    o = objective(dense(4), "batch_norm", dense(2))
    d = stepping(o, "adam", "zscore")
    memory = o.network, d.slots, d.clip_state
    assert first_in_memory(*memory) is None
    spoiled = (
        (o.network.states["batch_norm_1.rvar"], "batch_norm_1.rvar (running statistics)"),
        (o.network.parameters()["dense_2.b"], "dense_2.b (weights)"),
        (o.network.parameters()["dense_1.W"], "dense_1.W (weights)"),
        (d.slots["v"], "optimizer.v (memory of dense_1.W)"),
        (d.slots["m"], "optimizer.m (memory of dense_1.W)"),
        (d.clip_state["var"], "clipping.var (memory)"),
    )
    for array, expected in spoiled:
        array[...] = math.inf
        found = first_in_memory(*memory)
        assert found is not None
        assert f"{found} ({found.what})" == expected


def test_what_is_large_and_finite_is_none() -> None:
    """A sum of two of them is infinite."""
    o = objective(dense(4), dense(2))
    d = stepping(o)
    d.slots["v"][...] = 1.7e308
    o.theta[...] = -1.7e308
    assert first_in_memory(o.network, d.slots, d.clip_state) is None


def test_memory_of_the_step_before_comes_before_what_comes_of_it() -> None:
    d = stepping(objective(dense(4), dense(2)))
    d.slots["m"][2] = math.nan
    d.theta[...] = math.nan
    error = named(d)
    assert (error.layer, error.tensor, error.what) == ("optimizer", "m", "memory of dense_1.W")


@pytest.mark.parametrize(("dtype", "top"), [(np.float32, 1e30), (np.float64, 1e250)])
def test_a_gradient_by_inputs_is_named_before_those_that_it_makes_infinite(dtype: type, top: float) -> None:
    """Outputs are small: the first weights undo what the last do."""
    o = objective(dense(1), "tanh", dense(1), dense(2), dtype=dtype)
    d = stepping(o)
    parameters = o.network.parameters()
    for path, w in parameters.items():
        w[...] = {"dense_1.W": 0, "dense_2.W": top, "dense_3.W": top}.get(path, 0)
    error = named(d, t=np.full((4, 2), top**0.5))
    assert (str(error), error.what) == ("dense_3.dx", "gradient")


def test_the_slope_of_a_loss_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    o = objective(dense(4), dense(2))
    honest = type(o.loss).backward

    def overflows(self: Any, f: Any) -> None:
        honest(self, f)
        f.dx[0, 0] = math.inf

    monkeypatch.setattr(type(o.loss), "backward", overflows)
    assert str(named(stepping(o))) == "loss.dx"


def test_the_slope_of_a_penalty_is_named() -> None:
    """Its value is a number in float64, its slope none in float32."""
    d = stepping(objective(dense(4), dense(2), penalty={"type": "l2", "strength": 1e30}, dtype=np.float32))
    d.objective.network.parameters()["dense_2.W"][...] = 1e10
    error = named(d, x=np.zeros((4, 3)), t=np.zeros((4, 2)))
    assert (str(error), error.what) == ("dense_2.dW", "gradient of the penalty")
