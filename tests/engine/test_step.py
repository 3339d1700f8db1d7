"""One training step: its order, what each of them sees, and what stops it before anything is changed."""

import math
from typing import Any

import numpy as np
import pytest
from nets import dense, dropout, fill, objective, parsed, residual
from probe_layer import Probe, calls, listening

from bpcli.engine.divergence import NonFiniteError
from bpcli.engine.network_plan import plan_network
from bpcli.engine.objective import Batch, Objective
from bpcli.engine.step import FirstOrderStep
from bpcli.family import Clipper, Loss, Optimizer, Regularizer
from bpcli.family.plan import Array, Frame
from bpcli.parts.clippers import GlobalNorm
from bpcli.parts.losses import MeanSquaredError
from bpcli.parts.optimizers import Adam
from bpcli.parts.regularizers import L2

RNG = np.random.default_rng(5)
ROWS, VALUES = RNG.normal(size=(9, 3)), RNG.normal(size=(9, 2))
L2_01 = {"type": "l2", "strength": 0.1}


def train_step(o: Objective, optimizer: Any = "sgd", clipper: Any = None, total: int = 10) -> FirstOrderStep:
    return FirstOrderStep(o, Optimizer.parse(optimizer), None if clipper is None else Clipper.parse(clipper), total)


def loaded(o: Objective, n: int = 4, x: Array = ROWS, t: Array = VALUES) -> Batch:
    batch = o.batch(n)
    batch.load(x.astype(o.theta.dtype), t.astype(o.theta.dtype), np.arange(n))
    return batch


# -------------------------------------------------------------------------------------------------------------- order
def test_the_order_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    network_plan = plan_network([*parsed([dense(4)]), Probe(), *parsed([dense(2)])], (3,), Regularizer.parse(L2_01))
    o = Objective(network_plan, Loss.parse("mean_squared_error"), 5, np.float64, 0)
    batch = loaded(o)
    methods = [(MeanSquaredError, "forward", "loss"), (L2, "value", "penalty"), (MeanSquaredError, "backward", "dloss"),
               (L2, "add_grad", "dpenalty"), (GlobalNorm, "clip", "clip"), (Adam, "update", "update")]  # fmt: skip
    with listening(monkeypatch, *methods):
        train_step(o, "adam", {"type": "global_norm", "max_norm": 0.1}).step(batch, 0)
        assert calls == [
            "draw",
            "forward",
            "loss",
            "penalty",
            "dloss",
            "backward",
            "dpenalty",
            "clip",
            "update",
            "commit",
        ]


def test_a_step_is_its_seven_parts_by_hand() -> None:
    """Two steps of a network with everything, beside the same computed one by one."""
    o, twin = (objective(dense(4, activation="tanh"), dropout(0.4), residual(dense(4)), dense(2), penalty=L2_01)
               for _ in range(2))  # fmt: skip
    clipper, schedule = {"type": "global_norm", "max_norm": 0.3}, {"type": "cosine", "start": 0.5, "end": 0.1}
    d = train_step(o, {"type": "momentum", "learning_rate": schedule, "mu": 0.8}, clipper, total=7)
    v = np.zeros_like(twin.theta)
    for k, n in enumerate((5, 3, 5)):
        d.step(loaded(o, n), k)
        batch = loaded(twin, n)
        twin.network.draw(batch.chain, k)
        loss, penalty = batch.forward(True), twin.penalty()
        batch.backward(True)
        twin.add_penalty_gradient()
        norm = np.linalg.norm(twin.grad)
        factor = min(1.0, 0.3 / norm)
        rate = 0.1 + 0.4 * (1 + math.cos(math.pi * k / 7)) / 2
        v = 0.8 * v + factor * twin.grad
        twin.theta -= rate * v
        assert np.allclose(o.theta, twin.theta, rtol=1e-13, atol=1e-15)
        assert np.allclose(
            (d.loss, d.penalty, d.norm, d.factor, d.rate), (loss, penalty, norm, factor, rate), rtol=1e-13
        )
        assert d.factor < 1


def test_t_counts_from_1_and_a_schedule_from_0(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, int]] = []
    monkeypatch.setattr(Adam, "update", lambda self, f, lr, t: seen.append((lr, t)))
    o = objective(dense(2))
    d = train_step(o, {"type": "adam", "learning_rate": {"type": "cosine", "start": 1.0}}, total=4)
    for k in (0, 2, 4, 9):  # past the end it stays at the end
        d.step(loaded(o), k)
    assert [t for _, t in seen] == [1, 3, 5, 10]
    assert np.allclose([lr for lr, _ in seen], [1.0, 0.5, 0.0, 0.0])


def test_steps_of_two_descents_do_not_mix() -> None:
    """What an optimizer remembers belongs to the descent."""
    first, second = objective(dense(2)), objective(dense(2))
    d = train_step(first, "adam")
    for k in range(3):
        d.step(loaded(first), k)
    e = train_step(second, "adam")
    assert not e.slots["m"].any()
    assert not np.shares_memory(d.slots["m"], d.slots["v"])


# ----------------------------------------------------------------------------------------------------------- clipping
def test_a_clipper_sees_the_penalty_and_the_optimizer_what_was_clipped(monkeypatch: pytest.MonkeyPatch) -> None:
    o = objective(dense(4), dense(2), penalty={"type": "l2", "strength": 5.0})
    raw = objective(dense(4), dense(2))
    batch = loaded(raw)
    batch.forward(True)
    batch.backward(True)
    under = np.zeros(o.theta.shape)
    for (_, where), (penalty, w, _) in zip(o.network.network_plan.penalties, o.penalties, strict=True):
        under[where] = penalty.strength * w
    by_path = {p: g.copy() for p, g in raw.network.gradients().items()}
    expected = np.concatenate([by_path[e.path].ravel() for e in o.network.network_plan.layout]) + under
    seen: dict[str, Array] = {}
    honest = GlobalNorm.clip

    def clip(self: GlobalNorm, f: Frame) -> float:
        seen["before"] = f.g.copy()
        assert f.norm == pytest.approx(np.linalg.norm(f.g), rel=1e-14)
        assert [w.shape for _, w in f.pieces] == [g.shape for g, _ in f.pieces]
        assert sum(g.size for g, _ in f.pieces) == f.g.size
        return honest(self, f)

    monkeypatch.setattr(GlobalNorm, "clip", clip)
    theta = o.theta.copy()
    d = train_step(o, {"type": "sgd", "learning_rate": 1.0}, {"type": "global_norm", "max_norm": 0.01})
    d.step(loaded(o), 0)
    assert np.allclose(seen["before"], expected, rtol=1e-12, atol=1e-15)
    assert np.linalg.norm(theta - o.theta) == pytest.approx(0.01, rel=1e-12)
    assert d.norm == pytest.approx(np.linalg.norm(expected), rel=1e-12)
    assert d.factor == pytest.approx(0.01 / d.norm, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("key", "kind"), [("limit", "value"), ("max_norm", "global_norm")])
def test_the_factor_is_the_share_of_the_norm_that_is_left(key: str, kind: str, dtype: type) -> None:
    o = objective(dense(4), dense(2), dtype=dtype)
    fill(o.network)
    theta = o.theta.copy()
    d = train_step(o, {"type": "sgd", "learning_rate": 1.0}, {"type": kind, key: 1e9})
    d.step(loaded(o), 0)
    assert d.factor == 1
    whole = (theta - o.theta).astype(np.float64)
    o.theta[...] = theta
    d = train_step(o, {"type": "sgd", "learning_rate": 1.0}, {"type": kind, key: 0.2})
    d.step(loaded(o), 0)
    left = (theta - o.theta).astype(np.float64)
    assert d.factor == pytest.approx(
        np.linalg.norm(left) / np.linalg.norm(whole), rel=1e-4 if dtype == np.float32 else 1e-12
    )
    assert 0 < d.factor < 1
    tolerance = 1e-6 if dtype == np.float32 else 1e-15
    if kind == "value":
        assert np.allclose(left, np.clip(whole, -0.2, 0.2), rtol=0, atol=tolerance)
    else:
        assert np.allclose(left, whole * 0.2 / np.linalg.norm(whole), rtol=0, atol=tolerance)


def test_a_gradient_of_norm_0_is_not_clipped() -> None:
    o = objective("relu", dense(2, weights=[[0.0, 0.0]] * 3, bias=[0.0, 0.0]))
    d = train_step(o, "sgd", {"type": "global_norm", "max_norm": 1.0})
    d.step(loaded(o, t=np.zeros((9, 2))), 0)
    assert (d.norm, d.factor, d.loss) == (0.0, 1.0, 0.0)


def test_without_a_clipper_the_factor_is_1() -> None:
    o = objective(dense(2))
    d = train_step(o)
    d.step(loaded(o), 0)
    assert d.factor == 1
    assert d.clip_state == {}


# --------------------------------------------------------------------------------------- what is not finite any more
def everything(d: FirstOrderStep) -> list[Array]:
    states = d.objective.network.states.values()
    return [a.copy() for a in (d.theta, *d.slots.values(), *d.clip_state.values(), *states)]


def stopped(d: FirstOrderStep, batch: Batch, k: int = 3) -> NonFiniteError:
    """The error of a step that has to fail and to change nothing."""
    before = everything(d)
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError) as caught:
        d.step(batch, k)
    for was, now in zip(before, everything(d), strict=True):
        assert np.array_equal(was, now, equal_nan=True)
    return caught.value


NET: list[Any] = [dense(4), "relu", residual(dense(4), "relu", dense(4)), dense(2)]


def network(
    dtype: Any = np.float64, layers: Any = None, loss: str = "mean_squared_error", penalty: Any = None
) -> FirstOrderStep:
    network_plan = plan_network(
        [Probe(), *parsed(layers or NET)], (3,), None if penalty is None else Regularizer.parse(penalty)
    )
    o = Objective(network_plan, Loss.parse(loss), 5, dtype, 0)
    for path, w in o.network.parameters().items():  # positive, so that no relu closes
        w[...] = 0.25 if path.endswith("W") else 0.1 if path.endswith("b") else 2.0
    d = train_step(o, "adam", {"type": "global_norm", "max_norm": 0.1})
    d.step(loaded(o, x=np.abs(ROWS)), 0)
    return d


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bad_input_is_named(bad: float, dtype: type) -> None:
    d = network(dtype)
    x = np.abs(ROWS)
    x[2, 1] = bad
    error = stopped(d, loaded(d.objective, x=x))
    assert (error.layer, error.tensor, error.what, str(error)) == ("", "x", "inputs", "x")


@pytest.mark.parametrize("path", ["dense_1.W", "probe_1.gain", "residual_1.dense_2.b", "dense_2.b"])
def test_bad_weights_are_named(path: str) -> None:
    d = network()
    d.objective.network.parameters()[path].flat[1] = math.nan
    error = stopped(d, loaded(d.objective))
    assert (str(error), error.what) == (path, "weights")
    assert f"{error.layer}.{error.tensor}" == path


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("probe_1.gain", "probe_1.y"),
        ("dense_1.W", "dense_1.y"),
        ("residual_1.dense_1.W", "residual_1.dense_1.y"),
        ("residual_1.dense_2.W", "residual_1.dense_2.y"),
        ("dense_2.W", "dense_2.y"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_output_that_overflows_is_named(path: str, named: str, dtype: type) -> None:
    """Not a container whose branch overflowed, nor what came after it."""
    d = network(dtype)
    d.objective.network.parameters()[path][...] = np.finfo(dtype).max
    error = stopped(d, loaded(d.objective, x=np.abs(ROWS) + 2))
    assert (str(error), error.what) == (named, "outputs")


def test_a_sum_that_overflows_in_a_container_is_the_containers() -> None:
    d = network()
    parameters, huge = d.objective.network.parameters(), 1.5e308
    parameters["dense_1.b"][...] = huge
    parameters["residual_1.dense_2.b"][...] = huge
    for name in ("dense_1", "dense_2"):
        parameters[f"residual_1.{name}.W"][...] = 0
    assert str(stopped(d, loaded(d.objective))) == "residual_1.y"


def test_a_loss_that_overflows_is_named() -> None:
    d = network()
    error = stopped(d, loaded(d.objective, x=np.abs(ROWS), t=np.full((9, 2), 1e200)))
    assert (str(error), error.what) == ("loss", "loss")


def test_a_penalty_that_overflows_is_named() -> None:
    d = network(layers=[dense(4), "tanh", dense(2)], penalty=L2_01)
    d.objective.network.parameters()["dense_1.W"][...] = 1e200
    error = stopped(d, loaded(d.objective, x=np.abs(ROWS)))
    assert (str(error), error.what) == ("penalty", "penalty")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gradient_that_overflows_alone_is_named_from_the_end(dtype: type) -> None:
    """Loss and outputs are finite; the first gradient in the order of the backward pass that is not is the culprit."""
    top = float(np.sqrt(np.finfo(dtype).max))
    d = network(dtype, layers=[dense(1), dense(1), dense(2)])
    parameters = d.objective.network.parameters()
    for path, w in parameters.items():
        w[...] = {"dense_1.W": 1 / top, "dense_2.W": top, "dense_3.W": top / 1e3}.get(path, 0)
    parameters["probe_1.gain"][...] = 1
    batch = loaded(d.objective, x=np.full((9, 3), 1e-3), t=np.zeros((9, 2)))
    error = stopped(d, batch)
    assert math.isfinite(d.loss)
    assert (error.layer, error.tensor, error.what) == ("dense_2", "dx", "gradient")


def test_a_gradient_whose_norm_overflows_is_named_as_a_whole() -> None:
    """Each of its entries can be written, the norm cannot: no tensor is the culprit."""
    o = objective(dense(4), dense(2), penalty={"type": "l1", "strength": 1.2e308})
    o.theta[...] = 1e-3
    d = train_step(o)
    error = stopped(d, loaded(o))
    assert np.isfinite(d.grad).all()
    assert (error.layer, error.tensor, error.what) == ("", "gradient", "gradient")


def test_a_bad_gradient_in_a_branch_is_the_branchs() -> None:
    d = network(layers=[dense(4), residual(dense(4), "softplus", dense(4)), dense(2)])
    o = d.objective
    honest = o.network.chain(4).walk
    inner = next(k for k in honest() if k.path == "residual_1.softplus_1")
    backward = type(inner.layer).backward

    def overflows(self: Any, f: Any, train: bool) -> None:
        backward(self, f, train)
        f.dx.fill(math.inf)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(inner.layer), "backward", overflows)
        o.network._chains.clear()
        o._batches.clear()
        error = stopped(d, loaded(o))
    assert str(error) == "residual_1.dense_1.dW"


def test_it_goes_on_after_it_was_stopped() -> None:
    """A step on good rows after one that failed is the step that would have been."""
    d, other = network(), network()
    x = np.abs(ROWS)
    x[0, 0] = math.nan
    stopped(d, loaded(d.objective, x=x), k=1)
    d.step(loaded(d.objective, x=np.abs(ROWS)), 1)
    other.step(loaded(other.objective, x=np.abs(ROWS)), 1)
    assert np.array_equal(d.theta, other.theta)


@pytest.mark.parametrize(("dtype", "strength"), [(np.float32, 1e25), (np.float64, 1e200)])
def test_a_norm_whose_square_overflows_is_still_a_number(dtype: type, strength: float) -> None:
    """The gradient is finite and can be clipped; only its square cannot be written."""
    o = objective(dense(4), dense(2), penalty={"type": "l2", "strength": strength}, dtype=dtype)
    fill(o.network)
    theta = o.theta.astype(np.float64)
    d = train_step(o, {"type": "sgd", "learning_rate": 1.0}, {"type": "global_norm", "max_norm": 0.5})
    with np.errstate(all="ignore"):
        d.step(loaded(o), 0)
    ((_, where),) = o.network.network_plan.penalties
    assert d.norm == pytest.approx(strength * np.linalg.norm(theta[where]), rel=1e-5)
    assert d.factor == pytest.approx(0.5 / d.norm)
    assert np.linalg.norm(theta - o.theta) == pytest.approx(0.5, rel=1e-5)


# --------------------------------------------------------------------------------------------------------- divergence
@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        ("adam", "optimizer.v"),
        ("adagrad", "optimizer.s"),
        ("rmsprop", "optimizer.v"),
        ("sgd", ""),
        ("adamax", ""),
        ({"type": "momentum", "learning_rate": 1e-30}, ""),
    ],
)
def test_what_an_optimizer_remembers_is_named_in_the_step_in_which_it_overflows(optimizer: Any, name: str) -> None:
    """The loss and the gradient, 1e20, are finite, and so are the weights: Adam moves none by a step over infinity."""
    for dtype in (np.float32, np.float64):
        network_plan = plan_network(parsed([{"type": "dense", "units": 1, "init": "zeros"}]), (1,))
        o = Objective(network_plan, Loss.parse("mean_absolute_error"), 4, dtype, 0)
        batch, step = loaded(o, 4, np.full((4, 1), 1e20), np.ones((4, 1))), train_step(o, optimizer)
        with np.errstate(all="ignore"):
            if name and dtype is np.float32:
                with pytest.raises(NonFiniteError, match=name) as caught:
                    step.step(batch, 0)
                assert caught.value.what == "memory of dense_1.W"
            else:
                step.step(batch, 0)
                assert np.isfinite(o.theta).all()
