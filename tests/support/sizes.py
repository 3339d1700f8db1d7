"""Networks and parts at sizes on both sides of every constant at which kernels take another way.

The sizes are those at which blocks, pieces, bands, cuts and chunks begin: just below, just above, with a last block
that is full and one that is not, several for each thread. `tests/laws/test_ways.py` counts the ways that these take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import textbook

import bpcli.parts  # noqa: F401  (declares them)
from bpcli.engine.network import Network
from bpcli.engine.network_plan import NetworkPlan, PlannedLayer, plan_network, working_bytes
from bpcli.family import Layer
from bpcli.family.plan import Array, Shape
from bpcli.numeric import products, threads
from bpcli.parts.layers.conv import correlation, passes, strips


class Run(NamedTuple):
    """One way to run a network: its type, how many threads work, whether they do so whatever the work is worth,
    whether it trains, and whether the gradient of its inputs is asked for."""

    dtype: str
    threads: int
    always: bool
    train: bool
    need_dx: bool


RUNS = (
    Run("float64", 1, False, True, True),
    Run("float64", 3, True, True, True),
    Run("float32", 2, False, True, True),
    Run("float32", 4, True, False, False),
)


class Net(NamedTuple):
    """Layers for rows of shape x, and how many rows. All that they do with whole numbers is exact."""

    layers: tuple[Mapping[str, Any], ...]
    x: Shape
    rows: int


def _conv(filters: int, kernel: Any, **more: Any) -> Mapping[str, Any]:
    return {"type": "conv2d", "filters": filters, "kernel": kernel, **more}


def _alone(layer: Mapping[str, Any], x: Shape, rows: int) -> Net:
    return Net((layer,), x, rows)


NETS: dict[str, Net] = {
    # windows (correlation.py): pieces of several images, bands of one image, a row that is too long for any
    "few rows, bias apart": _alone(_conv(64, 5, stride=2), (16, 16, 32), 8),
    "pieces of images": _alone(_conv(20, 5, stride=2, activation="relu"), (60, 59, 1), 131),
    "pieces of images, no bias": _alone(_conv(6, 3, stride=2, padding=1, bias=False), (30, 31, 6), 77),
    "bands": _alone(_conv(6, 5, stride=2), (126, 125, 4), 5),
    "bands of few images": _alone(_conv(6, 5, stride=2), (126, 125, 4), 2),
    "a row too long": _alone(_conv(2, (2, 9), stride=(2, 1)), (5, 258, 60), 4),
    "one band for a chunk": _alone(_conv(5, 3, stride=2, padding="same"), (37, 22, 7), 1),
    "zeros all around": _alone(_conv(3, (5, 1), padding=(4, 0), stride=(2, 1)), (2, 30, 13), 9),
    "groups": _alone(_conv(12, 3, groups=3, dilation=2, stride=2, padding=3), (40, 37, 15), 13),
    "cut rows and columns": _alone(_conv(256, 3, stride=2, padding=1), (14, 14, 128), 6),
    "cut terms": _alone(_conv(16, 3, stride=2, padding=1), (64, 64, 16), 9),
    "gaps": _alone(_conv(8, 2, stride=3), (50, 41, 12), 11),
    "a row more than can be cut": _alone(_conv(8, 1, stride=2), (50, 50, 127), 5),
    "bands of zeros": _alone(_conv(4, 2, padding=5, stride=2), (6, 9, 3), 2),
    "no column is seen": _alone(_conv(3, 2, padding=(0, 4), stride=(1, 20)), (5, 4, 2), 5),
    "windows far apart": _alone(_conv(2, 2, padding=1, stride=99), (100, 100, 1), 9),
    "nothing is seen": _alone(_conv(3, 2, padding=4, stride=20), (3, 4, 2), 5),
    # strips (strips.py)
    "filters larger than a block": _alone(_conv(160, 3, padding="same"), (12, 12, 192), 4),
    "strips": _alone(_conv(48, 3, padding="same"), (14, 14, 32), 17),
    "strips, small": _alone(_conv(7, 3, padding="same"), (13, 11, 5), 9),
    "strips of few channels": _alone(_conv(7, 3, padding="same"), (40, 30, 4), 33),
    "strips, bands": _alone(_conv(4, 3, padding="same"), (130, 131, 16), 5),
    "strips, bands of few images": _alone(_conv(4, 3, padding="same", bias=False), (130, 131, 16), 3),
    "strips that are cut": _alone(_conv(128, 3, padding="same"), (16, 16, 96), 5),
    "strips in groups": _alone(_conv(16, 3, groups=2, padding=2, dilation=2), (20, 19, 24), 10),
    "strips at once": _alone(_conv(9, (1, 5), padding="same"), (12, 40, 6), 30),
    "kernel of one": _alone(_conv(130, 1), (12, 12, 65), 37),
    "kernel of one, few": _alone(_conv(3, 1), (9, 7, 5), 6),
    "kernel of one, large": _alone(_conv(5, 1), (90, 91, 40), 5),
    # depthwise
    "depthwise": _alone(_conv(65, 3, groups=65, padding="same"), (30, 29, 65), 17),
    "depthwise with a stride": _alone(_conv(65, 3, groups=65, stride=2, bias=False), (41, 40, 65), 9),
    "depthwise, bands": _alone(_conv(24, 3, groups=24, padding=1), (70, 90, 24), 3),
    "depthwise, few channels": _alone(_conv(3, 5, groups=3), (60, 60, 3), 33),
    "depthwise, one weight": _alone(_conv(9, 1, groups=9, stride=2), (9, 8, 9), 5),
    "depthwise, small": _alone(_conv(6, 3, groups=6, padding="same"), (13, 12, 6), 9),
    # the others that are made of these
    "transposed": _alone({"type": "conv_transpose2d", "filters": 40, "kernel": 3, "stride": 2}, (15, 15, 24), 21),
    "transposed, bands": _alone(
        {"type": "conv_transpose2d", "filters": 6, "kernel": 4, "stride": 2, "padding": 1, "bias": False},
        (70, 71, 12), 3,
    ),
    "transposed, gaps": _alone({"type": "conv_transpose2d", "filters": 3, "kernel": 2, "stride": 3}, (20, 21, 5), 9),
    "transposed, stride of one": _alone({"type": "conv_transpose2d", "filters": 5, "kernel": 3}, (18, 17, 13), 9),
    "series": _alone({"type": "conv1d", "filters": 32, "kernel": 7}, (200, 16), 66),
    "series with a stride": _alone({"type": "conv1d", "filters": 24, "kernel": 5, "stride": 2, "groups": 2,
                                    "padding": "same"}, (301, 12), 70),
    # products of dense layers beside convolutions (products.py)
    "a network": Net(
        (_conv(16, 3, padding="same"), {"type": "relu"}, {"type": "max_pool2d"}, _conv(32, 3, padding="same"),
         {"type": "relu"}, {"type": "max_pool2d"}, {"type": "flatten"}, {"type": "dense", "units": 300},
         {"type": "relu"}, {"type": "dense", "units": 10}),
        (28, 28, 1), 40,
    ),
    "convolutions in a row": Net(
        (_conv(12, 3, padding="same"), {"type": "relu"}, _conv(9, 3, padding="same")), (30, 31, 8), 21,
    ),
    "few rows and what follows": Net(
        (_conv(12, 3, padding="same"), {"type": "relu"}, {"type": "max_pool2d"}), (60, 61, 16), 3,
    ),
    "a network of wide layers": Net(
        (_conv(40, 5, stride=2), {"type": "relu"}, {"type": "avg_pool2d", "size": 2}, {"type": "flatten"},
         {"type": "dense", "units": 512, "bias": False}, {"type": "relu"}, {"type": "dense", "units": 100}),
        (26, 26, 8), 48,
    ),
    "dense": _alone({"type": "dense", "units": 131}, (517,), 130),
    "residual": Net(
        (_conv(8, 3, padding="same"),
         {"type": "residual", "layers": [_conv(8, 3, padding="same", activation="relu"),
                                         {"type": "max_pool2d", "size": 3, "stride": 1, "padding": 1}]},
         {"type": "residual", "layers": [_conv(6, 3, padding="same", stride=2)],
          "projection": [_conv(6, 1, stride=2)]}),
        (20, 21, 3), 70,
    ),
    # blocks of rows (fusion.py), and what stands in them
    "blocks of rows": Net(
        ({"type": "relu"}, {"type": "max_pool2d", "size": 3, "stride": 2, "padding": 1}), (21, 20, 17), 90,
    ),
    "blocks of rows, for threads": Net(
        ({"type": "max_pool2d"}, {"type": "relu"}, {"type": "avg_pool2d", "size": [4, 2], "stride": [2, 1]},
         {"type": "relu"}),
        (40, 41, 8), 163,
    ),
    "rows larger than a block": Net(({"type": "relu"}, {"type": "avg_pool2d", "size": [2, 8]}), (130, 136, 16), 3),
    "a window of many pixels": _alone({"type": "max_pool2d", "size": [15, 18], "stride": 3}, (40, 45, 3), 7),
    "a window of fewer": _alone({"type": "max_pool2d", "size": [16, 16], "stride": 4, "padding": 5}, (40, 45, 3), 7),
    "windows over the edge": _alone(
        {"type": "avg_pool2d", "size": [16, 2], "padding": [8, 1], "stride": 1}, (1, 9, 5), 6,
    ),
    "pixels apart": _alone({"type": "max_pool2d", "size": 1, "stride": 2, "padding": "same"}, (8, 9, 5), 6),
    "beside a dense layer": Net(({"type": "relu"}, {"type": "dense", "units": 2}), (3000,), 300),
    "many places": Net(({"type": "global_max_pool"},), (17, 16, 33), 70),
    "fewer places": Net(({"type": "global_max_pool"},), (15, 17, 33), 70),
    "mean of places": Net(({"type": "global_avg_pool"},), (32, 16, 33), 40),
    "embedding": _alone({"type": "embedding", "tokens": 50, "units": 20, "init": "zeros", "name": "words"}, (11,), 331),
    "embedding, full blocks": _alone({"type": "embedding", "tokens": 7, "units": 64}, (8,), 128),
    "embedding, wide": _alone({"type": "embedding", "tokens": 3, "units": 40000}, (2,), 2),
}  # fmt: skip


def numbers(net: Net) -> tuple[Array, dict[str, Array], Array]:
    """Whole numbers, a few different ones: inputs, parameters by path, and the gradient of the outputs."""
    rng = np.random.default_rng(net.rows)
    plan = plan_network([Layer.parse(layer) for layer in net.layers], net.x)
    x = rng.integers(-3, 4, (net.rows, *net.x)).astype(float)
    if plan.tokens:
        x = rng.integers(0, plan.tokens, x.shape).astype(float)
    params = {e.path: rng.integers(-2, 3, e.shape).astype(float) for e in plan.layout}
    return x, params, rng.integers(-2, 3, (net.rows, *plan.y)).astype(float)


def by_textbook(net: Net) -> dict[str, Array]:
    """What the textbook makes of a network: outputs and all gradients."""
    x, params, dy = numbers(net)
    plan = plan_network([Layer.parse(layer) for layer in net.layers], net.x)
    y, back = _chain(plan, plan.layers, x, params)
    dx, gradients = back(dy)
    return {"y": y, "dx": dx, **gradients}


def is_exact(found: Mapping[str, Array]) -> bool:
    """Whether these are sums that float32 holds exactly, those of their parts too."""
    return max(np.abs(a).max() for a in found.values()) < 1 << 22


@cache
def expected(name: str) -> dict[str, Array]:
    """What the textbook makes of a network of this name."""
    found = by_textbook(NETS[name])
    assert is_exact(found)
    return found


def _chain(plan: NetworkPlan, layers: Sequence[PlannedLayer], x: Array, params: Mapping[str, Array]) -> Any:
    """Layers of the textbook, one after another: the outputs, and a function from their gradient to all others. A
    residual layer adds two such chains."""
    backs: list[Any] = []
    for planned in layers:
        if planned.inside:
            chains = [_chain(plan, inner, x, params) for inner in planned.inside.values()]
            chains += [(x, lambda dy: (dy, {}))] if len(chains) == 1 else []
            (one, back_of_one), (other, back_of_other) = chains
            x = one + other
            backs.append(partial(_added, back_of_one, back_of_other))
            continue
        own = {e.name: params[e.path] for e in plan.layout if e.owner is planned}
        x, back = textbook.LAYERS[planned.layer.kind](planned.layer, x, own)
        backs.append(partial(_named, planned, back))

    def whole(dy: Array) -> tuple[Array, dict[str, Array]]:
        found: dict[str, Array] = {}
        for back in reversed(backs):
            dy, more = back(dy)
            found |= more
        return dy, found

    return x, whole


def _added(one: textbook.Back, other: textbook.Back, dy: Array) -> tuple[Array, dict[str, Array]]:
    (dx, found), (more_dx, more) = one(dy), other(dy)
    return dx + more_dx, found | more


def _named(planned: PlannedLayer, back: textbook.Back, dy: Array) -> tuple[Array, dict[str, Array]]:
    dx, found = back(dy)
    return dx, {f"d{planned.path}.{name}": found[f"d{name}"] for name in planned.plan.params}


@contextmanager
def threads_at_work(count: int, always: bool) -> Iterator[None]:
    """Context manager: so many threads work, where it is worth it or `always`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "thread_count", lambda: count)
        if always:
            patch.setattr(threads, "MIN_PARALLEL_MACS", 0)
        yield


def dirty(net: Network) -> None:
    """Fills all memory that is not remembered with what reads as nan, or as true."""
    states = [(state, state.copy()) for state in net.states.values()]
    for block in net.memory._blocks.values():
        block.fill(255)
    for state, value in states:
        state[...] = value


def passed(
    network: Network, x: Array, params: Mapping[str, Array], dy: Array, train: bool, states: Mapping[str, Array] = {}
) -> dict[str, Array]:
    """Outputs, gradients and states after a step of a network on memory that others have used: by nobody, then by
    other rows."""
    chain = network.chain(len(x))
    dirty(network)
    for turn in (1, 0):
        for path, value in params.items():
            network.parameters()[path][...] = np.roll(value, turn)
        for path, value in states.items():
            network.states[path][...] = value
        network.draw(chain, 3)
        chain.x[...] = x[::-1] if turn else x
        network.grad.fill(np.nan)
        chain.forward(train)
        chain.dy[...] = -dy if turn else dy
        chain.backward(train)
    found = {"y": chain.y.copy(), **({} if chain.dx is None else {"dx": chain.dx.copy()})}
    found |= {f"d{path}": g.copy() for path, g in network.gradients().items()}
    if train:
        network.commit(chain)
        found |= {path: state.copy() for path, state in network.states.items()}
    return found


def kernels(name: str, run: Run) -> dict[str, Array]:
    """What the kernels make of a network: outputs and all gradients."""
    net = NETS[name]
    x, params, dy = numbers(net)
    with threads_at_work(run.threads, run.always):
        plan = plan_network([Layer.parse(layer) for layer in net.layers], net.x)
        network = Network(plan, net.rows, run.dtype, 0, need_dx=run.need_dx)
        if not run.need_dx:
            taken = network.memory.nbytes + (0 if network._products is None else network._products._part.nbytes)
            assert taken == working_bytes(plan, net.rows, network.dtype.itemsize)
        return passed(network, x, params, dy, run.train)


LOWERED = (
    {"MAX_MATRIX_ENTRIES": 4000, "MIN_RUN_ENTRIES": 0, "MAX_MACS": 20_000, "MIN_PART": 4},
    {"MAX_MATRIX_ENTRIES": 300, "MIN_RUN_ENTRIES": 1000, "MIN_POSITIONS": 1, "MAX_MACS": 2000, "MIN_PART": 1},
)
"""Constants at which convolutions take another way, lower or higher than they are."""


def forget() -> None:
    """Empties the caches of sizes that were worked out from these constants."""
    for function in (passes.passes, passes.correlation, products.equal_parts, products.cuts):
        function.cache_clear()


def law_of_net(name: str, constants: Mapping[str, int] = {}) -> None:
    """However a network is run, it comes to what the textbook says, to the last bit; with other constants too."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (correlation, strips, products):
            for constant in constants.keys() & vars(module).keys():
                patch.setattr(module, constant, constants[constant])
        if constants:
            forget()
        try:
            _compare_with_textbook(name)
        finally:
            if constants:
                forget()


def _compare_with_textbook(name: str) -> None:
    right = expected(name)
    for run in RUNS:
        found = kernels(name, run)
        for tensor, value in right.items():
            if tensor != "dx" or run.need_dx:
                assert np.array_equal(found[tensor], value), f"{tensor}, {run}: off by {_off(found[tensor], value)}"


def _off(found: Array, value: Array) -> str:
    wrong = found != value
    first = np.argwhere(wrong)[0].tolist()
    return f"{np.abs(found - value).max():g} in {wrong.sum()} of {wrong.size} entries, first at {first}"


def law_of_another_caller() -> None:
    """While the threads are lent to somebody, others do all of their work alone, and it comes to the same."""
    with threads.one_thread():
        _compare_with_textbook("strips")


def law_of_other_views() -> None:
    """A layer whose inputs and outputs stand elsewhere than before works on those, not on what it was shown first."""
    for name in ("strips, small", "depthwise, small", "transposed, gaps", "bands of zeros"):
        net, right = NETS[name], expected(name)
        x, params, dy = numbers(net)
        plan = plan_network([Layer.parse(layer) for layer in net.layers], net.x)
        network = Network(plan, net.rows, "float64", 0, need_dx=True)
        passed(network, x, {path: -value for path, value in params.items()}, dy, True)
        (bound,) = network.chain(net.rows).layers
        f = bound.frame
        for path, value in params.items():
            network.parameters()[path][...] = value
        for view in ("x", "y", "dx", "dy"):
            before = getattr(f, view)
            setattr(f, view, before.copy() if view in ("x", "dy") else np.full_like(before, np.nan))
            before.fill(77)
            bound.layer.forward(f, True)
            bound.layer.backward(f, True)
            found = {"y": f.y, "dx": f.dx, **{f"d{path}": g for path, g in network.gradients().items()}}
            for tensor, value in right.items():
                assert np.array_equal(found[tensor], value), f"{tensor} of {name} where {view} stands elsewhere"


def law_of_products(inputs: int, units: int, rows: int) -> None:
    """Products of a dense layer that are cut are those of NumPy; what is no matrix is left to NumPy."""
    rng = np.random.default_rng(units)
    x, W, dy = (rng.integers(-3, 4, shape).astype(float) for shape in ((rows, inputs), (inputs, units), (rows, units)))
    for dtype in ("float64", "float32"):
        product = products.CutProducts(dtype).matmul
        a, b, c = (array.astype(dtype) for array in (x, W, dy))
        for one, other, right in ((a, b, x @ W), (a.T, c, x.T @ dy), (c, b.T, dy @ W.T),
                                  (a[None], b, (x @ W)[None]), (a, b[:, 0], x @ W[:, 0])):  # fmt: skip
            out = np.full(right.shape, np.nan, dtype)
            product(one, other, out)
            assert np.array_equal(out, right)


def laws() -> Iterator[tuple[str, Callable[[], None]]]:
    """Every law of this module, by what it is about."""
    for name in NETS:
        yield name, partial(law_of_net, name)
    for name in ("bands of zeros", "no column is seen", "strips, small", "kernel of one, few", "depthwise, one weight",
                 "depthwise, small", "transposed, gaps"):  # fmt: skip
        for i, constants in enumerate(LOWERED):
            yield f"{name}, other constants {i}", partial(law_of_net, name, constants)
    yield "another caller", law_of_another_caller
    yield "other views", law_of_other_views
    for sizes in ((480, 801, 40), (480, 64, 40), (517, 300, 27), (1024, 512, 48), (17, 4000, 60), (9000, 20, 1),
                  (20, 8193, 3), (100, 3, 40)):  # fmt: skip
        yield f"products of {sizes}", partial(law_of_products, *sizes)
