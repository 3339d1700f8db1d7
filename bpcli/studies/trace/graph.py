"""How the numbers of a training step flow from one equation to the next, so that the step can be worked out anew from
other numbers than its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bpcli.engine.network import Chain
from bpcli.family.plan import Array
from bpcli.notation.evaluate import Grid
from bpcli.notation.syntax import reads
from bpcli.records.trace import Stage
from bpcli.studies.trace.open import TraceTarget
from bpcli.studies.trace.step_blocks import StepBlock, TakenStep

NodeKey = tuple[str, str, str]
"""What computes a number: the part, the layer or tensor it works on, and the left side."""

NodeValues = dict[NodeKey, Array]
START, LOSS_AFTER = "given", ("after", "", "loss_after")


@dataclass(frozen=True)
class NodeInput:
    """An array that is put together from the arrays at `keys`."""

    keys: tuple[NodeKey, ...]
    make: Callable[[Mapping[NodeKey, Array]], Any]


def _array(key: NodeKey) -> NodeInput:
    return NodeInput((key,), lambda values: values[key])


def _slice(key: NodeKey, start: int, shape: tuple[int, ...]) -> NodeInput:
    stop = start + int(np.prod(shape))
    return NodeInput((key,), lambda values: values[key][start:stop].reshape(shape))


def _concatenation(parts: Sequence[NodeInput]) -> NodeInput:
    def make(values: Mapping[NodeKey, Array]) -> Array:
        return np.concatenate([np.ravel(p.make(values)) for p in parts])

    return NodeInput(tuple(k for p in parts for k in p.keys), make)


def _sum(keys: Sequence[NodeKey]) -> NodeInput:
    return NodeInput(tuple(keys), lambda values: sum(values[k] for k in keys))


@dataclass(eq=False)
class GraphNode:
    """One left side. `base` is what its part reads and computes; of it, `inputs` come from elsewhere."""

    key: NodeKey
    stage: Stage
    block: StepBlock
    grid: Grid
    base: Mapping[str, Any]
    inputs: dict[str, NodeInput]
    reads: frozenset[NodeKey] = field(default=frozenset())


class StepGraph:
    """The nodes of a step in their order, and the arrays it is made of (`truth`), start values included."""

    def __init__(self, target: TraceTarget, taken: TakenStep) -> None:
        self.target, self.taken = target, taken
        self.chain = target.objective.network.chain(len(target.x))
        self.bound_layers = {bound.path: bound for bound in self.chain.walk()}
        self.layout = target.network_plan.layout
        self.truth: NodeValues = {}
        self.nodes: dict[NodeKey, GraphNode] = {}
        self._input_of: dict[tuple[str, str], NodeInput] = {}  # what a layer reads, by (layer, name)
        self._connect(self.chain, (START, "", "x"), ("loss", "", "dx"))
        self._start()
        bases: dict[tuple[str, str], Mapping[str, Any]] = {}
        for block, grid, stage in taken.blocks:
            owner = (block.part, block.tensor or block.layer)
            if owner not in bases:
                bases[owner] = block.program.complete(block.env)
            key = (*owner, grid.name)
            self.nodes[key] = GraphNode(key, stage, block, grid, bases[owner], {})
            self.truth[key] = np.asarray(bases[owner][grid.name])
        for node in self.nodes.values():
            read = self._inputs(node.block).items()
            node.inputs = {name: source for name, source in read if all(k in self.truth for k in source.keys)}
            node.reads = self._reads(node)
        self._after = _concatenation([self.after_step(e.path) for e in self.layout])
        self.truth[LOSS_AFTER] = np.asarray(taken.after)
        self.order = {key: i for i, key in enumerate(self.truth)}

    # ------------------------------------------------------------------------------------------------------ evaluation
    def env(self, node: GraphNode, values: Mapping[NodeKey, Array]) -> dict[str, Any]:
        """Returns all that the part of a node reads and computes, out of `values`."""
        lefts = {name: values[k] for name in node.block.program.names if (k := (*node.key[:2], name)) in values}
        return {**node.base, **{name: source.make(values) for name, source in node.inputs.items()}, **lefts}

    def value(self, key: NodeKey, values: Mapping[NodeKey, Array]) -> Array:
        """Returns the array of a node, worked out from `values`."""
        if key == LOSS_AFTER:
            with np.errstate(all="ignore"):
                return self._loss_after(self._after.make(values))
        node = self.nodes[key]
        with np.errstate(all="ignore"):
            return node.grid.value(self.env(node, values))

    def reads(self, key: NodeKey) -> frozenset[NodeKey]:
        """Returns the nodes and start values that a node is worked out from."""
        return frozenset(self._after.keys) if key == LOSS_AFTER else self.nodes[key].reads

    def _loss_after(self, theta: Array) -> Array:
        """Returns the loss of the same rows with other weights; the engine is left as it was."""
        objective = self.target.objective
        kept = objective.theta.copy()
        objective.theta[...] = theta
        loss = objective.batch(len(self.target.x)).forward(True) + objective.penalty()
        objective.theta[...] = kept
        return np.asarray(loss)

    def _reads(self, node: GraphNode) -> frozenset[NodeKey]:
        named = reads(node.grid.equation)
        found = {k for name, source in node.inputs.items() if name in named for k in source.keys}
        return frozenset(found | {k for name in named if (k := (*node.key[:2], name)) in self.nodes})

    # ------------------------------------------------------------------------------------------------------ connections
    def _start(self) -> None:
        """Stores what the step starts from: rows, targets, weights, random draws and running statistics."""
        for e in self.layout:
            self.truth[START, "", e.path] = self.taken.theta[e.where].reshape(e.shape)
        for block, _, _ in self.taken.blocks:
            if block.part == "loss":
                self.truth[START, "", "t"] = np.asarray(block.env["t"], np.float64)
            if block.part == "layer":
                if block.layer == self.chain.layers[0].path:
                    self.truth[START, "", "x"] = np.asarray(block.env["x"], np.float64)
                plan = self.bound_layers[block.layer].plan
                for name in (*plan.draws, *plan.state):
                    self.truth[START, "", f"{block.layer}.{name}"] = np.asarray(block.env[name], np.float64)

    def _connect(self, chain: Chain, x: NodeKey, dy: NodeKey) -> None:
        """Connects layers: each reads what the one before it wrote, and its error from the one after it."""
        last = len(chain.layers) - 1
        for i, bound in enumerate(chain.layers):
            before = x if i == 0 else ("layer", chain.layers[i - 1].path, "y")
            error = dy if i == last else ("layer", chain.layers[i + 1].path, "dx")
            self._input_of[bound.path, "x"], self._input_of[bound.path, "dy"] = _array(before), _array(error)
            plan = bound.plan
            for param in (*plan.params, *plan.draws, *plan.state):
                self._input_of[bound.path, param] = _array((START, "", f"{bound.path}.{param}"))
            for name, inner in bound.inside.items():
                self._connect(inner, before, ("layer", bound.path, f"{name}_dy"))
                self._input_of[bound.path, f"{name}_y"] = _array(("layer", inner.layers[-1].path, "y"))
                self._input_of[bound.path, f"{name}_dx"] = _array(("layer", inner.layers[0].path, "dx"))

    def input_key(self, layer: str, name: str) -> NodeKey | None:
        """Returns the key of the array that a layer reads as `name`."""
        source = self._input_of.get((layer, name))
        return source.keys[0] if source else None

    def _inputs(self, block: StepBlock) -> Mapping[str, NodeInput]:
        """Returns what a part reads of another's arrays, by the names in its equations."""

        def flat(station: Callable[[str], NodeInput]) -> NodeInput:
            return _concatenation([station(path) for path, _ in block.tensors])

        match block.part:
            case "layer":
                return {
                    name: self._input_of[key_of_input]
                    for name in block.env
                    if (key_of_input := (block.layer, name)) in self._input_of
                }
            case "loss":
                return {"x": _array(("layer", self.chain.layers[-1].path, "y")), "t": _array((START, "", "t"))}
            case "penalty":
                return {"w": flat(self.old)}
            case "gradient":
                penalty = _sum([k for k in self.nodes if k[0] == k[2] == "penalty"])
                own = {"L": _array(("loss", "", "L")), "penalty": penalty}
                return own | {"data": flat(self.data), "own": flat(self._own)}
            case "clipping" if block.tensor:
                return {"g": self.gradient(block.tensor), "w": self.old(block.tensor)}
            case "clipping":
                return {"g": flat(self.gradient)}
            case "optimizer":
                return {"w": flat(self.old), "g": flat(self._clipped), "lr": _array(("schedule", "", "lr"))}
            case "constraint":
                return {"w": self._updated(block.tensor)}
            case "change":
                return {"g": flat(self.gradient), "w": flat(self.old), "w_new": flat(self.after_step)}
        return {}

    # A weight tensor at the stations of a step
    def old(self, path: str) -> NodeInput:
        """Returns a tensor of weights before the step."""
        return _array((START, "", path))

    def data(self, path: str) -> NodeInput:
        """Returns the gradient of the data term by a tensor of weights."""
        layer, _, param = path.rpartition(".")
        return _array(("layer", layer, f"d{param}"))

    def gradient(self, path: str) -> NodeInput:
        """Returns the gradient by a tensor of weights, penalties included."""
        return self._whole(("gradient", "", "g"), path) or self.data(path)

    def after_step(self, path: str) -> NodeInput:
        """Returns a tensor of weights after the step."""
        key = ("constraint", path, "w_new")
        return _array(key) if key in self.nodes else self._updated(path)

    def _clipped(self, path: str) -> NodeInput:
        own = ("clipping", path, "g_new")
        if own in self.nodes:
            return _array(own)
        return self._whole(("clipping", "", "g_new"), path) or self.gradient(path)

    def _updated(self, path: str) -> NodeInput:
        return self._whole(("optimizer", "", "w_new"), path) or self.old(path)

    def _own(self, path: str) -> NodeInput:
        """Returns what penalties add to the gradient of a tensor of weights."""
        for key, node in self.nodes.items():
            if key[0] == "penalty" and key[2] == "dw" and path in dict(node.block.tensors):
                found = self._whole(key, path)
                assert found is not None
                return found
        size = self.truth[START, "", path].size
        return NodeInput((), lambda values: np.zeros(size))

    def _whole(self, key: NodeKey, path: str) -> NodeInput | None:
        """Returns the slice of a flat vector that belongs to a tensor."""
        if key not in self.nodes:
            return None
        start = 0
        for tensor, shape in self.nodes[key].block.tensors:
            if tensor == path:
                return _slice(key, start, shape)
            start += int(np.prod(shape))
        return None
