"""Where a training stops being one of numbers: the first array, in the order of computation, that is not finite."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from bpcli.engine.network import BoundLayer, Chain, Network
from bpcli.engine.objective import Batch, Objective
from bpcli.family import Array
from bpcli.numeric.vectors import all_finite

LARGE = {np.dtype(kind): 1e-4 * math.sqrt(float(np.finfo(kind).max)) for kind in (np.float32, np.float64)}
"""The norm of a gradient from which on it is looked at for what it leaves behind, by type. Sums of squares of smaller
ones stay finite for a hundred million steps."""


class NonFiniteError(ArithmeticError):
    """A number of a training that is not finite any more.

    `layer` and `tensor` name the first array, in the order of computation, that holds such a number.
    """

    def __init__(self, layer: str, tensor: str, what: str) -> None:
        super().__init__(f"{layer}.{tensor}" if layer else tensor)
        self.layer, self.tensor, self.what = layer, tensor, what


def first_in_memory(
    network: Network, slots: Mapping[str, Array], clip_state: Mapping[str, Array]
) -> NonFiniteError | None:
    """Returns the first array that is not finite among those that live from step to step, in the order in which a step
    writes them: what clipping and the optimizer remember, the weights, the running statistics. None where all are
    finite."""
    for name, a in clip_state.items():
        if not all_finite(a):
            return NonFiniteError("clipping", name, "memory")
    for name, a in slots.items():
        if not all_finite(a):
            return NonFiniteError("optimizer", name, f"memory{_of_parameter(network, a)}")
    if not all_finite(network.theta):
        for path, w in network.parameters().items():
            if not all_finite(w):
                return NonFiniteError(*_split(path), "weights")
    for path, a in network.states.items():
        if not all_finite(a):
            return NonFiniteError(*_split(path), "running statistics")
    return None


def check_after_update(
    network: Network, norm: float, rate: float, slots: Mapping[str, Array], clip_state: Mapping[str, Array]
) -> None:
    """Raises NonFiniteError where a step with a gradient so large that its square may overflow has left something that
    is not finite. (What the optimizer remembers may be so while weights and losses stay finite for ever: Adam moves no
    weight by a step over infinity.)"""
    large = LARGE[network.theta.dtype]
    if norm > large or norm * rate > large:
        found = first_in_memory(network, slots, clip_state)
        if found is not None:
            raise found


def first_non_finite(
    objective: Objective,
    batch: Batch,
    loss: float,
    penalty: float,
    slots: Mapping[str, Array],
    clip_state: Mapping[str, Array],
) -> NonFiniteError:
    """Returns the first array that is not finite in a step on the rows loaded in `batch`, whose loss and penalty are
    these: what the step before has left, then forward, then backward, which is done anew, layer by layer."""
    network = objective.network
    if (found := first_in_memory(network, slots, clip_state)) is not None:
        return found
    if not all_finite(batch.x):
        return NonFiniteError("", "x", "inputs")
    for bound in _in_order_of_outputs(batch.chain):
        if not all_finite(bound.frame.y):
            return NonFiniteError(bound.path, "y", "outputs")
    if not math.isfinite(loss):
        return NonFiniteError("", "loss", "loss")
    if not math.isfinite(penalty):
        return NonFiniteError("", "penalty", "penalty")
    batch.forward(True)
    for layer, name, a in batch.gradients():
        if not all_finite(a):
            return NonFiniteError(layer, name, "gradient")
    objective.add_penalty_gradient()
    for path, a in network.gradients().items():
        if not all_finite(a):
            layer, name = _split(path)
            return NonFiniteError(layer, f"d{name}", "gradient of the penalty")
    return NonFiniteError("", "gradient", "gradient")


def _in_order_of_outputs(chain: Chain) -> Iterator[BoundLayer]:
    """Yields all layers in the order in which their outputs are complete: a container after what is inside it."""
    for bound in chain.layers:
        for inner in bound.inside.values():
            yield from _in_order_of_outputs(inner)
        yield bound


def _split(path: str) -> tuple[str, str]:
    """Returns the layer and the name of an array by its path."""
    layer, _, name = path.rpartition(".")
    return layer, name


def _of_parameter(network: Network, slot: Array) -> str:
    """Returns, in words, which parameter a vector as long as all of them is not finite for; "" of another array."""
    if slot.shape != network.theta.shape:
        return ""
    first = int(np.argmin(np.isfinite(slot)))
    return next((f" of {e.path}" for e in network.network_plan.layout if e.where.start <= first < e.where.stop), "")
