"""How each layer of a network fares on one batch: sizes of gradients, weights and outputs, units that are closed.

Whether a unit is dead or saturated is read off the slope of its activation on the rows, by running its own backward on
ones: no activation is known by name.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from bpcli.engine.network import BoundLayer
from bpcli.engine.network_plan import NetworkPlan, ParamLayout
from bpcli.engine.objective import Batch, Objective
from bpcli.engine.state import restore, snapshot
from bpcli.family import Activation, Array, Frame, Loss, Shape, ShapeError, empty
from bpcli.numeric.vectors import l2_norm
from bpcli.records.diagnose import LayerStats
from bpcli.records.training import WATCH_PREFIX

DEAD_SLOPE = 1e-3
"""Share of the steepest slope: a unit whose slope is under it on every row is dead (of relu the slope is then 0)."""

SATURATED_SLOPE = 0.05
"""Share of the steepest slope: an output whose slope is under it is saturated: |tanh| > 0.975, a sigmoid within 0.013
of its ends."""

MAX_INPUT = 60.0  # the ends of an activation are looked for between -60 and 60: there softsign's slope is 1/3721

FlatEnds = Literal["none", "one", "both"]
"""At how many of its ends an activation is flat: identity none, relu one, tanh both."""


class LayerStatsProbe:
    """A network of its own in float64, with every array kept, that is shown one batch with the weights of another.

    `x` (N, *shape) and `t` ((N,) class ids, or (N, K)) are encoded rows. It changes nothing of the network that the
    weights come from.
    """

    def __init__(self, network_plan: NetworkPlan, loss: Loss, x: Array, t: Array, seed: int = 0) -> None:
        self.objective = Objective(network_plan, loss, len(x), np.float64, seed, retain=True, need_dx=True)
        self.batch = self.objective.batch(len(x))
        t = t if t.ndim == 1 else t.astype(np.float64)
        self.batch.load(x.astype(np.float64), t, np.arange(len(x)))
        self.loss = math.nan

    def measure(
        self, theta: Array, states: Mapping[str, Array], update: Array | None = None, step: int = 0
    ) -> tuple[LayerStats, ...]:
        """Returns the rows of `layer_stats` at the flat weights `theta` and running statistics `states`; `loss` is then
        that of the batch, without penalty. `update` is what a step added to the flat weights; chance is drawn as for
        `step`."""
        network = self.objective.network
        self.objective.theta[...] = theta
        restore(network.states, states)
        with np.errstate(all="ignore"):  # weights that diverge are looked at too
            network.draw(self.batch.chain, step)
            self.loss = self.batch.forward(True)
            self.batch.backward(True)
            return layer_stats(self.objective, self.batch, update)


def layer_stats(objective: Objective, batch: Batch, update: Array | None = None) -> tuple[LayerStats, ...]:
    """Returns one row for each layer, containers before what is inside them, after a forward and a backward pass in
    training.

    The objective has to keep its arrays (`retain`, `need_dx`). `gradient` is that of the data term alone, so that a
    penalty hides no layer that the loss does not reach; `weights` and `update` are of what decays (matrices and
    kernels), or where nothing does (gains) of all that the layer learns.
    """
    entries: dict[str, list[ParamLayout]] = {}
    for e in objective.network.network_plan.layout:
        entries.setdefault(e.owner.path, []).append(e)
    return tuple(_row(bound, entries.get(bound.path, []), objective, update) for bound in batch.chain.walk())


def _row(bound: BoundLayer, entries: list[ParamLayout], objective: Objective, update: Array | None) -> LayerStats:
    f = bound.frame
    main = [e for e in entries if e.param.decays] or entries
    weights = _norm_of(objective.theta, main)
    moved = None if update is None else _norm_of(update, main)
    dead, saturated = dead_and_saturated(bound)
    return LayerStats(
        layer=bound.path,
        kind=bound.layer.kind,
        gradient=_norm_of(objective.grad, entries),
        weights=weights,
        update=moved / weights if moved is not None and weights else None,
        error=l2_norm(f.dy) / math.sqrt(f.dy.size),
        output_mean=float(f.y.mean()),
        output_deviation=float(f.y.std()),
        dead=dead,
        saturated=saturated,
    )


def _norm_of(flat: Array, entries: list[ParamLayout]) -> float | None:
    """Returns the norm of these tensors of a flat vector together; None where there are none."""
    return math.hypot(*(l2_norm(flat[e.where]) for e in entries)) if entries else None


def dead_and_saturated(bound: BoundLayer) -> tuple[float | None, float | None]:
    """Returns the share of an activation's units that no row opens, and the share of its outputs that are saturated;
    None where it has no flat end (two of them, to be saturated), or is not elementwise.

    A unit is an entry of the last axis: of images a channel, which is dead where it is closed at every pixel.
    """
    layer = bound.layer
    if not isinstance(layer, Activation) or not stands_alone(layer, bound.planned.x):
        return None, None
    steepest, flat_ends = slope_and_ends(layer)
    if flat_ends == "none":
        return None, None
    slope = np.abs(slopes(layer, bound.frame)) / steepest
    dead = float((slope.reshape(-1, slope.shape[-1]).max(0) <= DEAD_SLOPE).mean())
    return dead, float((slope <= SATURATED_SLOPE).mean()) if flat_ends == "both" else None


def stands_alone(layer: Activation, x: Shape) -> bool:
    """Whether an activation makes numbers of numbers and nothing else: one that a file states may learn, or give rows
    of another shape."""
    try:
        plan = layer.plan(x)
    except ShapeError:
        return False
    return plan.y == x and not plan.params


def run_alone(layer: Activation, x: Array, train: bool) -> Frame:
    """Returns the frame of an activation after its forward pass on a single row, 1 j."""
    plan = layer.plan(x.shape[1:])
    arrays: dict[str, Any] = {n: empty(s, 1, x.dtype) for n, s in {**plan.keep, **plan.scratch, **plan.draws}.items()}
    f = Frame(x=x, y=np.empty_like(x), dx=np.empty_like(x), dy=np.empty_like(x), **arrays)
    with np.errstate(all="ignore"):
        layer.forward(f, train)
    return f


def slopes(layer: Activation, f: Frame) -> Array:
    """Returns dy/dx of every output of an elementwise activation, after its forward pass: its backward on a dy of
    ones."""
    ones = Frame(**{**vars(f), "dy": np.ones_like(f.y), "dx": np.empty_like(f.y)})
    layer.backward(ones, True)
    found: Array = ones.dx
    return found


@lru_cache(maxsize=256)
def slope_and_ends(layer: Activation) -> tuple[float, FlatEnds]:
    """Returns the steepest slope of an activation, and at how many of its ends it is flat. An activation of whole rows
    (softmax) has no slopes of its own, and is said to have no flat end."""
    x = np.concatenate([np.linspace(-MAX_INPUT, -8, 53), np.linspace(-8, 8, 257), np.linspace(8, MAX_INPUT, 53)])[None]
    if not stands_alone(layer, x.shape[1:]):
        return 1.0, "none"
    f = run_alone(layer, x, True)
    f.dy[...] = np.arange(1.0, x.size + 1)
    with np.errstate(all="ignore"):
        slope = slopes(layer, f)
        layer.backward(f, True)
    steepest = float(np.abs(slope).max())
    elementwise = 0 < steepest < math.inf and np.allclose(f.dx, slope * f.dy, rtol=1e-9, atol=1e-12)
    flat = sum(abs(float(end)) <= DEAD_SLOPE * steepest for end in (slope[0, 0], slope[0, -1]))
    flat_ends: tuple[FlatEnds, ...] = ("none", "one", "both")
    return steepest, flat_ends[flat] if elementwise else "none"


# `training: {watch: true}`: measured once an epoch

FIGURES = ("gradient", "update", "dead", "saturated")


class LayerStatsWatch:
    """Measures one step of every epoch, the one on the last batch that has all its rows (a unit is easily closed on a
    batch of two rows).

    A probe of its own, in float64 and with memory of its own, is shown the rows of the step as they stand in its batch,
    with the weights and the chance that it began with, so that watching changes no bit of the training. It is made at
    the first look.
    """

    def __init__(self, objective: Objective, rows: int, size: int) -> None:
        """Takes `rows` training rows, in batches of `size`, at most as many as there are rows."""
        self.objective = objective
        self.place = rows // size - 1  # in the epoch, from 0, of the step that is measured
        self.keys = tuple(_keys(objective))
        self._before: Array
        self._states: dict[str, Array]
        self._probe: LayerStatsProbe | None = None

    def before_step(self) -> None:
        """Keeps the weights and the running statistics."""
        self._before = self.objective.theta.copy()
        self._states = snapshot(self.objective.network.states)

    def after_step(self, batch: Batch, step: int) -> dict[str, float]:
        """Returns the figures of the step on the rows in `batch`, the one after `step` completed ones: by key, the norm
        of the gradient of the data term (before clipping), the norm of the step over the norm of the weights (nan where
        all are 0), and the shares of dead units and of saturated outputs."""
        if self._probe is None:
            o = self.objective
            self._probe = LayerStatsProbe(o.network.network_plan, o.loss, batch.x, batch.t, o.network.seed)
        self._probe.batch.x[...], self._probe.batch.t[...] = batch.x, batch.t
        update = np.subtract(self.objective.theta, self._before, dtype=np.float64)
        found: dict[str, float | None] = {}
        for row in self._probe.measure(self._before, self._states, update, step):
            found |= {f"{WATCH_PREFIX}{row.layer}.{figure}": getattr(row, figure) for figure in FIGURES}
        return {key: math.nan if (value := found[key]) is None else value for key in self.keys}


def _keys(objective: Objective) -> list[str]:
    """Returns what can be measured: of layers that learn their gradient and update, of activations with flat ends the
    rest."""
    keys = []
    for node in objective.network.network_plan.walk():
        figures = ["gradient", "update"] if node.plan.params else []
        if isinstance(node.layer, Activation):
            figures += {"none": [], "one": ["dead"], "both": ["dead", "saturated"]}[slope_and_ends(node.layer)[1]]
        keys += [f"{WATCH_PREFIX}{node.path}.{figure}" for figure in figures]
    return keys
