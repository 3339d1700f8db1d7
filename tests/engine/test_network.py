"""The network in memory: wiring, shared memory, gradients through containers, and chance that nobody disturbs."""

import itertools
from typing import Any

import numpy as np
import pytest
from nets import PLAIN, dense, dropout, fill, network, parsed, plan, residual, run
from probe_layer import Probe

from bpcli.engine.network import BoundLayer, Network
from bpcli.engine.network_plan import plan_network
from bpcli.family import Regularizer
from bpcli.family.plan import Array
from bpcli.parts.activations import Relu, Tanh
from bpcli.parts.initializers import HeNormal
from bpcli.parts.layers.dense import Dense
from bpcli.studies.witness.witness import central_differences, max_abs

DEEP = [
    dense(4, activation="tanh"),
    residual(dense(4), "gelu", residual("softplus", dense(6), dropout(0.3), dense(4)), "sigmoid", dense(4)),
    residual(residual(residual(dense(4, activation="tanh")))),
    dropout(0.25),
    dense(3),
]
FIRST = [residual(residual(dense(3), "tanh"), dense(5), "softmax", dense(3)), "gelu", dense(2)]
"""A container that is the first to learn: somebody inside asks for every dx."""
NETS: dict[str, tuple[list[Any], tuple[int, ...]]] = {
    "deep": (DEEP, (3,)),
    "container first": (FIRST, (3,)),
    "silent beginning": (["tanh", "flatten", dropout(0.2), residual("sigmoid"), *DEEP], (2, 2)),
    "every activation": ([layer for kind in PLAIN for layer in (dense(4), kind)] + [dense(2)], (3,)),
    "every activation in a branch": ([dense(4), *(residual(dense(4), kind) for kind in PLAIN)], (3,)),
    "probes": ([dense(4), Probe(), residual(Probe(), dense(4), Probe()), "gelu", Probe(), dense(2)], (3,)),
    "names that blocks have": (
        [dense(4, name="net"), "gelu", dropout(0.5, name="scratch"), "gelu", residual(dense(4), name="gradient"),
         dense(3, name="x"), dense(3, name="y")], (3,)),
}  # fmt: skip
ANY = pytest.mark.parametrize(("layers", "x"), NETS.values(), ids=NETS)


# ------------------------------------------------------------------------------------------------------------ wiring
@ANY
def test_the_input_of_a_layer_is_the_output_before_it(layers: list[Any], x: tuple[int, ...]) -> None:
    net = network(*layers, x=x)
    for n in (5, 2):
        chain = net.chain(n)
        _is_wired(chain.layers, chain.x, chain.dy)
        assert chain.y is chain.layers[-1].frame.y


def _is_wired(bound_layers: tuple[BoundLayer, ...], x: Array, dy: Array) -> None:
    for bound in bound_layers:
        assert bound.frame.x is x
        x = bound.frame.y
        for chain in bound.inside.values():
            assert chain.x is bound.frame.x
            _is_wired(chain.layers, chain.x, chain.dy)
    assert bound_layers[-1].frame.dy is dy
    for before, after in itertools.pairwise(bound_layers):
        if after.frame.dx is not None:
            assert after.frame.dx.ctypes.data == before.frame.dy.ctypes.data
            assert after.frame.dx.shape == before.frame.dy.shape


@ANY
def test_what_lives_at_the_same_time_has_its_own_memory(layers: list[Any], x: tuple[int, ...]) -> None:
    """Outputs, kept and drawn slots and the input of all layers; a layer's own dx, dy and scratch beside them."""
    net = network(*layers, x=x)
    chain = net.chain(5)
    living: dict[str, Array] = {"x": chain.x}
    for bound in chain.walk():
        living |= {f"{bound.path}.{n}": getattr(bound.frame, n) for n in ("y", *bound.plan.keep, *bound.plan.draws)}
    _apart(living)
    for bound in chain.walk():
        own = {n: getattr(bound.frame, n) for n in ("dx", "dy", *bound.plan.scratch)}
        _apart(living | {f"its {n}": a for n, a in own.items() if a is not None})
        for inner in bound.inside.values():
            busy = {n: getattr(bound.frame, n) for n in ("dx", "dy") if getattr(bound.frame, n) is not None}
            for other in inner.walk():
                _apart({**busy, "inner dy": other.frame.dy})
                _apart({**busy, "inner dx": other.frame.dx})


def _apart(arrays: dict[str, Array]) -> None:
    spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes, name) for name, a in arrays.items() if a.size)
    for (_, end, first), (start, _, second) in itertools.pairwise(spans):
        assert end <= start, f"{first} and {second} share memory"


def test_parameters_and_gradients_are_views_of_the_flat_vectors() -> None:
    net = network(*DEEP)
    net.theta[...] = np.arange(len(net.theta))
    net.grad[...] = -np.arange(len(net.grad))
    for path, w in net.parameters().items():
        e = net.network_plan.entry(path)
        assert np.array_equal(w.ravel(), np.arange(e.start, e.start + e.size))
        assert np.array_equal(net.gradients()[path], -w)
    for bound in net.chain(5).walk():
        for name in bound.plan.params:
            assert np.shares_memory(getattr(bound.frame, name), net.parameters()[f"{bound.path}.{name}"])
            assert np.shares_memory(getattr(bound.frame, f"d{name}"), net.gradients()[f"{bound.path}.{name}"])
    assert not np.shares_memory(net.theta, net.grad)


def test_a_chain_is_bound_once_for_each_batch_size() -> None:
    net = network(*DEEP)
    assert net.chain(3) is net.chain(3)
    assert net.chain(3) is not net.chain(5)
    assert net.chain(3).x.ctypes.data == net.chain(5).x.ctypes.data
    with pytest.raises(ValueError, match="reshape"):
        net.chain(6)


# ---------------------------------------------------------------------------------------------------------- gradients
@ANY
def test_shared_memory_changes_no_bit(layers: list[Any], x: tuple[int, ...]) -> None:
    shared, retained = network(*layers, x=x), network(*layers, x=x, retain=True)
    fill(shared)
    fill(retained)
    for n in (5, 2, 5, 1):  # the last, short batch of an epoch, and on
        shared.grad.fill(np.nan)  # backward writes every entry
        retained.grad.fill(np.inf)
        run(shared, n)
        run(retained, n)
        assert np.array_equal(shared.chain(n).y, retained.chain(n).y)
        assert np.array_equal(shared.grad, retained.grad)
        assert np.isfinite(shared.grad).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@ANY
def test_a_small_batch_leaves_nothing_behind(layers: list[Any], x: tuple[int, ...], dtype: type) -> None:
    """A batch gives what it gives in a network that saw no other: also the one after the short last one."""
    used, fresh = network(*layers, x=x, dtype=dtype), network(*layers, x=x, dtype=dtype)
    fill(used)
    fill(fresh)
    for n in (2, 5, 1):
        run(used, n, seed=9)
    run(used, 4)
    run(fresh, 4)
    assert np.array_equal(used.chain(4).y, fresh.chain(4).y)
    assert np.array_equal(used.grad, fresh.grad)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("need_dx", [False, True])
@ANY
def test_gradients_agree_with_central_differences(layers: list[Any], x: tuple[int, ...], need_dx: bool, n: int) -> None:
    """Every parameter, and with `need_dx` every input, with memory shared as in training, after a larger batch."""
    net = network(*layers, x=x, need_dx=need_dx)
    fill(net, seed=4)
    run(net, 5, seed=8)
    chain, upstream = run(net, n)
    grad, dx = net.grad.copy(), chain.dx.copy() if need_dx and chain.dx is not None else None

    def value() -> tuple[float, float]:
        chain.forward(True)
        terms = chain.y * upstream
        return float(terms.sum()), float(np.abs(terms).sum())

    _agree(grad, central_differences(value, net.theta))
    if need_dx:
        assert dx is not None
        _agree(dx, central_differences(value, chain.x))


def _agree(gradient: Array, d: Any) -> None:
    allowed = 1e-6 * np.maximum(np.abs(gradient), np.abs(d.value)) + d.noise + 1e-9 * max(max_abs(gradient), 1e-3)
    assert (np.abs(d.left - d.right) <= 1e-3 * max_abs(gradient)).all(), "the point was chosen away from kinks"
    assert (np.abs(gradient - d.value) <= allowed).all()


def test_need_dx_changes_no_gradient_of_a_parameter() -> None:
    for layers, x in NETS.values():
        without, with_dx = network(*layers, x=x), network(*layers, x=x, need_dx=True)
        fill(without)
        fill(with_dx)
        run(without, 4)
        run(with_dx, 4)
        assert np.array_equal(without.grad, with_dx.grad)


# ------------------------------------------------------------------------------------------------ what nobody asks for
def test_layers_before_the_first_that_learns_take_no_part_in_backward(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, bool]] = []
    for cls in (Relu, Tanh, Dense):
        _record_backward(cls, received, monkeypatch)
    net = network("relu", residual("tanh"), dropout(), dense(4), "relu", dense(2))
    chain, _ = run(net, 3)
    assert received == [("dense", True), ("relu", True), ("dense", False)]
    assert [bound.frame.dx is None for bound in chain.layers] == [True, True, True, True, False, False]
    assert chain.dx is None


def _record_backward(cls: type, received: list[tuple[str, bool]], monkeypatch: pytest.MonkeyPatch) -> None:
    honest: Any = cls.backward  # type: ignore[attr-defined]

    def backward(self: Any, f: Any, train: bool) -> None:
        received.append((self.kind, f.dx is not None))
        honest(self, f, train)

    monkeypatch.setattr(cls, "backward", backward)


def test_need_dx_tells_everybody() -> None:
    net = network("relu", residual("tanh"), dropout(), dense(4), need_dx=True)
    chain, _ = run(net, 3)
    assert all(bound.frame.dx is not None for bound in chain.walk())
    assert chain.dx is chain.layers[0].frame.dx


def test_a_first_layer_that_cannot_skip_dx_gets_one() -> None:
    chain, _ = run(network(residual(dense(3)), dense(2)), 3)
    assert chain.layers[0].frame.dx is not None
    assert chain.layers[0].inside["branch"].layers[0].frame.dx is not None


def test_a_dense_layer_in_the_middle_never_skips() -> None:
    chain, _ = run(network(dense(4), dense(4), dense(2)), 3)
    assert [bound.frame.dx is None for bound in chain.layers] == [True, False, False]


def test_a_network_that_learns_nothing_runs() -> None:
    net = network("tanh", residual("relu"), "softmax")
    chain, _ = run(net, 3)
    assert len(net.theta) == 0
    assert np.allclose(chain.y.sum(1), 1)
    chain, _ = run(network("tanh", residual("relu"), "softmax", need_dx=True), 3)
    assert chain.dx is not None
    assert chain.dx.any()


# ------------------------------------------------------------------------------------------------------------- chance
CHANCE: list[Any] = [dense(6, activation="tanh"), dropout(0.4), residual(dense(6), dropout(0.5)), dense(2)]


def masks(net: Network, n: int, step: int) -> dict[str, Array]:
    """What is drawn for a step, by seed path."""
    chain = net.chain(n)
    net.draw(chain, step)
    return {k.planned.seed_path: k.frame.u.copy() for k in chain.walk() if k.plan.draws}


def starts(net: Network) -> dict[str, Array]:
    """The initial weights, by seed path."""
    return {e.seed_path: net.theta[e.where].copy() for e in net.network_plan.layout}


def test_every_tensor_and_every_mask_has_its_own_chance() -> None:
    net = network(*CHANCE, dense(6), dense(6), x=(6,))
    weights = [w for seed_path, w in starts(net).items() if seed_path.endswith("W") and w.size == 36]
    assert len(weights) == 3  # 6 x 6
    assert not np.isin(weights[0], np.concatenate(weights[1:])).any()
    drawn = masks(net, 5, 3)
    assert set(drawn) == {"dropout_1", "residual_1.dropout_1"}
    assert not np.isin(drawn["dropout_1"], drawn["residual_1.dropout_1"]).any()


def test_the_seed_changes_all_of_it() -> None:
    first, same, other = (network(*CHANCE, seed=s) for s in (7, 7, 8))
    for seed_path, w in starts(first).items():
        assert np.array_equal(w, starts(same)[seed_path])
        assert seed_path.endswith("b") or not np.isin(w, starts(other)[seed_path]).any()
    for seed_path, u in masks(first, 5, 0).items():
        assert np.array_equal(u, masks(same, 5, 0)[seed_path])
        assert not np.isin(u, masks(other, 5, 0)[seed_path]).any()


def test_names_reseed_nothing() -> None:
    named = [
        dense(6, activation="tanh", name="encoder"), dropout(0.4, name="noise"),
        residual(dense(6, name="a"), dropout(0.5, name="b"), name="block"), dense(2, name="head"),
    ]  # fmt: skip
    _same_chance(network(*CHANCE), network(*named), only=None)


@pytest.mark.parametrize(
    "longer",
    [
        [*CHANCE, dense(2), dropout(0.1), residual(dropout(0.1), dense(2))],
        [*CHANCE[:2], "relu", *CHANCE[2:], "softmax"],  # other kinds between them
        [*CHANCE[:2], residual(dense(6), dropout(0.5), dense(6), dropout(0.9), dense(6)), CHANCE[3]],
    ],
)
def test_layers_that_are_added_reseed_no_other(longer: list[Any]) -> None:
    _same_chance(network(*CHANCE), network(*longer), only=starts(network(*CHANCE)))


def _same_chance(first: Network, second: Network, only: dict[str, Array] | None) -> None:
    before, after = starts(first), starts(second)
    assert only is not None or set(before) == set(after)
    for seed_path, w in before.items():
        assert np.array_equal(w, after[seed_path]), seed_path
    drawn = masks(second, 5, 11)
    for seed_path, u in masks(first, 5, 11).items():
        assert np.array_equal(u, drawn[seed_path]), seed_path


def test_a_penalty_and_a_batch_size_reseed_nothing() -> None:
    penalised = Network(plan(*CHANCE, penalty=Regularizer.parse({"type": "l2", "strength": 0.1})), 9, np.float64, 1)
    for seed_path, w in starts(network(*CHANCE)).items():
        assert np.array_equal(starts(penalised)[seed_path], w)


def test_float32_and_float64_see_the_same_chance() -> None:
    wide, narrow = network(*CHANCE), network(*CHANCE, dtype=np.float32)
    for seed_path, w in starts(wide).items():
        assert starts(narrow)[seed_path].dtype == np.float32
        assert np.array_equal(starts(narrow)[seed_path], w.astype(np.float32))
    for step in (0, 1, 500):
        for seed_path, u in masks(wide, 5, step).items():
            assert np.array_equal(u, masks(narrow, 5, step)[seed_path])
        dropped = [[k.frame.m == 0 for k in net.chain(5).walk() if k.plan.draws] for net in (wide, narrow)]
        for a, b in zip(*dropped, strict=True):
            assert np.array_equal(a, b)
            assert a.any()
            assert not a.all()


def test_a_row_is_drawn_the_same_whatever_the_batch_size() -> None:
    net = network(*CHANCE, rows=50)
    for step in (0, 3):
        whole = masks(net, 50, step)
        for n in (1, 2, 7, 33):
            for seed_path, u in masks(net, n, step).items():
                assert np.array_equal(u, whole[seed_path][:n])


def test_a_step_is_drawn_the_same_whatever_was_drawn_before() -> None:
    net, other = network(*CHANCE), network(*CHANCE)
    for step in range(6):
        last = masks(net, 5, step)
    for seed_path, u in masks(other, 5, 5).items():
        assert np.array_equal(u, last[seed_path])
    for seed_path, u in masks(other, 5, 4).items():
        assert not np.isin(u, last[seed_path]).any(), "steps differ"


def test_initializing_again_starts_at_the_same_weights() -> None:
    net = network(*CHANCE)
    before = net.theta.copy()
    net.theta.fill(3)
    net.initialize()
    assert np.array_equal(net.theta, before)


def test_initializers_see_the_fans_of_their_layer() -> None:
    (w,) = (e for e in plan(dense(7), x=(11,)).layout if e.name == "W")
    assert (w.param.fan_in, w.param.fan_out) == (11, 7)
    net = network(dense(700, init="he_uniform"), x=(300,), rows=1)
    bound = (6 / 300) ** 0.5
    assert 0.99 * bound < max_abs(net.parameters()["dense_1.W"]) <= bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initializers_work_in_float64_whatever_the_run(dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what they compute in place is cast once, at the end."""
    seen = []
    monkeypatch.setattr(HeNormal, "fill", lambda self, out, *fans: seen.append(out.dtype))
    network(dense(3, init="he_normal"), dtype=dtype)
    assert seen == [np.float64]


# -------------------------------------------------------------------------------------------------------------- states
def test_states_are_one_for_all_batch_sizes_and_change_only_in_commit() -> None:
    net = Network(plan_network([*parsed([dense(4)]), Probe(), *parsed([dense(2)])], (3,)), 5, np.float64, 1)
    assert set(net.states) == {"probe_1.mean", "probe_1.count"}
    assert net.states["probe_1.count"].dtype == np.int64
    chain, _ = run(net, 5)
    assert net.states["probe_1.count"] == 0
    net.commit(chain)
    assert np.allclose(net.states["probe_1.mean"], chain.layers[1].frame.x.mean(0))
    short, _ = run(net, 2)
    net.commit(short)
    assert net.states["probe_1.count"] == 2
    assert np.shares_memory(short.layers[1].frame.mean, chain.layers[1].frame.mean)
