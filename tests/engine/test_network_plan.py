"""The plan of a network: names and seed paths, the layout of the flat vector, where errors point, and its memory."""

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from nets import dense, parsed, plan, residual
from probe_layer import Probe
from registry import named_alone

from bpcli.engine.network import Network
from bpcli.engine.network_plan import (
    LayerError,
    NetworkPlan,
    default_initializer,
    largest_layer,
    network_bytes,
    plan_network,
    slot_bytes,
    working_bytes,
)
from bpcli.engine.objective import Objective, loss_slots
from bpcli.family import Activation, Loss, Regularizer
from bpcli.family.plan import N, Param, Slot
from bpcli.numeric import free_memory
from bpcli.numeric.free_memory import NotEnoughMemoryError

L2 = {strength: Regularizer.parse({"type": "l2", "strength": strength}) for strength in (0.0, 0.1, 0.2)}

NESTED = (
    dense(4, name="first", activation="tanh"),
    dense(4),
    residual(dense(4), "relu", residual(dense(4), name="inner"), dense(4)),
    "relu",
    dense(2, activation="softmax"),
)


def test_paths_count_each_kind_anew_inside_a_container() -> None:
    paths = [node.path for node in plan(*NESTED).walk()]
    assert paths == [
        "first", "first.activation", "dense_2", "residual_1", "residual_1.dense_1", "residual_1.relu_1",
        "residual_1.inner", "residual_1.inner.dense_1", "residual_1.dense_2", "relu_1", "dense_3", "dense_3.activation",
    ]  # fmt: skip


def test_seed_paths_are_paths_without_names() -> None:
    seed_paths = [node.seed_path for node in plan(*NESTED).walk()]
    assert seed_paths == [
        "dense_1", "dense_1.activation", "dense_2", "residual_1", "residual_1.dense_1", "residual_1.relu_1",
        "residual_1.residual_1", "residual_1.residual_1.dense_1", "residual_1.dense_2", "relu_1", "dense_3",
        "dense_3.activation",
    ]  # fmt: skip
    assert len(set(seed_paths)) == len(seed_paths)


def test_locs_are_keys_of_the_file() -> None:
    """Every loc can be followed through the parts as they stand in the file."""
    layers = parsed(NESTED)
    for node in plan_network(layers, (3,)).walk():
        assert node.loc[0] == "architecture"
        at: object = layers
        for step in node.loc[1:]:
            at = at[step] if isinstance(step, int) else getattr(at, step)  # type: ignore[index]
        assert node.layer is at or node.layer is at.activation  # type: ignore[attr-defined]


def test_shapes_run_through() -> None:
    network_plan = plan("relu", "flatten", dense(5), "gelu", residual(dense(7), dense(5)), dense(2), x=(2, 3))
    assert (network_plan.x, network_plan.y) == ((2, 3), (2,))
    chain = list(network_plan.layers)
    assert all(before.plan.y == after.x for before, after in itertools.pairwise(chain))
    inner = chain[4].inside["branch"]
    assert [n.x for n in inner] == [(5,), (7,)]
    assert inner[-1].plan.y == (5,)


# ------------------------------------------------------------------------------------------------------ the flat vector
def _tiles(network_plan: NetworkPlan) -> None:
    """Entries stand one after another, without a gap, in the order of the layout."""
    at = 0
    for e in network_plan.layout:
        assert (e.start, e.where) == (at, slice(at, at + e.size))
        at += e.size
    assert at == network_plan.size == sum(int(np.prod(e.shape)) for e in network_plan.layout)


def test_layout_without_penalty_is_weights_then_biases_in_the_order_of_the_network() -> None:
    network_plan = plan(dense(4), residual(dense(4), "tanh", residual(dense(4))), dense(2, bias=False))
    _tiles(network_plan)
    assert [e.path for e in network_plan.layout] == [
        "dense_1.W", "residual_1.dense_1.W", "residual_1.residual_1.dense_1.W", "dense_2.W",
        "dense_1.b", "residual_1.dense_1.b", "residual_1.residual_1.dense_1.b",
    ]  # fmt: skip
    assert network_plan.penalties == ()


@pytest.mark.parametrize("penalty", [None, L2[0.1]])
def test_what_decays_stands_first_whatever_is_under_a_penalty(penalty: Regularizer | None) -> None:
    network_plan = plan(dense(4), dense(4, regularization=L2[0.2]), residual(dense(4)), dense(2), penalty=penalty)
    assert network_plan.decaying == 3 * 4 + 4 * 4 + 4 * 4 + 4 * 2
    assert all(e.param.decays == (e.start < network_plan.decaying) for e in network_plan.layout)


def test_layout_puts_each_penalty_on_one_slice_and_biases_last() -> None:
    network_plan = plan(
        dense(4),
        dense(4, regularization=L2[0.2]),
        residual(dense(4), dense(4, regularization=L2[0.2])),
        dense(4, regularization=L2[0.0]),
        dense(2, regularization={"type": "l2", "strength": 0.1}),
        penalty=L2[0.1],
    )
    _tiles(network_plan)
    under = {e.path: e.penalty for e in network_plan.layout}
    assert {p: under[p] for p in under if p.endswith("W")} == {
        "dense_1.W": L2[0.1], "dense_2.W": L2[0.2], "residual_1.dense_1.W": L2[0.1], "residual_1.dense_2.W": L2[0.2],
        "dense_3.W": L2[0.0], "dense_4.W": L2[0.1],
    }  # fmt: skip
    assert all(under[p] is None for p in under if p.endswith("b"))
    assert len(network_plan.penalties) == 3, "equal penalties share one slice"
    covered: list[int] = []
    for penalty, where in network_plan.penalties:
        inside = [e for e in network_plan.layout if where.start <= e.start < where.stop]
        assert all(e.penalty == penalty and e.where.stop <= where.stop for e in inside)
        assert sum(e.size for e in inside) == where.stop - where.start
        covered += range(where.start, where.stop)
    weights = sum(e.size for e in network_plan.layout if e.penalty is not None)
    assert sorted(covered) == list(range(weights)), "what is under a penalty comes first, all of it, once"
    assert all(e.penalty is None for e in network_plan.layout if e.start >= weights)


def test_a_layer_can_be_penalised_alone() -> None:
    network_plan = plan(dense(4), dense(2, regularization=L2[0.2]))
    assert [e.path for e in network_plan.layout] == ["dense_2.W", "dense_1.W", "dense_1.b", "dense_2.b"]
    assert network_plan.penalties == ((L2[0.2], slice(0, 8)),)


def test_entry_is_found_by_path() -> None:
    network_plan = plan(*NESTED)
    e = network_plan.entry("residual_1.inner.dense_1.W")
    assert (e.name, e.owner.path, e.shape, e.seed_path) == (
        "W", "residual_1.inner.dense_1", (4, 4), "residual_1.residual_1.dense_1.W",
    )  # fmt: skip
    with pytest.raises(KeyError, match="dense_9"):
        network_plan.entry("dense_9.W")


# ------------------------------------------------------------------------------------------------- how weights start
@pytest.mark.parametrize("kind", named_alone(Activation))
def test_default_initializer_follows_the_activation(kind: str) -> None:
    """As a layer of its own and as `activation:`, at the top and in a branch."""
    wanted = Activation.registry[kind].default_init
    for layers in ([dense(3), kind], [dense(3, activation=kind)], [residual(dense(3), kind)]):
        inits = {e.path: e.init.kind for e in plan(*layers).layout}
        assert {k for p, k in inits.items() if p.endswith("W")} == {wanted}


def test_default_initializer_of_the_rest() -> None:
    assert default_initializer(None).kind == "glorot_uniform"
    network_plan = plan(dense(3), dense(3, init="he_uniform"), "relu", residual(dense(3)), "relu", dense(3))
    kinds = [e.init.kind for e in network_plan.layout if e.name == "W"]
    assert kinds == ["glorot_uniform", "he_uniform", "glorot_uniform", "glorot_uniform"]
    for e in network_plan.layout:
        if e.name == "b":
            out = np.full(e.shape, np.nan)
            e.init.fill(out, 1, 1, np.random.default_rng(0))
            assert not out.any()


# --------------------------------------------------------------------------------------------------- where errors point
@pytest.mark.parametrize(
    ("layers", "x", "text", "loc"),
    [
        ([dense(3), dense(2)], (2, 2), "dense_1: a dense layer takes rows of numbers", ("architecture", 0)),
        (["relu", "flatten", dense(2, weights=[[1.0, 2.0]], name="out")], (2, 2), "out: the weights are given as 1 x 2",
         ("architecture", 2)),
        ([dense(3), residual(dense(4))], (2,), "residual_1: the branch turns rows of shape (3,) into (4,)",
         ("architecture", 1)),
        ([dense(3, name="a"), "relu", dense(3, name="a")], (2,), "two layers are called a", ("architecture", 2)),
        ([dense(3, name="dense_2"), dense(3)], (2,), "two layers are called dense_2", ("architecture", 1)),
        ([dense(3), residual(dense(3, name="a"), dense(3, name="a"))], (2,), "two layers are called a",
         ("architecture", 1, "layers", 1)),
        ([residual("tanh", residual(dense(2, name="a"), dense(2, name="a")))], (2,), "two layers are called a",
         ("architecture", 0, "layers", 1, "layers", 1)),
    ],
)  # fmt: skip
def test_errors_name_the_layer_and_its_place(
    layers: list[object], x: tuple[int, ...], text: str, loc: tuple[str | int, ...]
) -> None:
    with pytest.raises(LayerError) as caught:
        plan(*layers, x=x)
    assert str(caught.value).startswith(text)
    assert caught.value.loc == loc
    assert caught.value.help


def test_the_same_name_may_stand_in_different_chains() -> None:
    paths = [
        n.path for n in plan(dense(3, name="a"), residual(dense(3, name="a"), residual(dense(3, name="a")))).walk()
    ]
    assert len(set(paths)) == len(paths) == 5


def test_a_plan_that_breaks_a_rule_is_refused_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a part of one's own that was never loaded, which would have been checked."""
    honest = Probe.plan
    broken: list[tuple[dict[str, Any], str]] = [
        ({"inside": {"branch": (Probe(), "relu")}}, "probe_1.branch: a chain is made of layers"),
        ({"params": {"gain": Param((3,), "zeros")}}, "probe_1.gain: 'zeros' is not an initializer"),  # type: ignore[arg-type]
    ]
    for changes, text in broken:
        monkeypatch.setattr(Probe, "plan", lambda self, x, changes=changes: replace(honest(self, x), **changes))
        with pytest.raises(TypeError, match=re.escape(text)):
            plan_network([Probe()], (3,))


# ------------------------------------------------------------------------------------------------------------ memory
WIDE = [
    ([dense(4)], (1000,)),
    ([dense(40), "gelu", residual(dense(40), "softplus", residual("tanh", dense(40))), dense(3)], (5,)),
    ([dense(40, activation="relu"), {"type": "dropout", "rate": 0.5}, dense(10)], (784,)),
    (
        ["flatten", dense(3, activation="softmax"), residual(residual(dense(50), dense(3)), dense(9), dense(3))],
        (4, 5, 2),
    ),
]


@pytest.mark.parametrize(("layers", "x"), WIDE)
@pytest.mark.parametrize(("dtype", "width"), [(np.float32, 4), (np.float64, 8)])
def test_working_bytes_are_those_the_network_takes(
    layers: list[object], x: tuple[int, ...], dtype: type, width: int
) -> None:
    network_plan = plan(*layers, x=x)
    for batch in (1, 64):
        assert working_bytes(network_plan, batch, width) == Network(network_plan, batch, dtype, 0).memory.nbytes


@pytest.mark.parametrize(("layers", "x"), WIDE)
def test_network_bytes_are_those_of_a_network_that_keeps_every_array(layers: list[object], x: tuple[int, ...]) -> None:
    network_plan = plan(*layers, x=x)
    network = Network(network_plan, 9, np.float64, 0, retain=True, need_dx=True)
    drawn = 8 * max(e.size for e in network_plan.layout)
    taken = network.memory.nbytes + network.theta.nbytes + network.grad.nbytes + drawn
    assert network_bytes(network_plan, 9, 8, retain=True, need_dx=True) == taken


def test_a_network_larger_than_the_memory_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    network_plan = plan({"type": "zero_pad", "padding": 1000}, "global_max_pool", dense(2), x=(2, 2, 1))
    monkeypatch.setattr(free_memory, "available_bytes", lambda: 10**9)
    with pytest.raises(NotEnoughMemoryError, match=r"for this network with 256 rows at a time, and 1\.0 GB are free"):
        Network(network_plan, 256, np.float32, 0)
    assert largest_layer(network_plan, 256, 4).path == "zero_pad_1"
    Network(network_plan, 2, np.float32, 0)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"type": "zero_pad", "padding": 10**9}, "zero_pad_1.y would have 2000000002 x 2000000002 x 1 numbers"),
        ({"type": "conv2d", "filters": 10**9, "kernel": 9999, "padding": "same"}, "conv2d_1.W would have 9999 x 9999"),
        ({"type": "upsample", "factor": 10**200}, "upsample_1.y would have 2000"),
        ({"type": "max_pool2d", "size": 2**26, "padding": 2**26 - 1, "stride": 1}, "max_pool2d_1.y would have"),
    ],
)
def test_arrays_that_no_memory_holds_are_named(layer: dict[str, object], said: str) -> None:
    with pytest.raises(LayerError, match="more than any memory holds") as caught:
        plan(layer, "flatten", dense(1), x=(2, 2, 1))
    assert str(caught.value).startswith(said)


def test_working_bytes_count_every_kind_of_slot() -> None:
    layers = [*parsed([dense(7)]), Probe(), *parsed(["gelu"]), Probe()]
    network_plan = plan_network(layers, (3,))
    assert working_bytes(network_plan, 5, 8) == Network(network_plan, 5, np.float64, 0).memory.nbytes


def test_working_bytes_count_what_products_are_added_up_in_beside_threads() -> None:
    """One layer that is worth threads of ours is enough."""
    network_plan = plan({"type": "conv2d", "filters": 8, "kernel": 3}, "flatten", dense(3), x=(20, 20, 4))
    for batch, cut in ((400, True), (4, False)):
        network = Network(network_plan, batch, np.float32, 0)
        beside = 0 if network._products is None else network._products._part.nbytes
        assert (beside > 0) == cut
        assert working_bytes(network_plan, batch, 4) == network.memory.nbytes + beside


@pytest.mark.parametrize("kind", named_alone(Loss))
def test_loss_slots_are_all_that_a_loss_takes(kind: str) -> None:
    network_plan, loss = plan(dense(4)), Loss.parse(kind)
    taken = Objective(network_plan, loss, 9, np.float32, 0).network.memory.nbytes
    slots = loss_slots(loss, network_plan.y)
    assert working_bytes(network_plan, 9, 4) + sum(slot_bytes(s, 9, 4) for s in slots.values()) == taken


@pytest.mark.parametrize(
    ("slot", "expected"),
    [(Slot((N, 3)), 240), (Slot((4, N), "float32"), 160), (Slot((N, 2), "bool"), 20), (Slot((N,), "int"), 80),
     (Slot((5,)), 40), (Slot(()), 8), (Slot((), "int"), 8)],
)  # fmt: skip
def test_slot_bytes(slot: Slot, expected: int) -> None:
    assert slot_bytes(slot, 10, 8) == expected
