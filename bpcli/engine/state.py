"""What a network and its optimizer remember, by name, and how it is put back: into a training that goes on, a trace, or
the best weights again."""

from collections.abc import Mapping

from bpcli.engine.full_batch import FullBatchStep
from bpcli.engine.network import Network
from bpcli.engine.step import FirstOrderStep
from bpcli.family.plan import Array


def prefixed(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Returns the same arrays, each by the name `prefix.name`."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def network_state(network: Network) -> dict[str, Array]:
    """Returns views of the flat weights, `theta`, and of all running statistics, `state.<path>`."""
    return {"theta": network.theta, **prefixed("state", network.states)}


def training_state(train_step: FirstOrderStep | FullBatchStep) -> dict[str, Array]:
    """Returns `network_state`, and views of what the optimizer (`slot.<name>`), the clipper (`clip.<name>`) and the
    schedule (`schedule.<name>`) remember."""
    found = network_state(train_step.objective.network) | prefixed("slot", train_step.slots)
    return found | prefixed("clip", train_step.clip_state) | prefixed("schedule", train_step.schedule_state)


def snapshot(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Copies, which later steps do not change."""
    return {name: array.copy() for name, array in arrays.items()}


def restore(arrays: Mapping[str, Array], saved: Mapping[str, Array]) -> None:
    """Copies what was saved into the arrays of the same names; other names are passed over. Raises KeyError where one
    is missing, ValueError where one has another shape."""
    for name, array in arrays.items():
        array[...] = saved[name]
