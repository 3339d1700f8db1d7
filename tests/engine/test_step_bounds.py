"""What stands around an update: clippers on the tensors of a network, constraints behind it, the clock of its rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nets import dense, fill, objective, residual

from bpcli.engine.objective import Batch, Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Clipper, Constraint, Optimizer
from bpcli.parts.optimizers import Sgd

RNG = np.random.default_rng(5)
ROWS, VALUES = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))


def train_step(
    o: Objective, rate: Any = 1.0, clipper: Any = None, constraint: Any = None, **more: Any
) -> FirstOrderStep:
    optimizer = Optimizer.parse({"type": "sgd", "learning_rate": rate})
    assert isinstance(optimizer, Sgd)
    clipper = None if clipper is None else Clipper.parse(clipper)
    bound = None if constraint is None else Constraint.parse(constraint)
    return FirstOrderStep(o, optimizer, clipper, more.pop("total", 10), constraint=bound, **more)


def loaded(o: Objective, n: int = 4) -> Batch:
    batch = o.batch(n)
    batch.load(ROWS.astype(o.theta.dtype), VALUES.astype(o.theta.dtype), np.arange(n))
    return batch


# ----------------------------------------------------------------------------------------------------------- clippers
CLIPPERS = [
    {"type": "value", "limit": 0.05},
    {"type": "global_norm", "max_norm": 0.2},
    {"type": "norm", "max_norm": 0.2},
    {"type": "adaptive", "clipping": 0.1},
    {"type": "percentile", "percentile": 10.0},
    {"type": "zscore", "max_norm": 0.2},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("clipper", CLIPPERS, ids=lambda c: c["type"])
def test_the_factor_is_the_share_of_the_norm_that_is_left(clipper: dict[str, Any], dtype: type) -> None:
    """Of every step of eight: plain descent at rate 1 moves by exactly what the clipper has left."""
    o = objective(dense(4, activation="tanh"), residual(dense(4)), dense(2), dtype=dtype)
    fill(o.network)
    d = train_step(o, clipper=clipper)
    factors = []
    for k in range(8):
        theta = o.theta.copy()
        d.step(loaded(o, 1 + k % 4), k)
        left = np.linalg.norm((theta - o.theta).astype(np.float64))
        tolerance = 1e-4 if dtype == np.float32 else 1e-12
        assert left == pytest.approx(d.factor * d.norm, rel=tolerance)
        factors.append(d.factor)
    assert min(factors) < 1
    assert max(factors) <= 1


def test_each_tensor_of_a_network_is_clipped_by_its_own_weights() -> None:
    o = objective(dense(4), residual(dense(4)), dense(2))
    fill(o.network)
    d = train_step(o, clipper={"type": "adaptive", "clipping": 0.05})
    before = {path: w.copy() for path, w in o.network.parameters().items()}
    d.step(loaded(o), 0)
    assert set(before) == {f"{p}.{n}" for p in ("dense_1", "residual_1.dense_1", "dense_2") for n in ("W", "b")}
    for path, w in o.network.parameters().items():
        axes = 0 if w.ndim > 1 else None
        moved = np.linalg.norm(before[path] - w, axis=axes)
        assert np.allclose(moved, 0.05 * np.linalg.norm(before[path], axis=axes), rtol=1e-12)


def test_what_a_clipper_remembers_is_the_descents() -> None:
    first, second = (train_step(objective(dense(2)), clipper={"type": "zscore"}) for _ in range(2))
    for k in range(3):
        first.step(loaded(first.objective), k)
    assert float(first.clip_state["held"]) == 3
    assert float(second.clip_state["held"]) == 0
    assert first.clip_state["mu"].shape == ()


# -------------------------------------------------------------------------------------------------------- constraints
MAX_NORM = {"type": "max_norm", "limit": 0.5}


def lengths(o: Objective) -> dict[str, Any]:
    return {p: np.linalg.norm(w, axis=0 if w.ndim > 1 else None) for p, w in o.network.parameters().items()}


def test_a_constraint_is_laid_on_weights_after_the_step() -> None:
    """Not on biases; the step itself is the one without."""
    o, twin = (objective(dense(4), residual(dense(4)), dense(2)) for _ in range(2))
    for each in (o, twin):
        fill(each.network)
    d, free = train_step(o, 0.1, constraint=MAX_NORM), train_step(twin, 0.1)
    d.step(loaded(o), 0)
    free.step(loaded(twin), 0)
    assert (d.loss, d.norm) == (free.loss, free.norm)
    theirs = twin.network.parameters()
    for path, w in o.network.parameters().items():
        size = np.linalg.norm(theirs[path], axis=0) if path.endswith("W") else np.zeros(1)
        expected = theirs[path] * np.minimum(1, 0.5 / np.maximum(size, 1e-300))
        assert np.allclose(w, expected, rtol=1e-14, atol=0)
    assert max(float(v.max()) for p, v in lengths(o).items() if p.endswith("W")) == pytest.approx(0.5)
    assert float(lengths(o)["dense_1.b"]) > 0.5


def test_a_layer_has_its_own_constraint() -> None:
    own = {"type": "max_norm", "limit": 0.1}
    o = objective(dense(4), dense(4, constraint=own), dense(2))
    fill(o.network)
    train_step(o, 0.1).step(loaded(o), 0)
    assert (lengths(o)["dense_2.W"] <= 0.1 * (1 + 1e-12)).all()
    assert (lengths(o)["dense_1.W"] > 0.5).any()
    train_step(o, 0.1, constraint=MAX_NORM).step(loaded(o), 1)
    assert (lengths(o)["dense_2.W"] <= 0.1 * (1 + 1e-12)).all()
    assert (lengths(o)["dense_1.W"] <= 0.5 * (1 + 1e-12)).all()


# -------------------------------------------------------------------------------------------------------------- clock
def rates(schedule: Any, total: int, epoch: int, beyond: int = 0) -> list[float]:
    d = train_step(objective(dense(2)), schedule, total=total, epoch=epoch)
    return [d.rate_at(k) for k in range(total + beyond)]


def test_per_epoch_the_rate_stays_inside_an_epoch() -> None:
    """Four steps an epoch, three epochs: k is 0, 1, 2 of T = 3."""
    settings = {"type": "polynomial", "start": 0.3, "per": "epoch"}
    assert rates(settings, 12, 4, 2) == pytest.approx([0.3] * 4 + [0.2] * 4 + [0.1] * 4 + [0, 0])
    settings = {"type": "multi_step", "start": 1.0, "milestones": [1, 2], "per": "epoch"}
    assert rates(settings, 12, 4) == pytest.approx([1.0] * 4 + [0.1] * 4 + [0.01] * 4)
    settings = {"type": "warmup", "steps": 2, "then": 1.0, "per": "epoch"}
    assert rates(settings, 12, 4) == pytest.approx([0.5] * 4 + [1.0] * 8)


def test_per_step_an_epoch_is_nothing() -> None:
    settings = {"type": "polynomial", "start": 0.3}
    assert rates(settings, 3, 1) == rates(settings, 3, 2) == pytest.approx([0.3, 0.2, 0.1])


def test_a_schedule_that_has_observed_goes_on_from_there() -> None:
    d = train_step(objective(dense(2)), {"type": "plateau", "start": 0.5, "patience": 1})
    schedule = d.optimizer.learning_rate
    assert d.rate_at(0) == 0.5
    for value in (1.0, 2.0):
        schedule.observe(d.schedule_state, value, True)
    assert d.rate_at(3) == pytest.approx(0.05)
    d.step(loaded(d.objective), 3)
    assert d.rate == pytest.approx(0.05)
